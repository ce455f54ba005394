"""Gets a batch through: retries what is worth it, takes changed trees out, takes up what a dead run left open.

Between the steps (``steps.py``), which count and report, and the two halves of a move (``transfer.py``, ``removal.py``),
which do one batch once.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeVar

import psycopg
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from archival_pipeline import errors
from archival_pipeline.archival import trees
from archival_pipeline.archival.keys import array_literal, resolve
from archival_pipeline.archival.ledger import TreeReport
from archival_pipeline.archival.removal import BatchChangedError, Removed, delete_batch
from archival_pipeline.archival.transfer import Copied, copy_batch
from archival_pipeline.catalogue import statements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from archival_pipeline.archival.lanes import Lane
    from archival_pipeline.archival.ledger import Batch
    from archival_pipeline.archival.move import Move
    from archival_pipeline.archival.trees import Trees

_ATTEMPTS = 5
Result = TypeVar("Result")


def copy(lane: Lane, move: Move, batch: Batch) -> Copied:
    """Copy a batch, trying again when the reason may pass by itself."""
    return _again(move, lambda: copy_batch(lane, move, batch), f"copying batch {batch.batch}")


def delete(lane: Lane, move: Move, batch: Batch) -> Removed:
    """Delete a batch, trying again when the reason may pass by itself."""
    removed = _again(move, lambda: delete_batch(lane, move, batch), f"deleting batch {batch.batch}")
    move.signal.rest(move.options.pause_between_batches_ms / 1_000)
    return removed


def _again(move: Move, work: Callable[[], Result], doing: str) -> Result:
    """Retry transient failures with a growing, jittered pause; the pause ends early when the work should stop."""
    retrying = Retrying(
        retry=retry_if_exception(_is_transient),
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_exponential_jitter(initial=0.2, max=10.0),
        sleep=move.signal.rest,
        reraise=True,
    )
    try:
        return retrying(lambda: (move.signal.check(), work())[1])
    except psycopg.Error as error:
        raise errors.from_database(error, doing) from error


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, psycopg.Error) and isinstance(
        errors.from_database(error, "working"), errors.TransientDatabaseError
    )


def eligible(move: Move, batches: Sequence[Batch]) -> Iterator[tuple[Batch, Trees, list[TreeReport]]]:
    """For each batch the trees that may move, and reports of those that may not. Reads the origin once per wave."""
    origin = move.control.origin_session()
    with origin.transaction():
        every = trees.closure(origin, [root for batch in batches for root in batch.root_ids])
        stay: dict[int, TreeReport] = {}
        if not move.options.include_running:
            stay |= trees.shared_content(origin, every)
            stay |= trees.obstacles(origin, every, move.date_limit)
    for batch in batches:
        may_go = {root: every[root] for root in batch.root_ids if root not in stay and every[root]}
        yield batch, may_go, [stay[root] for root in batch.root_ids if root in stay]


def insert_shared(move: Move, batches: Sequence[Batch]) -> None:
    """Make sure that the users and groups of a wave stand in the destination, before any lane needs them."""
    members = [member for batch in batches for member in batch.member_ids]
    if not members:
        return
    with move.control.snapshot() as origin:
        found = resolve(origin, move.catalogue, members)
        rows = {
            table.name: [json.loads(row[0]) for row in origin.execute(query, found.parameters)]
            for table in move.catalogue.shared
            if (query := statements.select_shared(table, found.filled)) is not None
        }
    destination = move.control.destination_session()
    with destination.transaction():
        for table in move.catalogue.shared:
            if rows.get(table.name):
                destination.execute(statements.insert_missing(table), {"rows": json.dumps(rows[table.name])})


def reconcile(move: Move) -> None:
    """Finish the open batches that a dead run of the same kind has left, before anything new is planned."""
    for batch in move.ledger.open_batches("backup"):
        delete(move.control, move, batch)


def as_error(quarantined: Sequence[TreeReport]) -> errors.ArchivalError | None:
    """What the audit says about quarantined trees, if there are any; the first stands for all."""
    if not quarantined:
        return None
    first = quarantined[0]
    return errors.DatabaseError(
        f"{len(quarantined)} tree(s) quarantined; the first is instance {first.root_id} ({first.reason}).",
        resolve=first.detail or "",
        code=first.error_code or "QUARANTINED",
    )
