"""Removes copied units from the engine, if what is removed equals what the backup gives back.

One transaction of the engine for a batch: lock the roots, ask again whether they may go, read the units back from what
is committed in the backup, delete in the engine's order, compare the digests of what was really deleted with what was
read back, write the transaction's number to the ledger, commit. Anything else than equality rolls back, and the units
are looked at one by one:

* every row of the engine stands in the backup: the rest may go, the backup keeps what the engine has lost meanwhile;
* every row of the backup stands in the engine, changed or joined by others: the copy is taken back, and copied again;
* rows are missing on both sides: the unit stays in both, open in the ledger with the problem.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from archival_pipeline.catalogue import digests
from archival_pipeline.database.transactions import current_transaction
from archival_pipeline.errors import VerificationError
from archival_pipeline.history.cleanup.archive import comparison, keys, ledger
from archival_pipeline.history.cleanup.archive.copying import SNAPSHOT
from archival_pipeline.history.cleanup.archive.units import HIERARCHY, ids_of
from archival_pipeline.history.cleanup.removal import Removed, lock_due, members_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from archival_pipeline.catalogue.digests import Digest
    from archival_pipeline.history.cleanup.archive.opening import Archive
    from archival_pipeline.history.cleanup.archive.units import Unit
    from archival_pipeline.history.cleanup.database import Session
    from archival_pipeline.history.cleanup.selecting import Due


class _ChangedError(VerificationError):
    """What would be removed is not what was copied; rolled back."""


@dataclass(frozen=True, slots=True)
class _Judged:
    """What may become of units now: go; wait for a lock; be looked at apart; stay, so that the copy is taken back."""

    free: list[Unit]
    locked: list[Unit]
    apart: list[Unit]
    stay: list[Unit]


@dataclass(frozen=True, slots=True)
class Sessions:
    """Both sides at work: what the functions here share.

    Attributes:
        engine: a session on the engine, in autocommit.
        backup: a session on the backup, in autocommit.
        archive: both sides' tables.
        due: when a root's time has come.
    """

    engine: Session
    backup: Session
    archive: Archive
    due: Due

    def as_of(self, now: Due) -> Sessions:
        """The same with what is on hold by then."""
        return replace(self, due=now)


def remove_copied(at: Sessions, units: Sequence[Unit]) -> Removed:
    """Remove units that the ledger calls ``copied``; commits.

    Returns:
        What went. Units that changed meanwhile are among the locked ones, so that the run comes back to them.
    """
    removed = Removed()
    try:
        with at.due.removing() as now:
            judged = _remove_whole(at.as_of(now), units, removed)
    except _ChangedError:
        # Each unit by itself: those that are equal go.
        for unit in units:
            removed.add(remove_apart(at, unit))
        return removed
    for unit in judged.apart:
        removed.add(remove_apart(at, unit))
    for unit in judged.stay:
        removed.add(_take_back(at, unit))
    return removed


def _remove_whole(at: Sessions, units: Sequence[Unit], removed: Removed) -> _Judged:
    gone: dict[str, Digest] = {}
    with at.engine.transaction():
        judged = _judge(at, units)
        if judged.free:
            gone = _delete_equal(at, judged.free)
            number = current_transaction(at.engine)
            ledger.change(at.backup, judged.free, ledger.COPIED, ledger.REMOVING, transaction=number)
            at.due.require()
    removed.locked += ids_of(judged.locked)
    if judged.free:
        ledger.change(at.backup, judged.free, ledger.REMOVING, ledger.ARCHIVED)
        removed.add(_counted(judged.free, gone))
    return judged


def _judge(at: Sessions, units: Sequence[Unit]) -> _Judged:
    """Lock what may go. Rows without a hierarchy are not asked: their digests say whether they changed."""
    rooted = {unit.unit_id: unit for unit in units if unit.kind == HIERARCHY}
    free = [unit for unit in units if unit.kind != HIERARCHY]
    if not rooted:
        return _Judged(free, [], [], [])
    taken, locked = lock_due(at.engine, at.due, list(rooted))
    members, running = members_of(at.engine, at.due, taken) if taken else ({}, [])
    rest = set(rooted) - set(taken) - set(locked)
    query = at.due.engine.names("SELECT id_ FROM {act_hi_procinst} WHERE id_ = ANY(%s)")
    there = {row[0] for row in at.engine.execute(query, (sorted(rest),))} if rest else set()
    # An instance that joined the hierarchy after the copy is no member of the unit: apart, it is seen.
    joined = {root for root in taken if not set(members[root]) <= set(rooted[root].members)}
    good = [root for root in taken if root not in set(running) | joined]
    return _Judged(
        free=free + [rooted[root] for root in good],
        locked=[rooted[root] for root in locked],
        apart=[rooted[root] for root in sorted((rest - there) | joined - set(running))],
        stay=[rooted[root] for root in sorted((rest & there) | set(running))],
    )


def _delete_equal(at: Sessions, units: Sequence[Unit]) -> dict[str, Digest]:
    found = keys.resolve(at.engine, at.archive.engine, units)
    proof = keys.measure(at.backup, at.archive.backup, found)
    gone = keys.delete(at.engine, at.archive.engine, found)
    wrong = digests.differences(proof, gone)
    if wrong:
        raise _ChangedError(f"What would be removed is not what was copied: {'; '.join(wrong)}.")
    return gone


def remove_again(at: Sessions, unit: Unit) -> Removed:
    """Remove a unit that was archived for good before, if the engine has nothing that the backup has not."""
    with at.engine.transaction():
        at.engine.execute(SNAPSHOT)
        mine, theirs, _ = _both(at, unit)
    if not mine.within(theirs):
        problem = f"archived before with other content ({', '.join(mine.differing(theirs))})"
        ledger.change(at.backup, [unit], ledger.ARCHIVED, ledger.ARCHIVED, problem=problem)
        return Removed(refused={unit.unit_id: f"DIGEST_MISMATCH: {problem}; it stands in both databases"})
    problem = "archived before, and in the engine again"
    ledger.change(at.backup, [unit], ledger.ARCHIVED, ledger.COPIED, problem=problem)
    return remove_apart(at, replace(unit, problem=problem))


def remove_apart(at: Sessions, unit: Unit) -> Removed:
    """Remove one unit as far as the backup has each of its rows; else take the copy back, or report the unit."""
    with at.due.removing() as now:
        return _remove_apart(at.as_of(now), unit)


def _remove_apart(at: Sessions, unit: Unit) -> Removed:
    gone: dict[str, Digest] = {}
    with at.engine.transaction():
        # Of one snapshot: what is compared is what is deleted, or the server says that it changed.
        at.engine.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        judged = _judge(at, [unit])
        if judged.locked:
            return Removed(locked=[unit.unit_id])
        mine, theirs, found = _both(at, unit)
        allowed = mine.within(theirs) and not judged.stay
        if allowed:
            gone = keys.delete(at.engine, at.archive.engine, found)
            number = current_transaction(at.engine)
            ledger.change(at.backup, [unit], ledger.COPIED, ledger.REMOVING, transaction=number)
            at.due.require()
    if allowed:
        ledger.change(at.backup, [unit], ledger.REMOVING, ledger.ARCHIVED)
        return _counted([unit], gone)
    if _may_take_back(unit, mine, theirs):
        _discard(at, unit)
        return Removed(running=[unit.unit_id]) if judged.stay else Removed(locked=[unit.unit_id])
    differing = ", ".join(mine.differing(theirs)) or "it may not be removed now"
    return _refuse(at, unit, f"the engine's rows of {unit.unit_id} are not those of the backup ({differing})")


def _take_back(at: Sessions, unit: Unit) -> Removed:
    """The engine keeps the unit: take the copy back, if the engine has every row of it."""
    with at.engine.transaction():
        at.engine.execute(SNAPSHOT)
        mine, theirs, _ = _both(at, unit)
    if _may_take_back(unit, mine, theirs):
        _discard(at, unit)
        return Removed(running=[unit.unit_id])
    return _refuse(at, unit, f"{unit.unit_id} may not be removed now, and the engine has lost rows of the copy")


def _may_take_back(unit: Unit, mine: comparison.Rows, theirs: comparison.Rows) -> bool:
    """Whether nothing is lost without the copy; what has a problem waits for a person."""
    return unit.problem is None and theirs.all_in(mine)


def _both(at: Sessions, unit: Unit) -> tuple[comparison.Rows, comparison.Rows, keys.Keys]:
    """The unit on both sides, and the keys of either."""
    found = keys.resolve(at.engine, at.archive.engine, [unit])
    found = found.joined(keys.resolve(at.backup, at.archive.backup, [unit]))
    mine = comparison.read(at.engine, at.archive.engine, found)
    return mine, comparison.read(at.backup, at.archive.backup, found), found


def _discard(at: Sessions, unit: Unit) -> None:
    with at.backup.transaction():
        keys.delete(at.backup, at.archive.backup, keys.resolve(at.backup, at.archive.backup, [unit]))
        ledger.change(at.backup, [unit], ledger.COPIED, ledger.DISCARDED)


def _refuse(at: Sessions, unit: Unit, problem: str) -> Removed:
    ledger.change(at.backup, [unit], ledger.COPIED, ledger.COPIED, problem=problem)
    return Removed(refused={unit.unit_id: f"DIGEST_MISMATCH: {problem}; it stands in both databases"})


def _counted(units: Sequence[Unit], gone: Mapping[str, Digest]) -> Removed:
    rows = Counter({name: digest.rows for name, digest in gone.items()})
    return Removed(roots=sum(unit.kind == HIERARCHY for unit in units), rows=rows)
