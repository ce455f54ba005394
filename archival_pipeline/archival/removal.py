"""Deletes one copied batch from the origin, if what is deleted equals what the destination gives back.

One transaction of the origin: lock the instances, ask again whether they may go, read the batch back from what is
committed at the destination, delete in reverse order of the foreign keys, compare the digest of what was really deleted
with what was read back table by table, unlink the large objects, write proof and transaction id to the ledger, commit.
Anything else than equality rolls back.

A batch that changed since it was copied is deleted tree by tree, each under a savepoint: the trees that are still equal
go, the others stay and are reported, and what was copied of them is taken back. So is a batch of which the engine holds
a row for longer than the lock time-out: the trees that it holds stay, the others go. Not here: copying
(``transfer.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from psycopg import Rollback
from psycopg import errors as server

from archival_pipeline import errors
from archival_pipeline.archival import comparison, digests, holding, keys, trees
from archival_pipeline.archival.digests import Digest, Measure
from archival_pipeline.archival.direction import is_archive
from archival_pipeline.archival.keys import array_literal
from archival_pipeline.archival.ledger import TreeReport
from archival_pipeline.archival.transfer import refused
from archival_pipeline.catalogue import lob_modes, preflight, statements
from archival_pipeline.catalogue.jbpm import JBPM
from archival_pipeline.database.sqlfiles import load_sql
from archival_pipeline.database.transactions import current_transaction

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import psycopg

    from archival_pipeline.archival.keys import Keys
    from archival_pipeline.archival.lanes import Lane
    from archival_pipeline.archival.ledger import Batch
    from archival_pipeline.archival.move import Move
    from archival_pipeline.archival.trees import Trees


# Each tree that the engine holds costs the others of its batch this long.
_SHORT_WAIT = "SET LOCAL lock_timeout = '500ms'"


class BatchChangedError(errors.VerificationError):
    """The batch at the origin is no longer what was copied; nothing was deleted."""


@dataclass(slots=True)
class Removed:
    """What deleting a batch did.

    Attributes:
        rows: rows deleted, by table.
        objects: large objects unlinked.
        stayed: trees that changed and were left alone.
    """

    rows: dict[str, int] = field(default_factory=dict)
    objects: int = 0
    stayed: list[TreeReport] = field(default_factory=list)

    def add(self, gone: Mapping[str, Digest]) -> None:
        """Count what was deleted."""
        for name, digest in gone.items():
            self.rows[name] = self.rows.get(name, 0) + digest.rows


def delete_batch(lane: Lane, move: Move, batch: Batch) -> Removed:
    """Delete a copied batch from the origin; trees that changed since, or that the engine holds, stay and are reported.

    Raises:
        DatabaseError: the server refused; rolled back.
    """
    with holding.removal(move):
        try:
            return _delete_whole(lane, move, batch)
        except (BatchChangedError, server.LockNotAvailable, server.ProgramLimitExceeded):
            return _delete_apart(lane, move, batch)


def _delete_whole(lane: Lane, move: Move, batch: Batch) -> Removed:
    origin = lane.session(move.direction.origin)
    removed = Removed()
    with origin.transaction():
        _lock(origin, move, batch)
        obstacle = next(iter(_obstacles(lane, move, batch.trees()).values()), None)
        if obstacle is not None:
            raise BatchChangedError(f"instance {obstacle.root_id}: {obstacle.detail}")
        found = _keys(lane, move, batch.member_ids)
        proof = _proof(lane, move, batch, found)
        gone, numbers = _delete_rows(origin, move, found)
        wrong = digests.differences(proof.filled(), gone) if proof else []
        if wrong:
            raise BatchChangedError(f"What would be deleted is not what was copied: {'; '.join(wrong)}.")
        removed.add(gone)
        later = _before_commit(origin, move, batch, batch.trees(), numbers, rows=removed.rows, proof=proof)
    removed.objects = len(numbers)
    after_commit(lane, move, batch, batch.trees(), later, [], rows=removed.rows)
    return removed


def _keys(lane: Lane, move: Move, members: Sequence[int]) -> Keys:
    """The keys at the origin of what may be deleted."""
    origin = lane.session(move.direction.origin)
    if not move.direction.copies:
        return keys.resolve(origin, move.catalogue, members, scanned=move.scanned)
    destination = lane.snapshot(move.direction.destination)
    return keys.resolve_copied(origin, destination, move.catalogue, members, move.scanned)


def _proof(lane: Lane, move: Move, batch: Batch, found: Keys) -> Measure | None:
    """What the destination holds of the batch: read back now, from what is committed there.

    Not from a primary that the batch was restored to: what came back may be at work already, and was proven with the
    copy. None where the operation compares nothing.

    Raises:
        BatchChangedError: the copy has not the number of rows that were copied.
    """
    if not move.compares:
        return None
    if move.direction.proof_with_copy:
        _require_present(lane, move, batch)
        return Measure(batch.expected, batch.lost_objects)
    proof = _read_back(lane, move, found)
    if move.direction.copies and _rows(proof) != batch.table_rows:
        raise BatchChangedError("The copy is no longer what was written.")
    return proof


def _require_present(lane: Lane, move: Move, batch: Batch) -> None:
    """Between a restore's copy and the deletion of the archive there may be days, and a primary set back in time.

    Raises:
        BatchChangedError: the destination does not have every instance of the batch.
    """
    with lane.snapshot(move.direction.destination) as there:
        gone = trees.missing(there, {member: [member] for member in batch.member_ids})
    if gone:
        raise BatchChangedError(f"{len(gone)} restored instance(s) are not there any more.")


def _read_back(lane: Lane, move: Move, found: Keys) -> Measure:
    side = move.direction.destination
    with lane.snapshot(side) as there:
        return digests.measure(there, move.catalogue, found, archive=is_archive(side))


def _rows(measured: Measure) -> dict[str, int]:
    return {name: digest.rows for name, digest in measured.filled().items()}


def _delete_apart(lane: Lane, move: Move, batch: Batch) -> Removed:
    """Delete the trees that are still equal, each under a savepoint, in one transaction."""
    origin = lane.session(move.direction.origin)
    removed = Removed()
    kept: Trees = {}
    numbers: list[int] = []
    with origin.transaction():
        held = _lock_free(origin, move, batch)
        intact = _copy_is_intact(lane, move, batch, _keys(lane, move, batch.member_ids))
        for root, members in batch.trees().items():
            verdict = _held(root, members, held) or _obstacles(lane, move, {root: members}).get(root)
            if verdict is not None and move.direction.copies:
                verdict = comparison.unless_rows_are_missing(lane, move, members, verdict)
            if verdict is None:
                verdict = _delete_tree(lane, move, root, members, removed, numbers, intact=intact)
            if verdict is None:
                kept[root] = members
            else:
                removed.stayed.append(verdict)
        discards = [report.root_id for report in removed.stayed if report.outcome == "skipped"]
        # Before the commit: who settles the batch after a crash here cannot find the reasons again.
        move.ledger.report(batch, removed.stayed)
        later = _before_commit(origin, move, batch, kept, numbers, discards, rows=removed.rows)
    removed.objects = len(numbers)
    after_commit(lane, move, batch, kept, later, discards, rows=removed.rows)
    return removed


def _delete_tree(
    lane: Lane, move: Move, root: int, members: Sequence[int], removed: Removed, numbers: list[int], *, intact: bool
) -> TreeReport | None:
    """Delete one tree under a savepoint; undo it and say why where it is not what was copied."""
    origin = lane.session(move.direction.origin)
    verdict: TreeReport | None = None
    try:
        with origin.transaction() as savepoint:
            gone, objects = _delete_rows(origin, move, _keys(lane, move, members))
            verdict = comparison.verdict(lane, move, root, members, gone, intact=intact)
            if verdict is not None:
                raise Rollback(savepoint)
            numbers += objects
            removed.add(gone)
    except server.LockNotAvailable:
        verdict = _held(root, members, {root})
        if verdict is not None and move.direction.copies:
            verdict = comparison.unless_rows_are_missing(lane, move, members, verdict)
    except server.ProgramLimitExceeded as error:
        verdict = refused(root, error, "deleting")
    return verdict


def _held(root: int, members: Sequence[int], held: Collection[int]) -> TreeReport | None:
    """Why a tree stays of which the engine holds an instance; None where it holds none."""
    found = next((member for member in members if member in held), None)
    if found is None:
        return None
    return TreeReport(root, "skipped", "locked", found, "55P03", trees.REASONS["locked"])


def _copy_is_intact(lane: Lane, move: Move, batch: Batch, found: Keys) -> bool:
    """Whether the copy still has as many rows as were copied: between copy and deletion there may be days.

    Not asked of a primary that was restored to, which may be at work already.
    """
    if move.direction.proof_with_copy:
        return True
    if not move.direction.copies:
        return False
    with lane.snapshot("backup") as backup:
        its_own = keys.resolve(backup, move.catalogue, batch.member_ids)
    # A cleanup by the engine may have taken rows that lead to others, so the copy's own keys count as well.
    try:
        return any(_rows(_read_back(lane, move, each)) == batch.table_rows for each in (found, its_own))
    except server.ProgramLimitExceeded:
        return False


def _lock(origin: psycopg.Connection[Any], move: Move, batch: Batch) -> None:
    """Lock the instances against the engine, and make sure that the tables are still the ones that were bound.

    In the backup nobody else is at work: the operation lock is enough there.
    """
    if move.direction.origin != "primary":
        return
    parameters = {"process": array_literal(batch.member_ids)}
    origin.execute(load_sql("primary/lock_members"), parameters)
    origin.execute(load_sql("primary/lock_states"), parameters)
    _require_same_tables(origin, move)


def _lock_free(origin: psycopg.Connection[Any], move: Move, batch: Batch) -> set[int]:
    """Lock what is free, and return the instances of which the engine holds a row.

    The batch has waited for the engine once. From here on no other tree's rows are held while one is waited for, but
    for a moment.
    """
    if move.direction.origin != "primary":
        return set()
    origin.execute(_SHORT_WAIT)
    rows = origin.execute(load_sql("primary/lock_free_members"), {"process": array_literal(batch.member_ids)})
    held = {row[0] for row in rows}
    _require_same_tables(origin, move)
    return held


def _require_same_tables(origin: psycopg.Connection[Any], move: Move) -> None:
    if preflight.fingerprint(origin, [table.name for table in move.catalogue.tables]) != move.fingerprint:
        raise errors.PreflightError(["the primary's tables changed during the run: run `archival-pipeline check`"])


def _obstacles(lane: Lane, move: Move, several: Trees) -> dict[int, TreeReport]:
    """Look again at everything that made the trees eligible."""
    origin = lane.session(move.direction.origin)
    found: dict[int, TreeReport] = {}
    if move.direction.origin == "primary":
        found = trees.obstacles(origin, several, move.date_limit, only=move.obstacles_that_count)
    members = {member: root for root, some in several.items() for member in some}
    for parent, child in trees.new_children(origin, list(members)).items():
        root = members[parent]
        found[root] = TreeReport(root, "skipped", "changed_during_run", child, detail="a child came after the copy")
    return found | holding.on_hold(lane, move, several)


def _delete_rows(origin: psycopg.Connection[Any], move: Move, found: Keys) -> tuple[dict[str, Digest], list[int]]:
    """Delete children first, all in one round trip; return digests and large objects of what was deleted.

    Where nothing is compared the digests are mere counts.
    """
    archive = is_archive(move.direction.origin)
    cursors = {}
    with origin.pipeline():
        for table in reversed(move.catalogue.tables):
            statement = statements.delete(table, found.filled, archive=archive, hashed=move.compares)
            if statement is not None:
                cursors[table.name] = origin.execute(statement, found.parameters)
    gone: dict[str, Digest] = {}
    numbers: set[int] = set()
    for name, cursor in cursors.items():
        row = cursor.fetchone()
        assert row is not None  # noqa: S101 - an aggregate returns one row
        if row[0]:
            gone[name] = Digest.from_sums(row[0], row[1], row[2])
        numbers.update(row[5] or ())
    return gone, sorted(numbers)


def _before_commit(
    origin: psycopg.Connection[Any],
    move: Move,
    batch: Batch,
    kept: Trees,
    numbers: list[int],
    discards: Sequence[int] = (),
    *,
    rows: Mapping[str, int],
    proof: Measure | None = None,
) -> list[int]:
    """Unlink as many large objects as one transaction can, and tell the ledger; return the numbers that are left."""
    lock, ledger = move.books()
    if move.direction.origin == "backup":
        lock.fence(origin)
        ledger.deleted(batch, kept, origin, rows)
        return []
    mine = _unshared(origin, move, numbers)
    now, later = mine[: move.object_cap], mine[move.object_cap :]
    _unlink(origin, now)
    ledger.deleting(batch, current_transaction(origin), later, discards, proof)
    return later


def after_commit(
    lane: Lane,
    move: Move,
    batch: Batch,
    kept: Trees,
    objects: Sequence[int],
    discards: Sequence[int],
    *,
    rows: Mapping[str, int] | None = None,
) -> None:
    """Do what had to wait for the commit; safe to repeat from the ledger after a crash, which forgets the ``rows``."""
    if move.direction.origin == "backup":
        return
    _, ledger = move.books()
    origin = lane.session(move.direction.origin)
    for start in range(0, len(objects), move.object_cap):
        group = list(objects[start : start + move.object_cap])
        with origin.transaction():
            _unlink(origin, _unshared(origin, move, group))
    if not discards:
        ledger.deleted(batch, kept, rows=rows)
        return
    backup = lane.session("backup")
    with backup.transaction():
        if move.direction.copies:
            _take_back(backup, move, [m for root in discards for m in batch.trees().get(root, [])])
        ledger.deleted(batch, kept, backup, rows)


def _take_back(backup: psycopg.Connection[Any], move: Move, members: Sequence[int]) -> None:
    """Delete the copy of trees that stay at the origin, which has every row of them."""
    found = keys.resolve(backup, move.catalogue, members)
    with backup.pipeline():
        for table in reversed(move.catalogue.tables):
            statement = statements.delete(table, found.filled, archive=True)
            if statement is not None:
                backup.execute(statement, found.parameters)


def _unshared(origin: psycopg.Connection[Any], move: Move, numbers: list[int]) -> list[int]:
    """Leave a large object that another row still points to: only its last reference takes it along."""
    shared = [number for number in numbers if number in move.shared_objects]
    if not shared:
        return numbers
    still = lob_modes.references_left(origin, move.catalogue, JBPM, shared)
    return [number for number in numbers if number not in still]


def _unlink(origin: psycopg.Connection[Any], numbers: Sequence[int]) -> None:
    if numbers:
        origin.execute(load_sql("primary/unlink_objects"), {"numbers": array_literal(numbers)})
