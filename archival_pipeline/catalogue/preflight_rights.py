"""Which rights each operation needs on which side, and which of them the session's role lacks.

Not here: rights to single large objects (``preflight.py``).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from archival_pipeline.catalogue.model import Role

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from archival_pipeline.catalogue.model import Catalogue
    from archival_pipeline.database.introspection import LiveSchema

SideName = Literal["primary", "backup"]


class Operation(StrEnum):
    """What a run is about to do with the engine's tables and their copies."""

    BACKUP = "backup"
    RESTORE = "restore"
    DELETE_PRIMARY = "delete_primary"
    DELETE_BACKUP = "delete_backup"
    DRY_RUN = "dry_run"

    @property
    def writes(self) -> tuple[SideName, ...]:
        """The sides that the operation changes."""
        return _WRITES[self]

    @property
    def destination(self) -> SideName | None:
        """The side that receives rows, None where nothing is moved."""
        return _DESTINATIONS.get(self)

    @property
    def reads_primary_objects(self) -> bool:
        """Whether large objects of the primary are read or unlinked."""
        return self is not Operation.DELETE_BACKUP


_WRITES: dict[Operation, tuple[SideName, ...]] = {
    Operation.BACKUP: ("primary", "backup"),
    Operation.RESTORE: ("primary", "backup"),
    Operation.DELETE_PRIMARY: ("primary",),
    Operation.DELETE_BACKUP: ("backup",),
    Operation.DRY_RUN: (),
}

_DESTINATIONS: dict[Operation, SideName] = {Operation.BACKUP: "backup", Operation.RESTORE: "primary"}

_READ = ("SELECT",)
_REMOVE = ("SELECT", "DELETE")
# A destination needs DELETE as well: a copy whose batch was interrupted is taken back before it is made again.
_FILL = ("SELECT", "INSERT", "DELETE")
_ADD_SHARED = ("SELECT", "INSERT")

_RIGHTS: dict[Operation, dict[tuple[SideName, Role], tuple[str, ...]]] = {
    Operation.BACKUP: {
        ("primary", Role.OWNED): _REMOVE,
        ("primary", Role.SHARED): _READ,
        ("backup", Role.OWNED): _FILL,
        ("backup", Role.SHARED): _ADD_SHARED,
    },
    Operation.RESTORE: {
        ("primary", Role.OWNED): _FILL,
        ("primary", Role.SHARED): _ADD_SHARED,
        ("backup", Role.OWNED): _REMOVE,
        ("backup", Role.SHARED): _READ,
    },
    Operation.DELETE_PRIMARY: {("primary", Role.OWNED): _REMOVE},
    Operation.DELETE_BACKUP: {("backup", Role.OWNED): _REMOVE},
    Operation.DRY_RUN: {
        ("primary", Role.OWNED): _READ,
        ("primary", Role.SHARED): _READ,
        ("backup", Role.OWNED): _READ,
        ("backup", Role.SHARED): _READ,
    },
}


# Rows of these are locked at the origin before a tree is deleted, which PostgreSQL allows only to who may UPDATE them.
_LOCKED = ("processinstancelog", "processinstanceinfo")
_LOCKS: dict[Operation, SideName] = {Operation.BACKUP: "primary", Operation.DELETE_PRIMARY: "primary"}


def missing_lock_rights(
    side: SideName, role: str, schema: LiveSchema, lockable: Collection[str], operation: Operation
) -> Iterator[str]:
    """Yield a finding for each table whose rows the session's role cannot lock although the operation does."""
    if _LOCKS.get(operation) != side:
        return
    for name in _LOCKED:
        if name in schema.tables and name not in lockable:
            yield (
                f"role {role} lacks UPDATE on table {name} of the {side}, needed to lock its rows for {operation}; run "
                f"GRANT UPDATE ON {name} TO {role}"
            )


def missing_rights(
    catalogue: Catalogue, side: SideName, role: str, schema: LiveSchema, operation: Operation
) -> Iterator[str]:
    """Yield a finding for each table on which the session's role lacks a right that the operation needs."""
    for table in catalogue.tables:
        facts = schema.tables.get(table.name)
        needed = _RIGHTS[operation].get((side, table.role), ())
        if facts is None or not needed:
            continue
        held = {"SELECT": facts.may_select, "INSERT": facts.may_insert, "DELETE": facts.may_delete}
        lacking = [right for right in needed if not held[right]]
        if lacking:
            rights = ", ".join(lacking)
            yield (
                f"role {role} lacks {rights} on table {table.name} of the {side}, needed for {operation}; run "
                f"GRANT {rights} ON {table.name} TO {role}"
            )
