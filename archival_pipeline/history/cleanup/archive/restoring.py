"""Brings archived units back into the engine's history: the way of ``copying.py`` and ``removal.py``, reversed.

One snapshot of the backup is written in one transaction of the engine and read back in it; only if both sides measure
the same it commits, its number in the ledger. Then what the backup deletes must equal what the engine holds. A unit
whose like stands in the engine, or that runs there, is refused and stays in the backup, untouched.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg

from archival_pipeline.catalogue import digests, statements
from archival_pipeline.database.copying import stream
from archival_pipeline.database.transactions import current_transaction
from archival_pipeline.errors import VerificationError
from archival_pipeline.history.cleanup.archive import comparison, keys, ledger
from archival_pipeline.history.cleanup.archive.copying import SNAPSHOT, lies_in_rows, refusal
from archival_pipeline.history.cleanup.archive.units import HIERARCHY, ids_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from archival_pipeline.history.cleanup.archive.removal import Sessions
    from archival_pipeline.history.cleanup.archive.units import Unit


class _ConflictError(VerificationError):
    """The engine would not hold what the backup holds; rolled back."""


@dataclass(slots=True)
class Returned:
    """What a restore did.

    Attributes:
        hierarchies: hierarchies that stand in the engine again, and there alone.
        loose: sets of rows without a hierarchy.
        rows: rows by table, without prefix.
        refused: units that stay where they are, with the reason.
        due: hierarchies that the next cleanup would take again.
        stopped: whether the window's end stopped the run.
    """

    hierarchies: int = 0
    loose: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    refused: dict[str, str] = field(default_factory=dict)
    due: int = 0
    stopped: bool = False

    def add(self, other: Returned) -> None:
        """Take another batch's part in."""
        self.hierarchies += other.hierarchies
        self.loose += other.loose
        self.rows.update(other.rows)
        self.refused |= other.refused


def return_units(at: Sessions, units: Sequence[Unit]) -> Returned:
    """Bring units back that the backup holds alone; commits on both sides."""
    return _in_one_or_apart(at, units, _return, ledger.ARCHIVED)


def finish(at: Sessions, units: Sequence[Unit]) -> Returned:
    """Delete from the backup what the engine holds again; commits."""
    return _in_one_or_apart(at, units, _finish, ledger.RETURNED)


def preview(at: Sessions, units: Sequence[Unit]) -> Returned:
    """What would come back; reads only."""
    found = keys.measure(at.backup, at.archive.backup, keys.resolve(at.backup, at.archive.backup, units))
    return _counted(units, Counter({name: digest.rows for name, digest in found.items()}))


def _in_one_or_apart(
    at: Sessions, units: Sequence[Unit], work: Callable[[Sessions, Sequence[Unit]], Returned], state: tuple[str, str]
) -> Returned:
    if not units:
        return Returned()
    try:
        return work(at, units)
    except _ConflictError as error:
        reason = str(error)
    except psycopg.Error as error:
        if not lies_in_rows(error):
            raise
        reason = refusal(error, "restoring")
    if len(units) == 1:
        # A restore that came as far as its second half says so itself.
        now = ledger.units(at.backup, ids_of(units))[units[0].unit_id]
        if now.stands == state:
            ledger.change(at.backup, units, state, state, problem=reason)
        return Returned(refused={units[0].unit_id: reason})
    done = Returned()
    for unit in units:
        done.add(_in_one_or_apart(at, [unit], work, state))
    return done


def _return(at: Sessions, units: Sequence[Unit]) -> Returned:
    with at.engine.transaction():
        _require_not_running(at, units)
        with at.backup.transaction():
            at.backup.execute(SNAPSHOT)
            found = keys.resolve(at.backup, at.archive.backup, units)
            theirs = keys.measure(at.backup, at.archive.backup, found)
            for twin in at.archive.twins:
                if statements.owned_rows(twin.backup, found.filled) is not None:
                    outgoing = statements.copy_out(twin.backup, found.filled)
                    stream(at.backup, outgoing, found.parameters, at.engine, statements.copy_in(twin.engine))
        # With the engine's own keys too: a row that it has of the hierarchy beside ours must be seen.
        found = found.joined(keys.resolve(at.engine, at.archive.engine, units))
        _require_equal(theirs, keys.measure(at.engine, at.archive.engine, found))
        number = current_transaction(at.engine)
        ledger.change(at.backup, units, ledger.ARCHIVED, ledger.RETURNING, transaction=number)
    ledger.change(at.backup, units, ledger.RETURNING, ledger.RETURNED)
    return finish(at, units)


def _finish(at: Sessions, units: Sequence[Unit]) -> Returned:
    found = keys.resolve(at.backup, at.archive.backup, units)
    if len(units) == 1 and (verdict := _alone(at, units[0], found)) is not None:
        return verdict
    with at.engine.transaction():
        at.engine.execute(SNAPSHOT)
        ours = keys.measure(at.engine, at.archive.engine, found)
    with at.backup.transaction():
        gone = keys.delete(at.backup, at.archive.backup, found)
        if len(units) > 1:
            _require_equal(gone, ours)
        ledger.change(at.backup, units, ledger.RETURNED, ledger.RESTORED)
    return _counted(units, Counter({name: digest.rows for name, digest in gone.items()}))


def _alone(at: Sessions, unit: Unit, found: keys.Keys) -> Returned | None:
    """Look at one unit row by row; None if the engine has each of its rows, equal."""
    theirs = comparison.read(at.backup, at.archive.backup, found)
    mine = comparison.read(at.engine, at.archive.engine, found)
    if theirs.within(mine):
        return None
    if mine.none:
        # The engine's own cleanup has been there since: it is archived as before.
        ledger.change(at.backup, [unit], ledger.RETURNED, ledger.ARCHIVED)
        return Returned(refused={unit.unit_id: "the engine has removed it again; the backup keeps it"})
    tables = ", ".join(mine.differing(theirs))
    raise _ConflictError(f"The engine's rows of {unit.unit_id} changed after they came back ({tables}).")


def _require_not_running(at: Sessions, units: Sequence[Unit]) -> None:
    members = [member for unit in units for member in unit.members]
    query = at.due.engine.names("SELECT proc_inst_id_ FROM {act_ru_execution} WHERE proc_inst_id_ = ANY(%s) LIMIT 1")
    row = at.engine.execute(query, (members,)).fetchone() if members else None
    if row is not None:
        raise _ConflictError(f"Instance {row[0]} runs in the engine.")


def _require_equal(theirs: dict[str, digests.Digest], ours: dict[str, digests.Digest]) -> None:
    wrong = digests.differences(theirs, ours)
    if wrong:
        raise _ConflictError(f"The engine does not hold the same as the backup: {'; '.join(wrong)}.")


def _counted(units: Sequence[Unit], rows: Counter[str]) -> Returned:
    rooted = sum(unit.kind == HIERARCHY for unit in units)
    return Returned(hierarchies=rooted, loose=len(units) - rooted, rows=rows)
