"""Stored snapshots: who owned what, as it was found when the activity ran, with references to the history's rows.

A stored snapshot holds no value. It is read together with the rows that it names, and refuses once one of them is
gone. Not here: how one is made and when it goes (``storing``).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NamedTuple

from archival_pipeline.variables import failures
from archival_pipeline.variables.cut import Boundary, Flag
from archival_pipeline.variables.history import Activity, Change
from archival_pipeline.variables.owners import Owner, OwnerKind
from archival_pipeline.variables.reading import process_of
from archival_pipeline.variables.snapshot import Entry, Snapshot

if TYPE_CHECKING:
    from datetime import datetime

    from archival_pipeline.variables.reading import Reader

# The lists of a snapshot as its document names them, and the attributes that hold them.
LISTS = {
    "variables": "visible",
    "shadowed": "shadowed",
    "uncertain": "uncertain",
    "ownInputs": "own_inputs",
    "taskLocal": "task_local",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which stored snapshots to list; what is None does not matter.

    Attributes:
        key: process definition key.
        activity_id: id in the model.
        process_instance_id: of the process instance.
        boundary: ``start`` or ``end``.
        page_number: from 1.
        page_size: rows per page.
    """

    key: str | None = None
    activity_id: str | None = None
    process_instance_id: str | None = None
    boundary: str | None = None
    page_number: int = 1
    page_size: int = 100


class Stored(NamedTuple):
    """What stands in one row of ``stored_snapshot``, and how many visible variables belong to it.

    ``refusal`` says why history could not answer; such a row is no snapshot, and keeps the question from being asked
    again.
    """

    id: int
    process_instance_id: str
    process_definition_id: str
    process_definition_key: str
    activity_instance_id: str
    activity_id: str
    loop_index: int | None
    boundary: str
    activity_time: datetime
    path: list[str]
    stored_at: datetime
    refusal: str | None
    variables: int


def page(reader: Reader, wanted: Wanted) -> tuple[list[Stored], int]:
    """One page, newest first, and how many match."""
    first = (wanted.page_number - 1) * wanted.page_size
    values = asdict(wanted) | {"id": None, "size": wanted.page_size, "first": first}
    total = reader.rows("snapshots/total", values)[0][0]
    return [Stored(*row) for row in reader.rows("snapshots/page", values)], int(total)


def load(reader: Reader, stored_id: int) -> Snapshot:
    """A stored snapshot, without its values.

    Raises:
        SnapshotError: there is none, or history has lost a row that it refers to.
    """
    values = asdict(Wanted()) | {"id": stored_id, "size": 1, "first": 0}
    found = [Stored(*row) for row in reader.rows("snapshots/page", values)]
    if not found:
        raise failures.SnapshotError(
            f"There is no stored snapshot {stored_id}.",
            resolve="List the stored snapshots; they go together with the history that they refer to.",
            code=failures.NOT_FOUND,
        )
    head = found[0]
    if head.refusal is not None:
        raise failures.SnapshotError(head.refusal, resolve="Nothing was stored: history could not answer even then.")
    process = process_of(reader, process_instance_id=head.process_instance_id)
    rows = reader.rows("snapshots/variables", {"id": stored_id})
    ids = sorted({row[3] for row in rows if row[3] is not None})
    changes = {row[0]: Change(*row) for row in reader.rows("snapshots/changes", {"ids": ids})}
    activities = {row[0]: Activity(*row) for row in reader.rows("snapshots/activities", {"ids": head.path})}
    activity = activities.get(head.activity_instance_id)
    if activity is None or len(changes) < len(ids):
        raise failures.SnapshotError(
            f"The stored snapshot {stored_id} refers to rows that history has lost.",
            resolve="The history was partly cleaned by somebody else; the snapshot cannot be shown any more.",
        )
    entries: defaultdict[str, list[Entry]] = defaultdict(list)
    for listed_as, name, variable_id, change_id, *owner, flags in rows:
        entry = Entry(
            name,
            variable_id,
            changes[change_id] if change_id is not None else None,
            Owner(OwnerKind(owner[0]), *owner[1:]),
            frozenset(map(Flag, flags)),
        )
        entries[listed_as].append(entry)
    return Snapshot(
        process,
        activity,
        Boundary(head.boundary),
        path=tuple(head.path),
        parent=activities.get(activity.parent_id or ""),
        visible=tuple(entries["variables"]),
        shadowed=tuple(entries["shadowed"]),
        uncertain=tuple(entries["uncertain"]),
        own_inputs=tuple(entries["ownInputs"]),
        task_local=tuple(entries["taskLocal"]),
    )
