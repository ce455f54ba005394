"""Copies one batch to the destination, reads it back there, and commits only what is equal.

The life of a batch here: its keys are resolved and its rows measured in one snapshot of the origin; each table is
streamed with COPY into one transaction of the destination; the destination is measured over the same keys; if every
table is equal, the ledger says ``copied`` in that same transaction. Safe to run again: nothing outside the batch is
touched, and a batch that failed has left nothing.

A tree that cannot be copied is quarantined with its reason, and the rest of its batch goes on without it. Not here:
deleting (``removal.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from archival_pipeline import errors
from archival_pipeline.archival import digests, keys
from archival_pipeline.archival.keys import array_literal
from archival_pipeline.archival.ledger import TreeReport
from archival_pipeline.catalogue import statements
from archival_pipeline.database import copying
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
        VerificationError: the destination does not give back what was sent; nothing was written.
    """
    trees = batch.trees()
    if not _present(lane, batch.member_ids):
        try:
            return _commit(lane, move, batch, trees, already={})
        except TreeFaultError:
            pass
        except psycopg.Error as error:
            if (error.sqlstate or "")[:2] not in _ROW_FAULTS:
                raise
    return _copy_apart(lane, move, batch, trees)


def _present(lane: Lane, members: Sequence[int]) -> bool:
    """Whether the destination already has an instance of the batch."""
    with lane.destination_session().transaction():
        rows = lane.destination_session().execute(
            load_sql("common/present_members"), {"process": array_literal(members)}
        )
        return rows.fetchone() is not None


def _copy_apart(lane: Lane, move: Move, batch: Batch, trees: Trees) -> Copied:
    """Look at every tree by itself, then copy the good ones together."""
    good: Trees = {}
    already: Trees = {}
    bad: list[TreeReport] = []
    for root, members in trees.items():
        move.signal.check()
        verdict = _examine(lane, move, root, members)
        if verdict is None:
            good[root] = members
        elif verdict == "already":
            already[root] = members
        else:
            bad.append(verdict)
    move.ledger.report(batch, bad)
    if not good and not already:
        move.ledger.set_members(batch, {})
        return Copied(0, {}, 0, 0, tuple(bad))
    copied = _commit(lane, move, batch, good, already)
    return Copied(copied.trees, copied.rows, copied.size, copied.lost_objects, tuple(bad))


def _examine(lane: Lane, move: Move, root: int, members: Sequence[int]) -> TreeReport | str | None:
    """Try one tree: None if it can be copied, ``already`` if its like stands there, else why it cannot."""
    try:
        with lane.snapshot() as origin, lane.destination_session().transaction(force_rollback=True):
            found, ours = _measure(origin, move, members)
            _refuse_ambiguous(ours)
            theirs = digests.measure(lane.destination_session(), move.catalogue, found, archive=True)
            if theirs.rows == 0:
                _stream(lane, origin, move, found, ours)
                theirs = digests.measure(lane.destination_session(), move.catalogue, found, archive=True)
                return None if theirs.digests == ours.digests else _not_the_same(root, ours, theirs)
            return "already" if theirs.digests == ours.digests else _other_content(root, ours, theirs)
    except psycopg.Error as error:
        if (error.sqlstate or "")[:2] not in _ROW_FAULTS:
            raise
        return _refused(root, error)
    except TreeFaultError as error:
        return TreeReport(root, "quarantined", "ambiguous_large_object", root, error.code, str(error))


def _commit(lane: Lane, move: Move, batch: Batch, trees: Trees, already: Trees) -> Copied:
    """Copy trees in one transaction; ``already`` are verified with them but stand there before."""
    destination = lane.destination_session()
    with lane.snapshot() as origin:
        found, ours = _measure(origin, move, _members(trees))
        _refuse_ambiguous(ours)
        with destination.transaction():
            _stream(lane, origin, move, found, ours)
            theirs = digests.measure(destination, move.catalogue, found, archive=True)
            if theirs.digests != ours.digests:
                raise TreeFaultError("; ".join(digests.differences(ours.digests, theirs.digests)), code="DIGEST_MISMATCH")
            for members in already.values():
                # Each was found equal a moment ago, and only the lock's holder writes here.
                more = digests.measure(destination, move.catalogue, keys.resolve(destination, move.catalogue, members), archive=True)
                ours = ours + more
            lock, ledger = move.books()
            lock.fence(destination)
            ledger.copied(destination, batch, trees | already, ours.digests, ours.lost)
    return Copied(
        trees=len(trees) + len(already),
        rows={name: digest.rows for name, digest in ours.filled().items()},
        size=ours.size,
        lost_objects=ours.lost,
    )


def _measure(origin: psycopg.Connection[Any], move: Move, members: Sequence[int]) -> tuple[Keys, Measure]:
    found = keys.resolve(origin, move.catalogue, members)
    return found, digests.measure(origin, move.catalogue, found, archive=False)


def _stream(lane: Lane, origin: psycopg.Connection[Any], move: Move, found: Keys, ours: Measure) -> None:
    """Send every table that has rows, parents first."""
    destination = lane.destination_session()
    for table in move.catalogue.tables:
        if ours.digests.get(table.name, digests.EMPTY).rows:
            move.signal.check()
            copying.stream(
                origin,
                statements.copy_out(table, found.filled),
                found.parameters,
                destination,
                statements.copy_in(table),
            )


def _members(trees: Trees) -> list[int]:
    return [member for members in trees.values() for member in members]


def _refuse_ambiguous(ours: Measure) -> None:
    if ours.ambiguous:
        raise TreeFaultError(
            f"{ours.ambiguous} value(s) of digits may be a text or the number of a large object.",
            resolve="Look at the values; then set BPM_CLOB_MODE to pointer or to text for this primary.",
            code="AMBIGUOUS_LARGE_OBJECT",
        )


def _refused(root: int, error: psycopg.Error) -> TreeReport:
    """The destination refused a row of the tree; name table and key, never another value."""
    said = errors.from_database(error, f"copying the tree of instance {root}")
    key = f" Key: {error.diag.message_detail}" if error.sqlstate == "23505" and error.diag.message_detail else ""
    reason = "unique_violation" if error.sqlstate == "23505" else "refused_by_destination"
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
