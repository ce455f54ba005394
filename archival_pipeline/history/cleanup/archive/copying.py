"""Copies units from the engine to the backup: one snapshot there, one transaction here, the ledger in it.

Nothing is compared yet: the proof is measured in the transaction that removes (``removal.py``). A unit that the backup
refuses is copied apart from the others of its batch and reported. Not here: what is removed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from archival_pipeline import errors
from archival_pipeline.catalogue import statements
from archival_pipeline.database.copying import stream
from archival_pipeline.history.cleanup.archive import keys, ledger
from archival_pipeline.history.cleanup.archive.units import HIERARCHY, Unit
from archival_pipeline.history.cleanup.removal import Removed, due_among, members_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archival_pipeline.history.cleanup.archive.keys import Keys
    from archival_pipeline.history.cleanup.archive.opening import Archive
    from archival_pipeline.history.cleanup.database import Session
    from archival_pipeline.history.cleanup.selecting import Due

SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
# The rows themselves are at fault: a value that does not fit, a key that is taken, a row that is too large.
_ROW_FAULTS = ("22", "23", "54")


def copy_hierarchies(
    engine: Session, backup: Session, archive: Archive, due: Due, wanted: Sequence[str]
) -> tuple[list[Unit], Removed]:
    """Copy the roots that are due with everything that belongs to them; commits in the backup.

    Returns:
        What was copied, and what was not, with the reason.
    """
    try:
        return _copy_hierarchies(engine, backup, archive, due, wanted)
    except psycopg.Error as error:
        if not lies_in_rows(error):
            raise
        if len(wanted) == 1:
            return [], Removed(refused={wanted[0]: refusal(error, "copying")})
    copied, removed = [], Removed()
    for root in wanted:
        good, other = copy_hierarchies(engine, backup, archive, due, [root])
        copied += good
        removed.add(other)
    return copied, removed


def copy_rows(engine: Session, backup: Session, archive: Archive, unit: Unit) -> None:
    """Copy rows without a hierarchy; commits in the backup."""
    with engine.transaction():
        engine.execute(SNAPSHOT)
        found = keys.resolve(engine, archive.engine, [unit])
        _write(engine, backup, archive, found, [unit])


def lies_in_rows(error: psycopg.Error) -> bool:
    """Whether the same rows would be refused again."""
    return (error.sqlstate or "").startswith(_ROW_FAULTS)


def refusal(error: psycopg.Error, doing: str) -> str:
    """What a server said about a row: table and key, never another value."""
    said = errors.from_database(error, f"{doing} a unit of history")
    key = f" {error.diag.message_detail}" if error.sqlstate == "23505" and error.diag.message_detail else ""
    return f"{said.code}: {said.summary}{key}"


def _copy_hierarchies(
    engine: Session, backup: Session, archive: Archive, due: Due, wanted: Sequence[str]
) -> tuple[list[Unit], Removed]:
    removed = Removed()
    with engine.transaction():
        engine.execute(SNAPSHOT)
        roots = due_among(engine, due, wanted)
        if not roots:
            return [], removed
        members, removed.running = members_of(engine, due, roots)
        free = [root for root in roots if root not in set(removed.running)]
        units = [Unit(root, HIERARCHY, run_id=archive.run_id, members=sorted(set(members[root]))) for root in free]
        if units:
            _write(engine, backup, archive, keys.resolve(engine, archive.engine, units), units)
    return units, removed


def _write(engine: Session, backup: Session, archive: Archive, found: Keys, units: Sequence[Unit]) -> None:
    with backup.transaction():
        for twin in archive.twins:
            if statements.owned_rows(twin.engine, found.filled) is not None:
                outgoing = statements.copy_out(twin.engine, found.filled)
                stream(engine, outgoing, found.parameters, backup, statements.copy_in(twin.backup))
        ledger.record(backup, units, archive.run_id)
