"""The history cleanup in Dagster: the job, its nightly schedule, and what says that it cannot keep up.

Whatever is done is done in ``archival_pipeline.history.cleanup``; here its numbers are shown. Dagster reads the
annotations of ops while it loads them, so this module does not postpone their evaluation.
"""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from dagster import (
    AssetKey,
    AssetMaterialization,
    Config,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    Failure,
    In,
    JobDefinition,
    MetadataValue,
    Nothing,
    OpExecutionContext,
    Out,
    RunFailureSensorContext,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SensorDefinition,
    SkipReason,
    TableColumn,
    TableRecord,
    TableSchema,
    graph,
    in_process_executor,
    op,
    run_failure_sensor,
    schedule,
)
from pydantic import Field

from archival_pipeline.defs.ops import reported
from archival_pipeline.errors import ConfigurationError
from archival_pipeline.history.cleanup import metrics
from archival_pipeline.history.cleanup.archive.broom import archive_orphans
from archival_pipeline.history.cleanup.archive.expiring import Expired, expire
from archival_pipeline.history.cleanup.archive.opening import Target
from archival_pipeline.history.cleanup.backfill import backfill_removal_time
from archival_pipeline.history.cleanup.keeping import as_held
from archival_pipeline.history.cleanup.orphans import remove_orphans
from archival_pipeline.history.cleanup.report import Forecast, forecast
from archival_pipeline.history.cleanup.running import Outcome, Surroundings, clean
from archival_pipeline.history.cleanup.weekly import WeeklyWindows, deadline
from archival_pipeline.settings import load_backup
from archival_pipeline.settings_camunda import CamundaSettings, load_camunda, load_camunda_zone
from archival_pipeline.settings_cleanup import CleanupSettings, load_archive, load_cleanup

_JOB = "history_cleanup"
ASSET = AssetKey(["camunda", "history"])
ARCHIVE = AssetKey(["camunda", "archive"])
_LEFT_OVER = "left over"
# A run stops itself at the window's end; monitoring ends one that did not, this many seconds later.
_GRACE_SECONDS = 600
_MONDAY = date(2024, 1, 1)
_NOT_CONFIGURED = "No Camunda database is configured: CAMUNDA_DB_HOST and its companions are not set."


def _now() -> datetime:
    return datetime.now(UTC)


def moment() -> datetime:
    """The present moment."""
    return _now()


class CleanupConfig(Config):
    """What a run may do; age, batch size and windows are settings of the service."""

    dryRun: bool = Field(default=True, description="Only say what would be removed; change nothing.")  # noqa: N815
    immediate: bool = Field(default=False, description="Run outside the window too, and past its end.")
    mode: Literal["hierarchical", "compatible"] = Field(
        default="hierarchical", description="Whole hierarchies, or the engine's own rule: expired rows per table."
    )
    backfillRemovalTime: bool = Field(  # noqa: N815
        default=False, description="First compute missing removal times of history that has ended."
    )
    removeOrphans: bool = Field(  # noqa: N815
        default=False, description="Afterwards remove rows without parent and byte arrays without owner; scans tables."
    )
    archiveBeforeDelete: bool = Field(  # noqa: N815
        default=False,
        description="Archive in the backup database before removal. Where historyCleanupArchiveBeforeDelete is true, "
        "every run does, whatever stands here.",
    )


@op(out=Out(Nothing))
def clean_history(context: OpExecutionContext, config: CleanupConfig) -> None:
    """Remove the history that is due, whole hierarchies at a time, until nothing is left or the window ends."""
    started = _now()
    with reported():
        settings, cleanup = configured()
        if config.dryRun:
            kept = as_held(cleanup, load_backup())
            found = _forecast_of(forecast(settings, kept, started, rows_per_second=_last_rate(context)))
            if cleanup.archive_days is not None:
                found |= _archive_numbers(
                    expire(
                        settings,
                        cleanup,
                        Surroundings(clock=_now, sleep=time.sleep),
                        Target(load_archive(), context.run_id),
                        dry_run=True,
                    )
                )
            context.add_output_metadata(found)
            return
        closing = deadline(WeeklyWindows.of(cleanup, settings.time_zone), started, immediate=config.immediate)
        around = Surroundings(clock=_now, sleep=time.sleep, deadline=closing, progress=_teller(context))
        target = None
        if config.archiveBeforeDelete or cleanup.archive_before_delete:
            target = Target(load_archive(), context.run_id)
        kept_in = Target(load_archive(), context.run_id) if cleanup.archive_days is not None else None
        extra: dict[str, Any] = {"archived before removal": target is not None}
        if config.backfillRemovalTime:
            extra["hierarchies given a removal time"] = backfill_removal_time(settings, cleanup, around).roots
        outcome = clean(settings, cleanup, around, mode=config.mode, target=target, backup=load_backup())
        if config.removeOrphans:
            kept = as_held(cleanup, load_backup())
            gone = (
                archive_orphans(settings, kept, around, target)
                if target
                else remove_orphans(settings, around, kept.holds.instances)
            )
            extra["removed orphans"] = gone.total()
    _show(context, outcome, extra, metrics.window_used(outcome, started, closing))
    if kept_in is not None:
        # Last, and when the cleanup's own numbers are kept already.
        with reported():
            expired = expire(settings, cleanup, around, kept_in)
        context.log_event(AssetMaterialization(asset_key=ARCHIVE, metadata=_archive_numbers(expired)))


