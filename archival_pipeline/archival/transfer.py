"""Copies one batch to the destination, in one transaction there, from one snapshot of the origin.

The life of a batch here: its keys are resolved in the snapshot; each table is streamed with COPY, and the destination
must have taken as many rows as the origin gave; where the proof belongs to the copy, both sides are measured over the
same keys and must be equal; then the batch is committed and the ledger says ``copied``. Safe to run again: nothing
outside the batch is touched, and a batch that failed has left nothing.

A tree that cannot be copied is quarantined with its reason, and the rest of its batch goes on without it. Not here:
deleting (``removal.py``), how rows get into a table (``writing.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import psycopg

from archival_pipeline import errors
from archival_pipeline.archival import digests, keys, writing
from archival_pipeline.archival.digests import Measure
from archival_pipeline.archival.direction import is_archive
from archival_pipeline.archival.keys import array_literal
from archival_pipeline.archival.ledger import TreeReport
from archival_pipeline.catalogue.binding import ClobMode
from archival_pipeline.database.sqlfiles import load_sql
from archival_pipeline.database.transactions import current_transaction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archival_pipeline.archival.keys import Keys
    from archival_pipeline.archival.lanes import Lane
    from archival_pipeline.archival.ledger import Batch
    from archival_pipeline.archival.move import Move
    from archival_pipeline.archival.trees import Trees

# SQLSTATEs, or their classes, that say «these rows, not this moment»: the batch is taken apart to find the tree.
_ROW_FAULTS = ("22", "23", "54000")


class AmbiguousObjectError(errors.VerificationError):
    """A value can be read both as a text and as the number of a large object."""

    code = "AMBIGUOUS_LARGE_OBJECT"


@dataclass(frozen=True, slots=True)
class Copied:
    """What copying a batch did.

    Attributes:
        trees: trees that stand in the destination now.
        rows: rows by table.
        size: bytes of the rows' images.
        lost_objects: large-object numbers that point nowhere.
        quarantined: trees that could not be copied.
        together: numbers of the batches that shared one COPY, this one's among them; empty where it had its own.
    """

    trees: int
    rows: dict[str, int]
    size: int
    lost_objects: int
    quarantined: tuple[TreeReport, ...] = ()
    together: tuple[int, ...] = ()


def copy_batch(lane: Lane, move: Move, batch: Batch, *, thorough: bool) -> Copied:
    """Copy a planned batch to the destination.

    Args:
        lane: its sessions.
        move: the operation.
        batch: planned, with its trees.
        thorough: compare the digests of both sides before the commit, too. A restore always does; a backup does it for
            one batch of each wave, to find at once what would spoil every batch (a trigger, an encoding), and proves
            each batch right before its deletion (``removal.py``).

    Raises:
        DatabaseError: a server refused for a reason that lies in no tree; nothing was written.
    """
    trees = batch.trees()
    thorough = is_thorough(move, thorough)
    if not is_present(lane, move, batch.member_ids):
        try:
            return _commit(lane, move, batch, trees, already={}, thorough=thorough)
        except errors.VerificationError:
            pass
        except psycopg.Error as error:
            if not _lies_in_rows(error):
                raise
    # A commit whose answer was lost may have come through only now; then its rows are what stands in the way.
    now = move.books()[1].reload(batch)
    return _copy_apart(lane, move, batch, trees) if now.state == "planned" else as_recorded(now)


def is_thorough(move: Move, asked: bool) -> bool:  # noqa: FBT001 - the one thing it answers
    """Whether the digests of both sides are compared before a copy commits."""
    return asked or move.direction.proof_with_copy or move.catalogue.clob_mode is ClobMode.MIXED


def as_recorded(batch: Batch) -> Copied:
    """What the ledger says about a batch that was copied before."""
    return Copied(len(batch.trees()), batch.table_rows or {}, 0, batch.lost_objects)


def is_present(lane: Lane, move: Move, members: Sequence[int]) -> bool:
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
    return replace(_commit(lane, move, batch, good, already, thorough=True), quarantined=tuple(bad))


def _examine(lane: Lane, move: Move, root: int, members: Sequence[int]) -> TreeReport | bool:
    """Try one tree: whether its like stands at the destination already, or why it cannot be copied."""
    destination = lane.session(move.direction.destination)
    try:
        with lane.snapshot(move.direction.origin) as origin, destination.transaction(force_rollback=True):
            read_by_index(destination)
            found, ours = _measure(origin, move, members)
            theirs = _read_back(destination, move, found)
            if theirs.rows and not ours.rows:
                return _only_there(root)
            if theirs.rows:
                return True if theirs.digests == ours.digests else _other_content(root, ours, theirs)
            writing.insert_missing(origin, destination, move, found)
            writing.write_rows(origin, destination, move, found)
            theirs = _read_back(destination, move, found)
            return False if theirs.digests == ours.digests else _not_the_same(root, ours, theirs)
    except psycopg.Error as error:
        if not _lies_in_rows(error):
            raise
        return refused(root, error, "copying")
    except AmbiguousObjectError as error:
        return TreeReport(root, "quarantined", "ambiguous_large_object", root, error.code, str(error))
    except errors.VerificationError as error:
        return TreeReport(root, "quarantined", "changed_by_destination", root, error.code, str(error))


def _commit(lane: Lane, move: Move, batch: Batch, trees: Trees, already: Trees, *, thorough: bool) -> Copied:
    """Copy trees in one transaction; ``already`` stand there before and are only measured with them."""
    lock, ledger = move.books()
    every = trees | already
    destination = lane.session(move.direction.destination)
    with lane.snapshot(move.direction.origin) as origin:
        members = [member for some in trees.values() for member in some]
        found = keys.resolve(origin, move.catalogue, members, scanned=move.scanned)
        writing.insert_missing(origin, destination, move, found)
        with destination.transaction():
            read_by_index(destination)
            written = writing.write_rows(origin, destination, move, found)
            proof = None
            if thorough:
                proof = proven(origin, destination, move, [found])
            if already:
                standing = [
                    keys.resolve(origin, move.catalogue, some, scanned=move.scanned) for some in already.values()
                ]
                proof = (proof or Measure({})) + proven(origin, destination, move, standing)
            rows = {name: d.rows for name, d in proof.filled().items()} if proof else written.rows
            if move.direction.ledger_with_copy:
                lock.fence(destination)
                ledger.copied(batch, every, rows, proof, destination)
            else:
                ledger.copying(batch, every, rows, proof, current_transaction(destination))
    if not move.direction.ledger_with_copy:
        ledger.copied(batch, every, rows, proof)
    return Copied(len(every), rows, written.size, proof.lost if proof else 0)


def proven(
    origin: psycopg.Connection[Any], destination: psycopg.Connection[Any], move: Move, several: Sequence[Keys]
) -> Measure:
    """Measure both sides and return what they agree on.

    Raises:
        VerificationError: they differ.
    """
    total = Measure({})
    for found in several:
        ours = _unambiguous(digests.measure(origin, move.catalogue, found, archive=is_archive(move.direction.origin)))
        wrong = digests.differences(ours.digests, _read_back(destination, move, found).digests)
        if wrong:
            raise errors.VerificationError(f"The destination gave back something else: {'; '.join(wrong)}.")
        total = total + ours
    return total


def read_by_index(destination: psycopg.Connection[Any]) -> None:
    """Read back by index only: a destination that was empty has no statistics yet, and its plans would scan."""
    destination.execute("SET LOCAL enable_seqscan = off")


def _measure(origin: psycopg.Connection[Any], move: Move, members: Sequence[int]) -> tuple[Keys, Measure]:
    found = keys.resolve(origin, move.catalogue, members, scanned=move.scanned)
    ours = digests.measure(origin, move.catalogue, found, archive=is_archive(move.direction.origin))
    return found, _unambiguous(ours)


def _unambiguous(ours: Measure) -> Measure:
    if ours.ambiguous:
        raise AmbiguousObjectError(
            f"{ours.ambiguous} value(s) of digits may be a text or the number of a large object.",
            resolve="Look at the values; then set BPM_CLOB_MODE to pointer or to text for this primary.",
        )
    return ours


def _read_back(destination: psycopg.Connection[Any], move: Move, found: Keys) -> Measure:
    return digests.measure(destination, move.catalogue, found, archive=is_archive(move.direction.destination))


def _lies_in_rows(error: psycopg.Error) -> bool:
    return (error.sqlstate or "").startswith(_ROW_FAULTS)


def refused(root: int, error: psycopg.Error, doing: str) -> TreeReport:
    """A server refused a row of the tree; name table and key, never another value."""
    said = errors.from_database(error, f"{doing} the tree of instance {root}")
    if error.sqlstate == "54000":
        return TreeReport(root, "quarantined", "too_large", root, said.code, f"{said.summary} {said.resolve}")
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


def _only_there(root: int) -> TreeReport:
    """The origin has nothing of the tree any more, and the destination has: it is where it should go."""
    detail = "the origin has no row of the tree any more; the destination holds the only copy, which must stay"
    return TreeReport(root, "skipped", "not_there", root, detail=detail)


def _not_the_same(root: int, ours: Measure, theirs: Measure) -> TreeReport:
    """What was sent did not come back equal: something at the destination changes rows."""
    tables = "; ".join(digests.differences(ours.digests, theirs.digests))
    detail = f"The destination changed what was sent: {tables}. Look for triggers and rules on its tables."
    return TreeReport(root, "quarantined", "changed_by_destination", root, "DIGEST_MISMATCH", detail)
