"""Takes up what a dead run left open: asks for the fate of its transactions, then finishes what they began.

Only the holder of the cleanup's lock may call this: then no open unit belongs to a living run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archival_pipeline.database.sqlfiles import load_sql
from archival_pipeline.errors import TransientDatabaseError
from archival_pipeline.history.cleanup.archive import keys, ledger, restoring
from archival_pipeline.history.cleanup.archive.removal import remove_copied
from archival_pipeline.history.cleanup.archive.units import HIERARCHY, ids_of
from archival_pipeline.history.cleanup.removal import Removed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archival_pipeline.history.cleanup.archive.removal import Sessions
    from archival_pipeline.history.cleanup.archive.units import Unit

# What a state that waits for a transaction becomes: if it committed, if it did not.
_OUTCOMES = {
    ledger.REMOVING: (ledger.ARCHIVED, ledger.COPIED),
    ledger.RETURNING: (ledger.RETURNED, ledger.ARCHIVED),
}


def take_up(at: Sessions, units: Sequence[Unit]) -> Removed:
    """Bring open units to their end, from what is really in both databases; commits."""
    settled = settle(at, units)
    removed = remove_copied(at, copied) if (copied := of_state(settled, ledger.COPIED)) else Removed()
    removed.refused |= restoring.finish(at, of_state(settled, ledger.RETURNED)).refused
    return removed


def settle(at: Sessions, units: Sequence[Unit]) -> list[Unit]:
    """Ask for the fate of the transactions that units wait for, and record it; never guess.

    Returns:
        The units as they stand now.

    Raises:
        TransientDatabaseError: a transaction has not ended yet.
    """
    waiting = [unit for unit in units if unit.stands in _OUTCOMES]
    for unit in waiting:
        committed, rolled_back = _OUTCOMES[unit.stands]
        status = _fate(at, unit)
        there = _is_there(at, unit)
        # A server that crashed may give the number of a transaction it lost to another one: the rows have the last
        # word.
        done = status != "aborted" and there is (unit.stands == ledger.RETURNING)
        ledger.change(at.backup, [unit], unit.stands, committed if done else rolled_back)
    return list(ledger.units(at.backup, ids_of(units)).values())


def of_state(units: Sequence[Unit], state: tuple[str, str]) -> list[Unit]:
    """Those of the units that stand there."""
    return [unit for unit in units if unit.stands == state]


def _fate(at: Sessions, unit: Unit) -> str | None:
    row = at.engine.execute(load_sql("cleanup/archive_fate"), {"transaction": unit.engine_transaction}).fetchone()
    status: str | None = row[0] if row else None
    if status == "in progress":
        raise TransientDatabaseError(
            f"The engine's transaction {unit.engine_transaction} of unit {unit.unit_id} has not ended yet.",
            resolve="Wait for it, or end its session (pg_stat_activity), then run the same job again.",
            code="55P03",
        )
    return status


def _is_there(at: Sessions, unit: Unit) -> bool:
    """Whether the engine has the root of a hierarchy, or any of the rows."""
    if unit.kind == HIERARCHY:
        query = at.due.engine.names("SELECT 1 FROM {act_hi_procinst} WHERE id_ = %s")
        return at.engine.execute(query, (unit.unit_id,)).fetchone() is not None
    return bool(keys.measure(at.engine, at.archive.engine, keys.resolve(at.engine, at.archive.engine, [unit])))
