"""Runs and steers whole operations in this process: backup, restore, bulk deletion, reconciliation.

The command line calls these. Not here: the steps (``steps.py``), which Dagster calls one by one; questions that change
nothing (``service.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from archival_pipeline import errors
from archival_pipeline.archival import move, recovery, steps
from archival_pipeline.archival.audit import AuditStatus, AuditStep
from archival_pipeline.archival.ledger import Control, Ledger
from archival_pipeline.archival.steps import WaveResult
from archival_pipeline.database.connections import short_session
from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    from collections.abc import Callable

    from archival_pipeline.archival.direction import Direction
    from archival_pipeline.archival.filters import Filters
    from archival_pipeline.archival.ledger import Batch, Totals, TreeReport
    from archival_pipeline.archival.options import Options
    from archival_pipeline.archival.steps import Plan, Wave
    from archival_pipeline.settings import Settings


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an operation is, told after each step.

    Attributes:
        step: the step that was just done.
        plan: what is to do; None until it is planned.
        wave: the wave it worked on, if any.
    """

    step: AuditStep
    plan: Plan | None = None
    wave: Wave | None = None


@dataclass(slots=True)
class Outcome:
    """What became of an operation.

    Attributes:
        audit_id: the operation.
        totals: what the ledger says; a dry run moves nothing.
        stayed: the trees that stay, with the reason.
        work: trees, instances and rows that were copied, or in a dry run would be.
    """

    audit_id: str
    totals: Totals
    stayed: list[TreeReport]
    work: WaveResult


def run(
    settings: Settings,
    direction: Direction,
    audit_id: str,
    filters: Filters,
    options: Options,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Outcome:
    """Run one operation on the trees that the filters pick, step by step, in this process.

    Args:
        settings: where the databases are.
        direction: backup, restore or bulk deletion.
        audit_id: the operation's id; one that the ledger knows is taken up again.
        filters: which instances.
        options: how.
        progress: called after each step.

    Raises:
        BusyError: another operation is at work.
        ArchivalError: the operation ended early; audit and ledger say so, and finished batches stay finished.
    """
    opened = move.open_move(settings, audit_id, filters, options, direction)
    try:
        return _steps(opened, progress)
    except BaseException as error:
        opened.end_if_open(error)
        raise
    finally:
        opened.close()


def _steps(opened: move.Move, progress: Callable[[Progress], None]) -> Outcome:
    work = WaveResult()
    steps.count(opened)
    progress(Progress(AuditStep.COUNT))
    plan = steps.fetch(opened)
    progress(Progress(AuditStep.FETCH, plan))
    for wave in plan.waves:
        steps.children(opened, wave)
        progress(Progress(AuditStep.CHILDREN, plan, wave))
        steps.generate_sql(opened, wave)
        progress(Progress(AuditStep.GENERATE_SQL, plan, wave))
        _add(work, steps.execute(opened, wave))
        progress(Progress(AuditStep.EXECUTE, plan, wave))
        steps.delete(opened, wave)
        progress(Progress(AuditStep.DELETE, plan, wave))
    totals = steps.complete(opened)
    progress(Progress(AuditStep.COMPLETE, plan))
    return Outcome(opened.audit_id, totals, opened.ledger.reports(), work)


def _add(work: WaveResult, result: WaveResult) -> None:
    work.trees += result.trees
    work.instances += result.instances
    work.size += result.size
    work.seconds += result.seconds
    work.add_rows(result.rows)


def open_batches(settings: Settings) -> list[Batch]:
    """Batches that stand in both databases, or may: the work that dead runs have left, or that a run is at."""
    with short_session(settings.backup, "reading the ledger") as session:
        return Ledger(session, "").open_batches()


def reconcile(settings: Settings) -> list[Batch]:
    """Finish the open batches of dead runs by hand, and close the operations of runs that died without a word.

    Returns:
        The batches that were finished.

    Raises:
        BusyError: an operation is at work, so that nothing is left over.
    """
    with short_session(settings.backup, "reading the ledger") as session:
        ledger = Ledger(session, "")
        waiting = [row["audit_id"] for row in ledger.dead_operations()]
        waiting += [batch.audit_id for batch in ledger.open_batches()]
        if not waiting:
            return []
        # Any of the operations will do: whoever holds the lock finishes all of them.
        before = AuditStatus(ledger.operation(waiting[0])["status"])
    opened = move.reopen_move(settings, waiting[0])
    try:
        finished = recovery.reconcile(opened)
        _close_again(opened, before)
    except BaseException as error:
        opened.end_if_open(error)
        raise
    else:
        return finished
    finally:
        opened.close()


def _close_again(opened: move.Move, before: AuditStatus) -> None:
    """End an operation that was taken up only to finish its open batches; one that had ended says so again."""
    totals = opened.ledger.totals()
    unplanned = totals.batches == 0
    died = before is AuditStatus.IN_PROGRESS and (unplanned or totals.planned > 0)
    error = errors.ArchivalError(
        "The run of this operation died before it "
        + ("had planned its batches." if unplanned else f"had begun {totals.planned} planned batch(es)."),
        resolve="Launch the job again for what was not begun.",
        code="RUN_DIED",
    )
    ended = AuditStatus.COMPLETED if before is AuditStatus.IN_PROGRESS else before
    opened.end(
        AuditStatus.FAILED if died else ended,
        AuditStep.COMPLETE,
        error if died else None,
        datetime.now(UTC),
        details={"reconciled": True},
    )


def steer(
    settings: Settings,
    audit_id: str,
    *,
    paused: bool | None = None,
    pause_ms: int | None = None,
    stop_requested: bool | None = None,
) -> Control:
    """Ask something of a running operation; it obeys before it takes the next batch.

    Args:
        settings: where the backup is.
        audit_id: the operation.
        paused: take no further batch, or go on.
        pause_ms: milliseconds to rest after a batch from now on.
        stop_requested: end after the batches at hand.

    Raises:
        RequestError: no such operation is at work.
    """
    values = {"audit_id": audit_id, "paused": paused, "pause_ms": pause_ms, "stop_requested": stop_requested}
    with short_session(settings.backup, "steering an operation", read_only=False) as session:
        row = session.execute(load_sql("backup/ledger_set_control"), values).fetchone()
    if row is None:
        raise errors.RequestError(
            f"No operation {audit_id} is at work.",
            resolve="See `archival-pipeline audits list` for the operations and their states.",
            field="auditId",
            value=audit_id,
        )
    return Control(*row[1:])
