"""Copies one batch to the destination, reads it back there, and commits only what is equal.

The life of a batch here: its keys are resolved and its rows measured in one snapshot of the origin; each table is
streamed with COPY into one transaction of the destination; the destination is measured over the same keys; if every
table is equal, the batch is committed and the ledger says ``copied``. Safe to run again: nothing outside the batch is
touched, and a batch that failed has left nothing.

A tree that cannot be copied is quarantined with its reason, and the rest of its batch goes on without it. Not here:
deleting (``removal.py``), how rows get into a table (``writing.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import psycopg

from archival_pipeline import errors
from archival_pipeline.archival import digests, keys, writing
from archival_pipeline.archival.direction import is_archive
from archival_pipeline.archival.keys import array_literal
from archival_pipeline.archival.ledger import TreeReport
from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archival_pipeline.archival.digests import Measure
    from archival_pipeline.archival.keys import Keys
    from archival_pipeline.archival.lanes import Lane
    from archival_pipeline.archival.ledger import Batch
    from archival_pipeline.archival.move import Move
    from archival_pipeline.archival.trees import Trees

# SQLSTATE classes that say «these rows, not this moment»: the batch is taken apart to find the tree.
_ROW_FAULTS = ("22", "23")


class TreeFaultError(errors.ArchivalError):
    """Some tree of the batch cannot be copied as it is."""

    code = "TREE_FAULT"


@dataclass(frozen=True, slots=True)
class Copied:
    """What copying a batch did.

    Attributes:
        trees: trees that stand in the destination now.
        rows: rows by table.
        size: bytes of the rows' images.
        lost_objects: large-object numbers that point nowhere.
        quarantined: trees that could not be copied.
    """

    trees: int
    rows: dict[str, int]
    size: int
    lost_objects: int
    quarantined: tuple[TreeReport, ...] = ()


def copy_batch(lane: Lane, move: Move, batch: Batch) -> Copied:
    """Copy a planned batch and verify it at the destination.

    Raises:
        DatabaseError: a server refused for a reason that lies in no tree; nothing was written.
        LookupError: the origin no longer has the batch.
    """
    trees = batch.trees()
    if not _present(lane, move, batch.member_ids):
        try:
            return _commit(lane, move, batch, trees, already={})
        except TreeFaultError:
            pass
        except psycopg.Error as error:
            if not _lies_in_rows(error):
                raise
    # A commit whose answer was lost may have come through only now; then its rows are what stands in the way.
    now = move.books()[1].reload(batch)
    return _copy_apart(lane, move, batch, trees) if now.state == "planned" else as_recorded(now)


def as_recorded(batch: Batch) -> Copied:
    """What the ledger says about a batch that was copied before."""
    rows = {name: digest.rows for name, digest in batch.expected.items()}
    return Copied(len(batch.trees()), rows, 0, batch.lost_objects)


def _present(lane: Lane, move: Move, members: Sequence[int]) -> bool:
    """Whether the destination already has an instance of the batch."""
    destination = lane.session(move.direction.destination)
    with destination.transaction():
        rows = destination.execute(load_sql("common/present_members"), {"process": array_literal(members)})
        return rows.fetchone() is not None


def _copy_apart(lane: Lane, move: Move, batch: Batch, trees: Trees) -> Copied:
    """Look at every tree by itself, then copy the good ones together."""
    good: Trees = {}
    already: Trees = {}
    bad: list[TreeReport] = []
    for root, members in trees.items():
        move.signal.check()
        verdict = _examine(lane, move, root, members)
        if isinstance(verdict, TreeReport):
            bad.append(verdict)
        else:
            (already if verdict else good)[root] = members
    move.ledger.report(batch, bad)
    if not good and not already:
        move.ledger.set_members(batch, {})
        return Copied(0, {}, 0, 0, tuple(bad))
    return replace(_commit(lane, move, batch, good, already), quarantined=tuple(bad))


def _examine(lane: Lane, move: Move, root: int, members: Sequence[int]) -> TreeReport | bool:
    """Try one tree: whether its like stands at the destination already, or why it cannot be copied."""
    destination = lane.session(move.direction.destination)
    try:
        with lane.snapshot(move.direction.origin) as origin, destination.transaction(force_rollback=True):
            _by_index(destination)
            found, ours = _measure(origin, move, members)
            theirs = _read_back(destination, move, found)
            if theirs.rows:
                return True if theirs.digests == ours.digests else _other_content(root, ours, theirs)
            writing.write_rows(origin, destination, move, found, ours)
            theirs = _read_back(destination, move, found)
            return False if theirs.digests == ours.digests else _not_the_same(root, ours, theirs)
    except psycopg.Error as error:
        if not _lies_in_rows(error):
            raise
        return _refused(root, error)
    except TreeFaultError as error:
        return TreeReport(root, "quarantined", "ambiguous_large_object", root, error.code, str(error))


def _commit(lane: Lane, move: Move, batch: Batch, trees: Trees, already: Trees) -> Copied:
    """Copy trees in one transaction; ``already`` stand there before and are only measured with them."""
    lock, ledger = move.books()
    every = trees | already
    destination = lane.session(move.direction.destination)
    with lane.snapshot(move.direction.origin) as origin:
        found, ours = _measure(origin, move, [member for members in trees.values() for member in members])
        standing = [_measure(origin, move, members) for members in already.values()]
        with destination.transaction():
            _by_index(destination)
            writing.write_rows(origin, destination, move, found, ours)
            theirs = _read_back(destination, move, found)
            for their_keys, measured in standing:
                ours, theirs = ours + measured, theirs + _read_back(destination, move, their_keys)
            wrong = digests.differences(ours.digests, theirs.digests)
            if wrong:
                raise TreeFaultError(f"The destination gave back something else: {'; '.join(wrong)}.")
            if move.direction.ledger_with_copy:
                lock.fence(destination)
                ledger.copied(batch, every, ours, destination)
            else:
                ledger.copying(batch, every, ours, current_transaction(destination))
    if not move.direction.ledger_with_copy:
        ledger.copied(batch, every, ours)
    return Copied(len(every), {name: d.rows for name, d in ours.filled().items()}, ours.size, ours.lost)


def verify_batch(lane: Lane, move: Move, batch: Batch) -> Copied:
    """For a bulk deletion: record what is to be deleted; trees that the other database must hold and does not, stay."""
    _, ledger = move.books()
    kept: Trees = {}
    stay: list[TreeReport] = []
    total = digests.Measure({})
    other = lane.session(move.direction.destination)
    with lane.snapshot(move.direction.origin) as origin:
        for root, members in batch.trees().items():
            found, ours = _measure(origin, move, members)
            if move.compares:
                with other.transaction():
                    theirs = _read_back(other, move, found)
                wrong = digests.differences(ours.digests, theirs.digests)
                if wrong:
                    detail = f"the other database does not hold the same: {'; '.join(wrong)}"
                    stay.append(TreeReport(root, "skipped", "not_backed_up", root, detail=detail))
                    continue
            kept[root] = members
            total = total + ours
    move.ledger.report(batch, stay)
    if not kept:
        ledger.set_members(batch, {})
        return Copied(0, {}, 0, 0, tuple(stay))
    ledger.copied(batch, kept, total)
    return Copied(len(kept), {name: d.rows for name, d in total.filled().items()}, total.size, total.lost, tuple(stay))


def _by_index(destination: psycopg.Connection[Any]) -> None:
    """Read back by index only: a destination that was empty a moment ago has no statistics, and its plans would scan."""
    destination.execute("SET LOCAL enable_seqscan = off")


def current_transaction(session: psycopg.Connection[Any]) -> str:
    """The id of the session's transaction, by which its fate can be asked for later."""
    row = session.execute("SELECT pg_current_xact_id()::text").fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM returns one row
    return str(row[0])


