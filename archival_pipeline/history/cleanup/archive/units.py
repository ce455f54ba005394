"""What is archived and restored as a whole: a hierarchy of process instances, or rows that belong to none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from archival_pipeline.catalogue.camunda_archive import MEMBERS, ROOTS

if TYPE_CHECKING:
    from collections.abc import Iterable

HIERARCHY, ROWS = "hierarchy", "rows"
Operation = Literal["backup", "restore"]


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as the ledger has it.

    Attributes:
        unit_id: the root instance of a hierarchy; made up for rows.
        kind: ``hierarchy`` or ``rows``.
        operation: which way it went last.
        state: how far, see ``sql/backup/cleanup_archive_tables.sql``.
        run_id: the run that archived it.
        members: the instances of a hierarchy.
        row_ids: ids by table of rows without a hierarchy.
        engine_transaction: what the state waits for.
        problem: why an open unit waits.
    """

    unit_id: str
    kind: str
    operation: str = "backup"
    state: str = "copied"
    run_id: str = ""
    members: list[str] = field(default_factory=list)
    row_ids: dict[str, list[str]] = field(default_factory=dict)
    engine_transaction: str | None = None
    problem: str | None = None

    @property
    def stands(self) -> tuple[str, str]:
        """Operation and state."""
        return self.operation, self.state

    def as_json(self) -> dict[str, Any]:
        """What the ledger writes down when it is copied."""
        return {"unit_id": self.unit_id, "kind": self.kind, "members": self.members, "row_ids": self.row_ids}


def seeds(units: Iterable[Unit]) -> dict[str, list[str]]:
    """The keys that units begin with, by key set."""
    found: dict[str, list[str]] = {}
    for unit in units:
        if unit.kind == HIERARCHY:
            found.setdefault(ROOTS, []).append(unit.unit_id)
            found.setdefault(MEMBERS, []).extend(unit.members)
        for table, ids in unit.row_ids.items():
            found.setdefault(table, []).extend(ids)
    return found


def ids_of(units: Iterable[Unit]) -> list[str]:
    """Their ids."""
    return [unit.unit_id for unit in units]