def configured(*, for_removal: bool = True) -> tuple[CamundaSettings, CleanupSettings]:
    """The engine's database and the settings of its cleanup, which must be on if something is to be removed."""
    settings, cleanup = load_camunda(), load_cleanup()
    if settings is None:
        raise ConfigurationError(_NOT_CONFIGURED, resolve="Set them as docs/history-cleanup.md says.")
    if for_removal and not cleanup.enabled:
        raise ConfigurationError("historyCleanupEnabled is false.", resolve="Set it to true to clean the history.")
    return settings, cleanup


def _teller(context: OpExecutionContext) -> Callable[[Outcome], None]:
    def tell(outcome: Outcome) -> None:
        context.log.info(
            "cleanup hierarchies=%d rows=%d batches=%d retries=%d",
            outcome.removed.roots,
            outcome.rows.total(),
            outcome.batches,
            outcome.retries,
        )

    return tell


def _show(context: OpExecutionContext, outcome: Outcome, extra: dict[str, Any], used: float | None) -> None:
    found: dict[str, Any] = {**metrics.numbers(outcome), **extra, "stopped by the window": outcome.stopped}
    if used is not None:
        found["window used"] = used
    found["rows per table"] = table(("table", "rows"), [(name, n) for name, n in sorted(outcome.rows.items()) if n])
    if outcome.set_aside:
        found["roots set aside"] = table(("root", "reason"), sorted(outcome.set_aside.items())[:100])
    # As an asset's materialization, so that the UI plots each number over the nights.
    context.log_event(AssetMaterialization(asset_key=ASSET, metadata=found))


def _archive_numbers(expired: Expired) -> dict[str, Any]:
    rows = [(name, count) for name, count in sorted(expired.rows.items()) if count]
    return {
        "expired archived hierarchies": expired.hierarchies,
        "expired sets of rows": expired.loose,
        "expired archived rows": expired.rows.total(),
        "archived, expired and on hold": expired.held,
        "archived, expired, with a problem": expired.problems,
        "archived, expired, left over": expired.left,
        "archived rows per table": table(("table", "rows"), rows),
    }


def _forecast_of(found: Forecast) -> dict[str, Any]:
    columns = ("definition", "version", "time to live", "finished", "cleanable")
    lines = [(d.key, d.version, d.history_time_to_live, d.finished, d.cleanable) for d in found.definitions]
    return {
        "hierarchies that would go": found.hierarchies,
        "rows, estimated": sum(found.rows.values()),
        "bytes, estimated": found.size,
        **({"seconds, estimated": round(found.seconds, 1)} if found.seconds is not None else {}),
        "cleanable": table(columns, lines),
        "rows per table": table(("table", "rows"), list(found.rows.items())),
    }


def table(columns: tuple[str, ...], lines: list[Any]) -> MetadataValue[Any]:
    """Lines as a table of the UI."""
    records = [
        TableRecord({name: "" if v is None else v for name, v in zip(columns, line, strict=True)}) for line in lines
    ]
    return MetadataValue.table(records, schema=TableSchema([TableColumn(name) for name in columns]))


def _past(context: OpExecutionContext, limit: int) -> list[tuple[datetime, dict[str, Any]]]:
    """The numbers of the latest runs, newest first."""
    found = context.instance.fetch_materializations(ASSET, limit=limit).records
    return [
        (
            datetime.fromtimestamp(record.timestamp, UTC),
            {k: v.value for k, v in record.asset_materialization.metadata.items()},
        )
        for record in found
        if record.asset_materialization
    ]


def _last_rate(context: OpExecutionContext) -> float | None:
    rates = [numbers.get("rows per second") for _, numbers in _past(context, 5)]
    return next((float(rate) for rate in rates if rate), None)


