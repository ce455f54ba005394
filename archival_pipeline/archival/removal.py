"""Deletes one copied batch from the origin, if what is deleted equals what was read back at the destination.

One transaction of the origin: lock the instances, ask again whether they may go, delete in reverse order of the foreign
keys, compare the digest of what was really deleted with the ledger table by table, unlink the large objects, write the
transaction's id to the ledger, commit. Anything else than equality rolls back. Not here: copying (``transfer.py``),
what to do about a batch that changed (``recovery.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archival_pipeline import errors
from archival_pipeline.archival import digests, keys, trees
from archival_pipeline.archival.digests import Digest
from archival_pipeline.archival.keys import array_literal
from archival_pipeline.catalogue import lob_modes, preflight, statements
from archival_pipeline.catalogue.jbpm import JBPM
from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from archival_pipeline.archival.keys import Keys
    from archival_pipeline.archival.lanes import Lane
    from archival_pipeline.archival.ledger import Batch, TreeReport
    from archival_pipeline.archival.move import Move


class BatchChangedError(errors.VerificationError):
    """The batch at the origin is no longer what was copied; nothing was deleted.

    Attributes:
        reports: trees that may not go any more, by root; empty if only content differs.
    """

    def __init__(self, summary: str, reports: dict[int, TreeReport] | None = None) -> None:
        self.reports = reports or {}
        super().__init__(summary, resolve="The batch is copied again, or its trees are left alone and reported.")


@dataclass(frozen=True, slots=True)
class Removed:
    """What deleting a batch did.

    Attributes:
        rows: rows deleted, all tables.
        objects: large objects unlinked.
    """

    rows: int
    objects: int


def delete_batch(lane: Lane, move: Move, batch: Batch) -> Removed:
    """Delete a copied batch from the origin.

    Raises:
        BatchChangedError: it changed since it was copied; rolled back.
        DatabaseError: the server refused; rolled back.
    """
    _, ledger = move.books()
    origin = lane.origin_session()
    with origin.transaction():
        _still_the_same(origin, move, batch)
        found = keys.resolve(origin, move.catalogue, batch.member_ids)
        gone, numbers = _delete_rows(origin, move, found)
        wrong = digests.differences(batch.expected, gone)
        if wrong:
            raise BatchChangedError(f"What would be deleted is not what was copied: {'; '.join(wrong)}.")
        numbers = _unshared(origin, move, numbers)
        now, later = numbers[: move.object_cap], numbers[move.object_cap :]
        _unlink(origin, now)
        row = origin.execute("SELECT pg_current_xact_id()::text").fetchone()
        assert row is not None  # noqa: S101 - a SELECT without FROM returns one row
        ledger.deleting(batch, row[0], later)
    unlink_pending(origin, move, later)
    ledger.deleted(batch)
    return Removed(sum(d.rows for d in gone.values()), len(numbers))


def _still_the_same(origin: psycopg.Connection[Any], move: Move, batch: Batch) -> None:
    """Lock the instances, then look again at everything that made the batch eligible."""
    parameters = {"process": array_literal(batch.member_ids)}
    origin.execute(load_sql("primary/lock_members"), parameters)
    origin.execute(load_sql("primary/lock_states"), parameters)
    if preflight.fingerprint(origin, [table.name for table in move.catalogue.tables]) != move.fingerprint:
        raise errors.PreflightError(["the columns of the primary's tables changed during the run: run `migrate`"])
    if not move.options.include_running:
        reports = trees.obstacles(origin, batch.trees(), move.date_limit)
        if reports:
            raise BatchChangedError(f"{len(reports)} tree(s) may not go any more.", reports)
    arrived = trees.new_children(origin, batch.member_ids)
    if arrived:
        parent, child = next(iter(arrived.items()))
        raise BatchChangedError(f"Instance {child} has become a child of {parent} since the batch was copied.")


def _delete_rows(origin: psycopg.Connection[Any], move: Move, found: Keys) -> tuple[dict[str, Digest], list[int]]:
    """Delete children first, all in one round trip; return digests and large objects of what was deleted."""
    cursors = {}
    with origin.pipeline():
        for table in reversed(move.catalogue.tables):
            statement = statements.delete(table, found.filled, archive=False)
            if statement is not None:
                cursors[table.name] = origin.execute(statement, found.parameters)
    gone: dict[str, Digest] = {}
    numbers: set[int] = set()
    for name, cursor in cursors.items():
        row = cursor.fetchone()
        assert row is not None  # noqa: S101 - an aggregate returns one row
        if row[0]:
            gone[name] = Digest.from_sums(row[0], row[1], row[2])
        numbers.update(row[6] or ())
    return gone, sorted(numbers)


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


def unlink_pending(origin: psycopg.Connection[Any], move: Move, numbers: Sequence[int]) -> None:
    """Unlink what one transaction could not, group by group; the ledger remembers them until all are gone."""
    for start in range(0, len(numbers), move.object_cap):
        group = list(numbers[start : start + move.object_cap])
        with origin.transaction():
            still = lob_modes.references_left(origin, move.catalogue, JBPM, group)
            _unlink(origin, [number for number in group if number not in still])