def _measure(origin: psycopg.Connection[Any], move: Move, members: Sequence[int]) -> tuple[Keys, Measure]:
    found = keys.resolve(origin, move.catalogue, members)
    ours = digests.measure(origin, move.catalogue, found, archive=is_archive(move.direction.origin))
    if ours.ambiguous:
        raise TreeFaultError(
            f"{ours.ambiguous} value(s) of digits may be a text or the number of a large object.",
            resolve="Look at the values; then set BPM_CLOB_MODE to pointer or to text for this primary.",
            code="AMBIGUOUS_LARGE_OBJECT",
        )
    return found, ours


def _read_back(destination: psycopg.Connection[Any], move: Move, found: Keys) -> Measure:
    return digests.measure(destination, move.catalogue, found, archive=is_archive(move.direction.destination))


def _lies_in_rows(error: psycopg.Error) -> bool:
    return (error.sqlstate or "")[:2] in _ROW_FAULTS


def _refused(root: int, error: psycopg.Error) -> TreeReport:
    """The destination refused a row of the tree; name table and key, never another value."""
    said = errors.from_database(error, f"copying the tree of instance {root}")
    unique = error.sqlstate == "23505"
    key = f" {error.diag.message_detail}" if unique and error.diag.message_detail else ""
    reason = "unique_violation" if unique else "refused_by_destination"
    return TreeReport(root, "quarantined", reason, root, said.code, f"{said.summary}{key} {said.resolve}")


def _other_content(root: int, ours: Measure, theirs: Measure) -> TreeReport:
    """The destination has rows of the tree, and they are not the same."""
    tables = "; ".join(digests.differences(ours.digests, theirs.digests))
    detail = (
        f"The destination already holds other content for the tree with key processinstanceid = {root}: {tables}. "
        "Compare both; then delete the conflicting instances on that side (delete-bulk) or keep them, "
        "and run the same job again."
    )
    return TreeReport(root, "quarantined", "other_content", root, "23505", detail)


def _not_the_same(root: int, ours: Measure, theirs: Measure) -> TreeReport:
    """What was sent did not come back equal: something at the destination changes rows."""
    tables = "; ".join(digests.differences(ours.digests, theirs.digests))
    detail = f"The destination changed what was sent: {tables}. Look for triggers and rules on its tables."
    return TreeReport(root, "quarantined", "changed_by_destination", root, "DIGEST_MISMATCH", detail)