@op(ins={"after": In(Nothing)})
def keeps_up(context: OpExecutionContext) -> None:
    """Fail if more is left over night after night: then the window is too short for what the engine writes."""
    nights: dict[date, int] = {}
    for moment, numbers in _past(context, 50):
        # The latest run of a night stands for it; a night has its date from noon to noon.
        nights.setdefault((moment - timedelta(hours=12)).date(), int(numbers[_LEFT_OVER]))
    left = [nights[night] for night in sorted(nights)]
    context.add_output_metadata({"left over, night by night": str(left[-metrics.NIGHTS - 1 :])})
    if metrics.falls_behind(left):
        raise Failure(
            description=(
                f"The cleanup cannot keep up: more was left over {metrics.NIGHTS} nights running ({left[-4:]}). Widen "
                "the window or raise historyCleanupDegreeOfParallelism. Everything removed stays removed."
            ),
            metadata={"code": "CLEANUP_BACKLOG"},
            allow_retries=False,
        )


@graph(name=_JOB)
def _cleanup_graph() -> None:
    keeps_up(clean_history())


history_cleanup: JobDefinition = _cleanup_graph.to_job(
    name=_JOB,
    description=(
        "Remove expired history from the Camunda database: whole hierarchies with everything that belongs to them, "
        "oldest first, until nothing is due or the window ends. Starts as a dry run unless told otherwise.\n\n"
        "**Safe to run again**: a transaction takes whole hierarchies or nothing. **Locks** the history rows of one "
        "batch at a time, and gives way to the engine after half a second. Nothing that runs is touched."
    ),
    executor_def=in_process_executor,
    tags={"archival/cleanup": "history"},
)


def history_cleanup_schedule(
    settings: CleanupSettings, zone: str, clock: Callable[[], datetime] = _now
) -> ScheduleDefinition:
    """A cleanup at the opening of each day's window; a tick that cannot be used is skipped with the reason.

    Args:
        settings: windows and switch.
        zone: the engine's time zone.
        clock: the real time; a late tick says nothing about the window.
    """
    windows = WeeklyWindows.of(settings, zone)
    crons, cron_zone = crons_of(windows)

    @schedule(
        name=_JOB,
        job=history_cleanup,
        cron_schedule=crons,
        execution_timezone=cron_zone,
        default_status=DefaultScheduleStatus.RUNNING if settings.enabled else DefaultScheduleStatus.STOPPED,
        description=f"Cleans the Camunda history every night from {settings.opens} to {settings.closes} ({zone}), "
        "or in the window of the weekday.",
    )
    def nightly_cleanup(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
        if load_camunda() is None:
            return SkipReason(_NOT_CONFIGURED)
        if not settings.enabled:
            return SkipReason("historyCleanupEnabled is false.")
        now = clock()
        closing = windows.closing(now)
        if closing is None:
            return SkipReason(
                f"{now.isoformat(timespec='seconds')} is outside the window; "
                f"the next one opens at {windows.next_opening(now).isoformat()}."
            )
        left = int((closing - now).total_seconds())
        config = CleanupConfig(
            dryRun=False,
            immediate=False,
            backfillRemovalTime=False,
            removeOrphans=False,
            archiveBeforeDelete=settings.archive_before_delete,
        )
        return RunRequest(
            run_key=context.scheduled_execution_time.isoformat(),
            run_config={"ops": {"clean_history": {"config": config.model_dump()}}},
            tags={"dagster/max_runtime": str(left + _GRACE_SECONDS), "archival/trigger": "nightly"},
        )

    return nightly_cleanup


def crons_of(windows: WeeklyWindows) -> tuple[list[str], str]:
    """When the windows open, as cron lines and their zone; in UTC where the times carry an offset."""
    fixed = any(window.zone != windows.zone for window in windows.days)
    lines = []
    for number, window in enumerate(windows.days):
        shown = datetime.combine(_MONDAY + timedelta(days=number), window.opens)
        if fixed:
            shown = windows.on(shown.date())[0]
        lines.append(f"{shown.minute} {shown.hour} * * {shown.isoweekday() % 7}")
    return sorted(set(lines)), "UTC" if fixed else windows.zone


@run_failure_sensor(
    name="history_cleanup_failed",
    monitored_jobs=[history_cleanup],
    default_status=DefaultSensorStatus.RUNNING,
    description="Says in the daemon's log that a cleanup failed or cannot keep up, for whatever reads that log.",
)
def history_cleanup_failed(context: RunFailureSensorContext) -> None:
    """One line at level ERROR for each failed run."""
    context.log.error(
        "history cleanup failed run=%s reason=%s", context.dagster_run.run_id, context.failure_event.message
    )


JOBS = [history_cleanup]
SCHEDULES = [history_cleanup_schedule(load_cleanup(), load_camunda_zone())]
SENSORS: list[SensorDefinition] = [history_cleanup_failed]
