"""What starts the jobs of interim data: a sensor for the cleanup, a nightly schedule for the sweep.

Dagster reads the annotations of sensors and schedules while it loads them, so this module does not postpone their
evaluation. Not here: the jobs (``interim.py``).
"""

from collections.abc import Callable
from datetime import UTC, datetime

from dagster import (
    DagsterRunStatus,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    RunRequest,
    RunsFilter,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    schedule,
    sensor,
)

from archival_pipeline.archival.window import Window
from archival_pipeline.defs.interim import interim_data_cleanup, interim_data_sweep
from archival_pipeline.errors import ArchivalError, ConfigurationError
from archival_pipeline.interim import service
from archival_pipeline.interim.service import Places, opened
from archival_pipeline.settings_interim import InterimSettings, load_interim

_SENSOR_SECONDS = 60
# A run stops itself at the window's end; monitoring ends one that did not, this many seconds later.
_GRACE_SECONDS = 600
_AT_WORK = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


def interim_data_expiry_sensor(
    settings: InterimSettings, places: Callable[[], Places] = service.load_places
) -> SensorDefinition:
    """Starts a cleanup when processes have ended or work has become due, one at a time.

    Args:
        settings: whether it is on.
        places: where everything is.
    """

    @sensor(
        name="interim_data_expiry",
        job=interim_data_cleanup,
        minimum_interval_seconds=_SENSOR_SECONDS,
        default_status=DefaultSensorStatus.RUNNING if settings.cleanup_enabled else DefaultSensorStatus.STOPPED,
        description="Starts `interim_data_cleanup` when processes have ended, or when work that waited is due again.",
    )
    def interim_data_expiry(context: SensorEvaluationContext) -> RunRequest | SkipReason:
        # The cursor that decides stands in the backup database and moves with the work; this one is for people.
        context.update_cursor(datetime.now(UTC).isoformat(timespec="seconds"))
        try:
            if not service.is_configured():
                return SkipReason("No store of interim data is configured.")
            at_work = context.instance.get_runs(
                RunsFilter(job_name=interim_data_cleanup.name, statuses=_AT_WORK), limit=1
            )
            if at_work:
                return SkipReason(f"Run {at_work[0].run_id} is still at work.")
            with opened(places()) as everything:
                if not everything.has_news():
                    return SkipReason("No process has ended since the last cleanup, and nothing that waits is due.")
        except ArchivalError as error:
            return SkipReason(str(error))
        return RunRequest(tags={"archival/trigger": "interim_data_expiry"})

    return interim_data_expiry


def interim_data_sweep_schedule(
    settings: InterimSettings, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> ScheduleDefinition:
    """A sweep in the nightly window; a tick that fires outside of it is skipped with the reason.

    Args:
        settings: window, grace period and switch.
        clock: the real time; a tick may fire hours late.
    """
    window = Window(settings.opens, settings.closes, settings.time_zone)
    hours = f"{settings.opens:%H:%M} to {settings.closes:%H:%M} ({settings.time_zone})"

    @schedule(
        name="interim_data_sweep_nightly",
        job=interim_data_sweep,
        cron_schedule=f"{settings.opens.minute} {settings.opens.hour} * * *",
        execution_timezone=settings.time_zone,
        default_status=DefaultScheduleStatus.RUNNING if settings.sweep_enabled else DefaultScheduleStatus.STOPPED,
        description=f"Removes interim data that was left behind, every night from {hours}.",
    )
    def interim_data_sweep_nightly(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
        try:
            load_interim()
        except ConfigurationError as error:
            return SkipReason(str(error))
        now = clock()
        closing = window.closing(now)
        if closing is None:
            return SkipReason(f"{now.isoformat(timespec='seconds')} is outside the window {hours}.")
        left = int((closing - now).total_seconds())
        config = {
            "dryRun": False,
            "graceHours": settings.grace_hours,
            "scrubTokens": settings.scrub_tokens,
            "stopAt": closing.isoformat(),
        }
        return RunRequest(
            run_key=context.scheduled_execution_time.isoformat(),
            run_config={"ops": {"sweep": {"config": config}}},
            tags={"dagster/max_runtime": str(left + _GRACE_SECONDS), "archival/trigger": "nightly"},
        )

    return interim_data_sweep_nightly


def _settings() -> InterimSettings:
    """The settings, or those of a room that is off: a wrong variable must not keep other rooms from loading.

    Whatever is started by hand reads them again, and says what is wrong.
    """
    try:
        return load_interim()
    except ConfigurationError:
        defaults = {name: info.get_default() for name, info in InterimSettings.model_fields.items()}
        return InterimSettings.model_construct(**defaults)


SCHEDULES = [interim_data_sweep_schedule(_settings())]
SENSORS = [interim_data_expiry_sensor(_settings())]
