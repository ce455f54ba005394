"""Starts operations as Dagster runs, one at a time, and tells of runs that have no audit row yet.

Life of a POST: the turn is taken (a lock in the backup database, so that two services or two requests never look at the
same time); whoever holds the operation lock, or any unfinished run with the exclusive tag, makes the answer «busy»;
otherwise the run is put into the queue, and its id is the audit id. Not here: HTTP (``moving.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archival_pipeline.api.errors import ApiError
from archival_pipeline.archival.audit import AuditStatus, AuditStep, AuditType
from archival_pipeline.archival.launching import turn_to_launch
from archival_pipeline.errors import NotFoundError

if TYPE_CHECKING:
    from archival_pipeline.api.archival.dagster import Dagster, Run
    from archival_pipeline.archival.audit import AuditRow
    from archival_pipeline.archival.filters import Filters
    from archival_pipeline.archival.options import Options
    from archival_pipeline.settings import Settings

JOBS = {
    AuditType.BACKUP: "process_backup",
    AuditType.RESTORE: "process_restore",
    AuditType.DELETE: "process_delete_bulk",
}
# A backfill's runs may be in the way as well, and be polled.
_KINDS = {job: kind for kind, job in JOBS.items()} | {"process_backup_by_day": AuditType.BACKUP}
_EXCLUSIVE = "archival/exclusive"
_REQUEST = "archival/request"
_CALLER = "archival/caller"


@dataclass(frozen=True, slots=True)
class Order:
    """An operation that somebody asks for.

    Attributes:
        kind: backup, restore or deletion.
        filters: which instances.
        options: how.
        request_id: of the request; stands in the run's tags.
        caller: who asks; stands in the run's tags.
    """

    kind: AuditType
    filters: Filters
    options: Options
    request_id: str
    caller: str


@dataclass(frozen=True, slots=True)
class Launched:
    """What became of it.

    Attributes:
        audit_id: of the operation that was started, or of the one in its way.
        started: whether it was started.
    """

    audit_id: str
    started: bool


def launch(settings: Settings, dagster: Dagster, order: Order) -> Launched:
    """Start an operation unless another one waits or is at work.

    Raises:
        ApiError: Dagster cannot be reached.
    """
    with turn_to_launch(settings) as turn:
        holder = turn.in_the_way()
        if holder is not None:
            return Launched(holder, started=False)
        # Dagster notices the end of a run later than its audit tells it; the queue keeps the next run until then.
        waiting = [
            run
            for run in dagster.unfinished()
            if _EXCLUSIVE in run.tags and not turn.has_ended(run.root_id, since=run.created)
        ]
        if waiting:
            # The oldest is the one at work, or the next to be.
            return Launched(waiting[-1].root_id, started=False)
        return Launched(_launch_once(dagster, order), started=True)


def _launch_once(dagster: Dagster, order: Order) -> str:
    """Launch; where the answer was lost, look whether the run is there instead of launching a second one."""
    config = {
        "filters": order.filters.as_json(),
        "options": order.options.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True),
    }
    tags = {_REQUEST: order.request_id, _CALLER: order.caller}
    try:
        return dagster.launch(JOBS[order.kind], config, tags)
    except ApiError:
        run = dagster.tagged(_REQUEST, order.request_id)
        if run is None:
            raise
        return run.run_id


_STATUSES = {
    "CANCELED": AuditStatus.CANCELLED,
    "FAILURE": AuditStatus.FAILED,
    "SUCCESS": AuditStatus.COMPLETED,
}


def row_of_run(dagster: Dagster, audit_id: str) -> AuditRow:
    """What is known of an operation that has written nothing yet: what its run says.

    A queued run has no audit row, a dry run never has one, and neither has a run that died before its first step.

    Raises:
        NotFoundError: there is no such run either.
    """
    run = dagster.recent_run(audit_id)
    if run is None or run.job not in _KINDS:
        raise NotFoundError(
            f"There is no audit {audit_id}.",
            resolve="List the audits there are with GET processes/audits.",
            field="auditId",
            value=audit_id,
        )
    status = _STATUSES.get(run.status, AuditStatus.INITIATED)
    return {
        "id": 0,
        "audit_id": audit_id,
        "audit_type": _KINDS[run.job].value,
        "audit_status": status.value,
        "step": AuditStep.INITIATE.value,
        "details": {"dagsterRunStatus": run.status},
        "created_at": run.created,
    } | (_failure(run) if status is AuditStatus.FAILED else {})


def _failure(run: Run) -> dict[str, Any]:
    return {
        "error_code": "RUN_FAILED",
        "error_summary": "The run ended before it had written anything to the audit; nothing was moved or deleted.",
        "error_resolve": f"Look at the run {run.run_id} in the Dagster UI; `archival-pipeline check` names the cause.",
    }
