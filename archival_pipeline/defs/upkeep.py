"""Upkeep of Dagster's own storage: old runs with their events, logs and outputs are pruned.

Dagster's ``retention`` reaches ticks only. The audit in the backup database is not touched: it is the record that
lasts. Dagster reads the annotations of ops while it loads them, so this module does not postpone their evaluation.
"""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dagster import (
    Config,
    DagsterInstance,
    DagsterRunStatus,
    DefaultScheduleStatus,
    OpExecutionContext,
    RunConfig,
    RunsFilter,
    ScheduleDefinition,
    in_process_executor,
    job,
    op,
)
from pydantic import Field

from archival_pipeline.errors import ConfigurationError
from archival_pipeline.settings_operations import UpkeepSettings, load_upkeep

_ENDED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
_PORTION = 100
_KEEP_DAYS = 90
_MAX_RUNS = 5000


class PruneConfig(Config):
    """What is pruned."""

    keep_days: int = Field(
        default=_KEEP_DAYS, ge=1, description="Runs that were made longer ago than this many days are pruned."
    )
    max_runs: int = Field(default=_MAX_RUNS, ge=1, description="Prune so many at most; the rest is for the next time.")
    dry_run: bool = Field(default=False, description="Only count.")


def prune(instance: DagsterInstance, before: datetime, *, at_most: int) -> int:
    """Delete ended runs that were made before a moment, oldest first, with all that belongs to them.

    Returns:
        How many were deleted.
    """
    old = RunsFilter(statuses=_ENDED, created_before=before)
    deleted = 0
    while deleted < at_most:
        # Always the first page: what was on it is gone.
        records = instance.get_run_records(old, limit=min(_PORTION, at_most - deleted), ascending=True)
        if not records:
            break
        for record in records:
            _forget(instance, record.dagster_run.run_id)
        deleted += len(records)
    return deleted


def _forget(instance: DagsterInstance, run_id: str) -> None:
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    # The outputs of its steps; a run in a pod of its own has left none here.
    shutil.rmtree(Path(instance.storage_directory()) / run_id, ignore_errors=True)
    # Last: a run that is cut short here is still listed, and comes up again.
    instance.delete_run(run_id)


@op
def prune_old_runs(context: OpExecutionContext, config: PruneConfig) -> int:
    """Delete old ended runs from Dagster's storage, with their events, logs and outputs."""
    before = datetime.now(UTC) - timedelta(days=config.keep_days)
    if config.dry_run:
        number = context.instance.get_runs_count(RunsFilter(statuses=_ENDED, created_before=before))
    else:
        number = prune(context.instance, before, at_most=config.max_runs)
    context.log.info("pruned=%d dry_run=%s before=%s", number, config.dry_run, before.isoformat(timespec="minutes"))
    left = context.instance.get_runs_count()
    context.add_output_metadata({"pruned runs": number, "runs left": left, "dry run": config.dry_run})
    return number


@job(
    executor_def=in_process_executor,
    tags={"archival/kind": "upkeep"},
    description=(
        "Delete old ended runs from Dagster's storage, with their events, logs and outputs.\n\n**Locks** nothing and "
        "touches neither primary nor backup; the audit stays. **Safe to run again**: it goes on where it stopped."
    ),
)
def prune_dagster_runs() -> None:
    """Prune."""
    prune_old_runs()


def _settings() -> UpkeepSettings | None:
    try:
        return load_upkeep()
    except ConfigurationError:
        # The location must load. The schedule then stays off, and its description says why.
        return None


def prune_schedule(settings: UpkeepSettings | None) -> ScheduleDefinition:
    """Prune every night.

    Args:
        settings: None if they cannot be read.
    """
    if settings is None:
        told = "Off: DAGSTER_KEEP_RUNS_DAYS or DAGSTER_PRUNE_RUNS cannot be read."
        on, days = False, _KEEP_DAYS
    else:
        on, days = settings.prune_runs, settings.keep_runs_days
        told = f"Every night at 03:10 UTC: runs older than {days} days go, with their events, logs and outputs."
    return ScheduleDefinition(
        name="nightly_prune",
        job=prune_dagster_runs,
        cron_schedule="10 3 * * *",
        run_config=RunConfig(ops={"prune_old_runs": PruneConfig(keep_days=days, max_runs=_MAX_RUNS, dry_run=False)}),
        default_status=DefaultScheduleStatus.RUNNING if on else DefaultScheduleStatus.STOPPED,
        description=told,
    )


JOBS = [prune_dagster_runs]
SCHEDULES = [prune_schedule(_settings())]
