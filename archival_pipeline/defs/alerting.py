"""Sensors that tell people: a run failed, the backlog grows. Off unless ALERT_… says where alerts go.

Not here: what an alert says and how it is sent (``alerts/``). Dagster reads the annotations of sensors while it loads
them, so this module does not postpone their evaluation.
"""

from collections.abc import Callable

from dagster import (
    AssetObservation,
    DefaultSensorStatus,
    RunFailureSensorContext,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    run_failure_sensor,
    sensor,
)

from archival_pipeline.alerts import message
from archival_pipeline.alerts.message import Alert
from archival_pipeline.alerts.sending import send
from archival_pipeline.archival import service
from archival_pipeline.archival.filters import parse_filters
from archival_pipeline.defs.ops import ARCHIVE
from archival_pipeline.errors import ConfigurationError
from archival_pipeline.settings import load_settings
from archival_pipeline.settings_operations import AlertSettings, load_alerts

_OVER = "over"
_BACKLOG_SECONDS = 900
# Running instances are judged by their start, and no backlog.
_WAITING = ("COMPLETED", "ABORTED")


def _status(wanted: Callable[[AlertSettings], bool]) -> DefaultSensorStatus:
    try:
        on = wanted(load_alerts())
    except ConfigurationError:
        # The location must load. The sensor is on, and each of its ticks says which variable is wrong.
        on = True
    return DefaultSensorStatus.RUNNING if on else DefaultSensorStatus.STOPPED


def alert_of(context: RunFailureSensorContext, ui_url: str | None) -> Alert:
    """What a failed run is told about: the first step that failed, with the way out that its error knows."""
    run = context.dagster_run
    problem, found = context.failure_event.message or "The run failed.", {}
    for event in context.get_step_failure_events():
        told = event.step_failure_data.user_failure_data
        if told is not None:
            problem = told.description or problem
            found = {name: str(value.value) for name, value in told.metadata.items()}
            break
    return message.run_failed(
        run.job_name,
        run.run_id,
        problem=found.get("summary", problem),
        code=found.get("code"),
        resolve=found.get("resolve"),
        ui_url=ui_url,
    )


@run_failure_sensor(
    name="alert_on_failed_run",
    description="Tell people by webhook and mail (ALERT_…) when a run fails, with the error and what to do next.",
    default_status=_status(lambda settings: settings.is_on),
)
def alert_on_failed_run(context: RunFailureSensorContext) -> SkipReason | None:
    """Send one alert for each failed run; an alert that does not go out fails the tick."""
    settings = load_alerts()
    if not settings.is_on:
        return SkipReason("Alerts go nowhere: set ALERT_WEBHOOK_URL or ALERT_SMTP_HOST.")
    sent = send(alert_of(context, settings.ui_url), settings)
    context.log.info("run=%s alert=%s", context.dagster_run.run_id, ",".join(sent))
    return None


@sensor(
    name="alert_on_backlog",
    description=(
        "Tell people once when more ended instances wait for the backup than ALERT_BACKLOG_INSTANCES, and once when "
        "it is over. Counts in the primary every quarter of an hour, and plots the number at the asset process_archive."
    ),
    minimum_interval_seconds=_BACKLOG_SECONDS,
    default_status=_status(lambda settings: settings.is_on and settings.backlog_instances is not None),
)
def alert_on_backlog(context: SensorEvaluationContext) -> SensorResult | SkipReason:
    """Compare the backlog with its limit; the cursor remembers what was told."""
    settings = load_alerts()
    if not settings.is_on or settings.backlog_instances is None:
        return SkipReason("Off: set ALERT_BACKLOG_INSTANCES, and ALERT_WEBHOOK_URL or ALERT_SMTP_HOST.")
    waiting = backlog(settings.backlog_days)
    over, told = waiting > settings.backlog_instances, context.cursor == _OVER
    said = f"{waiting} instances wait; the limit is {settings.backlog_instances}."
    if over != told:
        write = message.backlog if over else message.backlog_gone
        send(write(waiting, settings.backlog_instances, settings.backlog_days, ui_url=settings.ui_url), settings)
        said += " Told."
    # One event a tick: the asset's page plots how the backlog grew and went.
    seen = AssetObservation(ARCHIVE, metadata={"instances waiting": waiting, "limit": settings.backlog_instances})
    return SensorResult(skip_reason=said, cursor=_OVER if over else "", asset_events=[seen])


def backlog(days: int) -> int:
    """How many instances ended longer ago than so many days and are still in the primary."""
    settings = load_settings()
    filters = [parse_filters({"processStatus": state, "beforeNoOfDays": days}) for state in _WAITING]
    return sum(service.count(settings, one) for one in filters)


SENSORS: list[SensorDefinition] = [alert_on_failed_run, alert_on_backlog]
