"""Gets a batch through: retries what is worth it, takes changed trees out, takes up what a dead run left open.

Between the steps (``steps.py``), which count and report, and the two halves of a move (``transfer.py``,
``removal.py``), which do one batch once.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import psycopg
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential, wait_random

from archival_pipeline import errors
from archival_pipeline.archival import together
from archival_pipeline.archival.audit import AuditEntry, AuditLog, AuditStatus, AuditStep, AuditType
from archival_pipeline.archival.digests import Measure
from archival_pipeline.archival.filters import parse_filters
from archival_pipeline.archival.keys import array_literal
from archival_pipeline.archival.ledger import Ledger
from archival_pipeline.archival.removal import Removed, after_commit, delete_batch
from archival_pipeline.archival.transfer import Copied, as_recorded, copy_batch
from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from archival_pipeline.archival.lanes import Lane
    from archival_pipeline.archival.ledger import Batch, TreeReport
    from archival_pipeline.archival.move import Move
    from archival_pipeline.database.locks import OperationLock

_ATTEMPTS = 5
Result = TypeVar("Result")


def copy(lane: Lane, move: Move, batches: Sequence[Batch], *, thorough: bool) -> Iterator[tuple[Batch, Copied]]:
    """Copy batches, together if that works; try again where the reason may pass by itself.

    Yields:
        Each batch and what was done with it, as soon as it stands at the destination.
    """
    several = _copy_together(lane, move, batches, thorough=thorough) if len(batches) > 1 else None
    if several is not None:
        yield from zip(batches, several, strict=True)
        return
    for batch in batches:
        yield batch, _copy_one(lane, move, batch, thorough=thorough)


def _copy_together(lane: Lane, move: Move, batches: Sequence[Batch], *, thorough: bool) -> list[Copied] | None:
    """Copy batches together, or nothing of them where something is in the way.

    Whatever that is, it is met again, and told, when each of them is copied by itself.
    """
    with suppress(psycopg.Error, errors.VerificationError), move.pace.timing("copy", len(batches)):
        return together.copy(lane, move, [_planned(lane, move, batch) for batch in batches], thorough=thorough)
    return None


def _planned(lane: Lane, move: Move, batch: Batch) -> Batch:
    """The batch as the ledger has it now.

    Raises:
        VerificationError: it is not planned any more.
    """
    now = settle(lane, move, move.books()[1].reload(batch))
    if now.state != "planned":
        raise errors.VerificationError(f"Batch {now.batch} is {now.state}.")
    return now


def _copy_one(lane: Lane, move: Move, batch: Batch, *, thorough: bool) -> Copied:
    """Copy a batch, trying again when the reason may pass by itself."""

    def settle_and_copy() -> Copied:
        now = settle(lane, move, move.books()[1].reload(batch))
        return copy_batch(lane, move, now, thorough=thorough) if now.state == "planned" else as_recorded(now)

    with move.pace.timing("copy"):
        return _again(move, AuditStep.EXECUTE, batch, settle_and_copy)


def delete(lane: Lane, move: Move, batch: Batch) -> Removed:
    """Delete a batch, trying again when the reason may pass by itself."""

    def settle_and_delete() -> Removed:
        # The attempt before may have committed without our hearing of it.
        now = settle(lane, move, move.books()[1].reload(batch))
        if now.state == "copied":
            return delete_batch(lane, move, now)
        return Removed(dict(now.table_rows or {})) if now.state == "deleted" else Removed()

    with move.pace.timing("delete"):
        removed = _again(move, AuditStep.DELETE, batch, settle_and_delete)
    move.pace.rest()
    return removed


def _again(move: Move, step: AuditStep, batch: Batch, work: Callable[[], Result]) -> Result:
    """Retry transient failures with a growing, jittered pause; the pause ends early when the work should stop.

    A batch that fails for good leaves its own row in the audit.
    """

    def attempt() -> Result:
        move.signal.check()
        return work()

    retrying = Retrying(
        retry=retry_if_exception(_is_transient),
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_exponential(multiplier=0.2, max=10.0) + wait_random(0.0, 1.0),
        sleep=move.signal.rest,
        reraise=True,
    )
    try:
        return retrying(attempt)
    except psycopg.Error as error:
        said = errors.from_database(error, f"the step {step} of batch {batch.batch}")
        _tell(move, step, batch, said)
        raise said from error
    except errors.CancelledError:
        raise
    except errors.ArchivalError as error:
        _tell(move, step, batch, error)
        raise


def _tell(move: Move, step: AuditStep, batch: Batch, error: errors.ArchivalError) -> None:
    move.audit.write(
        AuditEntry(
            step=step,
            status=AuditStatus.FAILED,
            batch_number=batch.batch,
            process_instance_ids=batch.member_ids,
            error=error,
        )
    )


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, psycopg.Error):
        error = errors.from_database(error, "working")
    return isinstance(error, errors.TransientDatabaseError)


def reconcile(move: Move) -> list[Batch]:
    """Finish every open batch that dead runs have left, before anything new is planned.

    Only the holder of the operation lock may call this: then no open batch belongs to a living run.

    Returns:
        The batches it finished.
    """
    if move.options.dry_run:
        return []
    lock, ledger = move.books()
    finished = []
    for batch in ledger.open_batches():
        row = ledger.operation(batch.audit_id)
        then = move.as_operation(row, Ledger(lock.connection, batch.audit_id))
        # A later run only adds to the audit of an operation that has ended: its last word stays what it was.
        ended = AuditStatus.IN_PROGRESS if row["status"] == "in_progress" else AuditStatus(row["status"])
        try:
            finish(then.control, then, batch, ended)
        except errors.DatabaseError:
            # It stays open, and its own audit tells why: one batch that cannot be finished now must not hold back
            # every later operation.
            continue
        finished.append(ledger.reload(batch))
    _bury(move, ledger, lock)
    return finished


def finish(lane: Lane, move: Move, batch: Batch, status: AuditStatus) -> None:
    """Bring one open batch to its end, from what is really in both databases."""
    batch = settle(lane, move, batch)
    if batch.state == "copied":
        removed = delete(lane, move, batch)
        details = {"finishedByLaterRun": True, "rows": removed.rows, "largeObjectsUnlinked": removed.objects}
        entry = AuditEntry(
            step=AuditStep.DELETE,
            status=status,
            batch_number=batch.batch,
            process_instance_ids=batch.member_ids,
            details=details,
        )
        move.audit.write(entry)


def _bury(move: Move, ledger: Ledger, lock: OperationLock) -> None:
    """Close the operations of runs that died without a word, so that nobody waits for them."""
    for row in ledger.dead_operations():
        error = errors.ArchivalError(
            f"The run of this operation died; operation {move.audit_id} has finished its open batches.",
            resolve="Launch the job again for what was not begun.",
            code="RUN_DIED",
        )
        audit = AuditLog(lock.connection, row["audit_id"], AuditType(row["operation"]), parse_filters(row["filters"]))
        audit.write(AuditEntry(step=AuditStep.COMPLETE, status=AuditStatus.FAILED, error=error))
        Ledger(lock.connection, row["audit_id"]).close_operation("failed")


def settle(lane: Lane, move: Move, batch: Batch) -> Batch:
    """Ask for the fate of the transaction that an open batch waits for, and record it; never guess.

    Raises:
        TransientDatabaseError: it has not ended yet.
    """
    if batch.state not in ("copying", "deleting"):
        return batch
    _, ledger = move.books()
    status, there = _fate(lane, batch)
    if status == "in progress":
        raise errors.TransientDatabaseError(
            f"The primary's transaction {batch.primary_transaction} of batch {batch.batch} has not ended yet.",
            resolve="Wait for it, or end its session (pg_stat_activity), then run the same job again.",
            code="55P03",
        )
    trees = batch.trees()
    gone = {root: members for root, members in trees.items() if there.isdisjoint(members)}
    # A server that crashed may give the number of a transaction it lost to another one: the rows have the last word.
    done = status != "aborted" and bool(there if batch.state == "copying" else gone)
    if not done:
        ledger.back_to(batch, "planned" if batch.state == "copying" else "copied")
    elif batch.state == "copying":
        ledger.copied(batch, trees, batch.table_rows or {}, Measure(batch.expected, batch.lost_objects))
    else:
        # A tree that has gone meanwhile has its only copy here: nothing of it is taken back.
        discards = [root for root in batch.pending_discards if root not in gone]
        after_commit(lane, move, batch, gone, batch.pending_objects, discards)
    return ledger.reload(batch)


def _fate(lane: Lane, batch: Batch) -> tuple[str | None, set[int]]:
    """What became of the batch's transaction in the primary, None if it is forgotten; and which members are there."""
    parameters = {"transaction": batch.primary_transaction, "members": array_literal(batch.member_ids)}
    primary = lane.session("primary")
    with primary.transaction():
        row = primary.execute(load_sql("primary/transaction_fate"), parameters).fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM returns one row
    return row[0], set(row[1])


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
