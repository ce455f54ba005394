"""Schedules of the archival service. Each tick pins every field that matters, so that no default can change a night.

Dagster reads the annotations of schedules while it loads them, so this module does not postpone their evaluation.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from dagster import (
    DefaultScheduleStatus,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    schedule,
)

from archival_pipeline.archival.options import parse_options
from archival_pipeline.archival.window import Window
from archival_pipeline.defs.jobs import process_backup
from archival_pipeline.settings import NightlySettings

# A run stops itself at the window's end; monitoring ends one that did not, this many seconds later.
_GRACE_SECONDS = 600


def _now() -> datetime:
    return datetime.now(UTC)


def nightly_backup_schedule(settings: NightlySettings, clock: Callable[[], datetime] = _now) -> ScheduleDefinition:
    """A backup in the nightly window; a tick that fires outside of it is skipped with the reason.

    Args:
        settings: window, age and switch.
        clock: the real time. A daemon that was down fires the latest missed tick whenever it comes back, so the
            scheduled time of a tick says nothing about the window.
    """
    window = Window(settings.opens, settings.closes, settings.time_zone)
    hours = f"{settings.opens:%H:%M} to {settings.closes:%H:%M} ({settings.time_zone})"

    @schedule(
        name="nightly_backup",
        job=process_backup,
        cron_schedule=f"{settings.opens.minute} {settings.opens.hour} * * *",
        execution_timezone=settings.time_zone,
        default_status=DefaultScheduleStatus.RUNNING if settings.enabled else DefaultScheduleStatus.STOPPED,
        description=(
            f"Backup of trees that ended {settings.before_no_of_days} days ago or earlier, every night from {hours}. "
            "Open batches of a night that ended badly are finished first."
        ),
    )
    def nightly_backup(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
        now = clock()
        closing = window.closing(now)
        if closing is None:
            return SkipReason(f"{now.isoformat(timespec='seconds')} is outside the window {hours}.")
        left = int((closing - now).total_seconds())
        return RunRequest(
            run_key=context.scheduled_execution_time.isoformat(),
            run_config=_run_config(settings, closing),
            tags={"dagster/max_runtime": str(left + _GRACE_SECONDS), "archival/trigger": "nightly"},
        )

    return nightly_backup


def _run_config(settings: NightlySettings, closing: datetime) -> dict[str, Any]:
    filters: dict[str, Any] = {"beforeNoOfDays": settings.before_no_of_days}
    if settings.process_name:
        filters["processName"] = settings.process_name
    options = parse_options(
        {"rootsOnly": True, "stopAt": closing.isoformat(), "pauseBetweenBatchesMs": settings.pause_ms}
    )
    return {"filters": filters, "options": options.model_dump(mode="json", by_alias=True, exclude_none=True)}
