"""Copies several batches at a time: one COPY for each table, one transaction of the destination.

A COPY costs as much as a few hundred rows before its first row, and a batch has two dozen tables. Ledger, audit and
deletion keep to one batch: its rows are counted at the destination by its own keys, before the commit. Not here: what
is done with a batch that cannot be copied with others (``recovery.py``), or cannot be copied at all (``transfer.py``).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from archival_pipeline import errors
from archival_pipeline.archival import keys, transfer, writing
from archival_pipeline.archival.transfer import Copied
from archival_pipeline.catalogue import statements
from archival_pipeline.database.transactions import current_transaction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg

    from archival_pipeline.archival.digests import Measure
    from archival_pipeline.archival.keys import Keys
    from archival_pipeline.archival.lanes import Lane
    from archival_pipeline.archival.ledger import Batch
    from archival_pipeline.archival.move import Move
    from archival_pipeline.archival.writing import Written


def copy(lane: Lane, move: Move, batches: Sequence[Batch], *, thorough: bool) -> list[Copied]:
    """Copy planned batches to the destination, all or none.

    Args:
        lane: its sessions.
        move: the operation.
        batches: planned, with their trees.
        thorough: see ``transfer.copy_batch``.

    Returns:
        What was done with each; the bytes of all of them stand with the first.

    Raises:
        VerificationError: they have to be copied one by one; nothing was written.
        DatabaseError: a server refused; nothing was written.
    """
    destination = lane.session(move.direction.destination)
    if transfer.is_present(lane, move, [member for batch in batches for member in batch.member_ids]):
        raise errors.VerificationError("Some of it stands at the destination already.")
    with lane.snapshot(move.direction.origin) as origin:
        # Each by itself: a row that two batches share belongs to neither of them, as if they were copied apart.
        found = [keys.resolve(origin, move.catalogue, b.member_ids, scanned=move.scanned) for b in batches]
        every = keys.union(found)
        writing.insert_missing(origin, destination, move, every)
        with destination.transaction():
            transfer.read_by_index(destination)
            written = writing.write_rows(origin, destination, move, every)
            proofs = [
                transfer.proven(origin, destination, move, [each]) if transfer.is_thorough(move, thorough) else None
                for each in found
            ]
            rows = [_rows(destination, move, *each) for each in zip(found, proofs, strict=True)]
            _require_all(written, rows)
            _tell_before_commit(destination, move, batches, rows, proofs)
    if not move.direction.ledger_with_copy:
        for batch, some, proof in zip(batches, rows, proofs, strict=True):
            move.books()[1].copied(batch, batch.trees(), some, proof)
    numbers = tuple(batch.batch for batch in batches)
    return [
        Copied(
            trees=len(batch.trees()),
            rows=some,
            size=written.size if batch is batches[0] else 0,
            lost_objects=proof.lost if proof else 0,
            together=numbers,
        )
        for batch, some, proof in zip(batches, rows, proofs, strict=True)
    ]


def _rows(destination: psycopg.Connection[Any], move: Move, found: Keys, proof: Measure | None) -> dict[str, int]:
    """The rows of one batch that stand at the destination now, by table."""
    if proof is not None:
        return {name: digest.rows for name, digest in proof.filled().items()}
    statement = statements.count_rows(move.catalogue, found.filled)
    counted = destination.execute(statement, found.parameters).fetchall() if statement else []
    return {name: number for name, number in counted if number}


def _require_all(written: Written, rows: Sequence[Mapping[str, int]]) -> None:
    """Every row that was written belongs to one batch, and each batch has all of its own."""
    counted: Counter[str] = Counter()
    for some in rows:
        counted.update(some)
    if counted != written.rows:
        raise errors.VerificationError(f"{written.rows} rows were written for batches of {dict(counted)}.")


def _tell_before_commit(
    destination: psycopg.Connection[Any],
    move: Move,
    batches: Sequence[Batch],
    rows: Sequence[Mapping[str, int]],
    proofs: Sequence[Measure | None],
) -> None:
    lock, ledger = move.books()
    if move.direction.ledger_with_copy:
        lock.fence(destination)
    for batch, some, proof in zip(batches, rows, proofs, strict=True):
        if move.direction.ledger_with_copy:
            ledger.copied(batch, batch.trees(), some, proof, destination)
        else:
            ledger.copying(batch, batch.trees(), some, proof, current_transaction(destination))
