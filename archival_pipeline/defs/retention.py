"""Time to live in Dagster: jBPM history in the primary, archived trees in the backup; a job and a schedule for each.

Whatever is done is done in ``archival_pipeline.archival.retention``; here its numbers are shown. Dagster reads the
annotations of ops while it loads them, so this module does not postpone their evaluation.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dagster import (
    AssetKey,
    AssetMaterialization,
    Config,
    DefaultScheduleStatus,
    JobDefinition,
    MetadataValue,
    OpDefinition,
    OpExecutionContext,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    TableColumn,
    TableRecord,
    TableSchema,
    graph,
    in_process_executor,
    op,
    schedule,
)
from pydantic import Field

from archival_pipeline.archival import retention
from archival_pipeline.archival.audit import AuditStep
from archival_pipeline.archival.direction import Side
from archival_pipeline.archival.operating import Progress
from archival_pipeline.archival.retention import Expired, Forecast
from archival_pipeline.defs.jobs import EXCLUSIVE
from archival_pipeline.defs.ops import reported
from archival_pipeline.errors import ConfigurationError, RequestError
from archival_pipeline.settings import load_engine, load_settings
from archival_pipeline.settings_retention import Retention, load_backup_retention, load_process_cleanup
from archival_pipeline.window import Window

# A run stops itself at the window's end; monitoring ends one that did not, this many seconds later.
_GRACE_SECONDS = 600


@dataclass(frozen=True)
class Kind:
    """One of the two.

    Attributes:
        job: name of the job and of its schedule.
        side: the database that it removes from.
        load: reads its settings.
        switch: the variable that switches it on.
        asset: what its numbers are plotted under.
        about: what it does.
    """

    job: str
    side: Side
    load: Callable[[], Retention]
    switch: str
    asset: AssetKey
    about: str


PROCESS_HISTORY = Kind(
    "process_history_cleanup",
    "primary",
    load_process_cleanup,
    "processHistoryCleanupEnabled",
    AssetKey(["jbpm", "history"]),
    "Remove process trees for good from the primary when they have been over for longer than their time to live. "
    "Nothing is copied to the backup.",
)
BACKUP = Kind(
    "backup_retention",
    "backup",
    load_backup_retention,
    "backupRetentionEnabled",
    AssetKey(["backup", "retention"]),
    "Remove archived process trees for good from the backup when they have outlived their time to live.",
)


def _now() -> datetime:
    return datetime.now(UTC)


class RetentionConfig(Config):
    """What a run may do; times to live and windows are settings of the service."""

    dryRun: bool = Field(default=True, description="Only say what would be removed; change nothing.")  # noqa: N815
    immediate: bool = Field(default=False, description="Run outside the window too, and past its end.")
    stopAt: str | None = Field(  # noqa: N815
        default=None, description="End of the window, as the schedule sets it (ISO 8601 with offset)."
    )


def _remover(kind: Kind) -> OpDefinition:
    @op(name=f"remove_expired_from_{kind.side}")
    def remove_expired(context: OpExecutionContext, config: RetentionConfig) -> None:
        """Remove what has expired, whole trees, until nothing is left or the window ends."""
        started = _now()
        with reported():
            settings, part = load_settings(), kind.load()
            expiry = retention.expiry_of(part)
            if config.dryRun:
                told = retention.forecast(settings, kind.side, expiry)
                context.add_output_metadata(_told(told, _last_rate(context, kind.asset)))
                return
            closing = _closing(config, part, settings.engine.time_zone, started)
            expired = retention.run(
                settings,
                kind.side,
                expiry,
                context.run.root_run_id or context.run_id,
                stop_at=closing,
                pause_ms=part.pause_ms,
                progress=_teller(context),
            )
        # As an asset's materialization, so that the UI plots each number over the nights.
        numbers = _numbers(expired, (_now() - started).total_seconds())
        if closing is not None:
            numbers["window used"] = round(numbers["seconds"] / max((closing - started).total_seconds(), 1), 3)
        context.log_event(AssetMaterialization(kind.asset, metadata=numbers))
        context.add_output_metadata(numbers)

    return remove_expired


def _closing(config: RetentionConfig, part: Retention, zone: str, now: datetime) -> datetime | None:
    """The end of the window; a run that waited in the queue until after it removes nothing and says what is left."""
    if config.stopAt is None or config.immediate:
        return retention.deadline(part, zone, now, immediate=config.immediate)
    try:
        return datetime.fromisoformat(config.stopAt)
    except ValueError:
        raise RequestError(
            "stopAt is not an ISO 8601 date and time.",
            resolve="Write it like 2025-01-31T22:00:00+00:00, or leave it out.",
            field="stopAt",
            value=config.stopAt,
        ) from None


def _teller(context: OpExecutionContext) -> Callable[[Progress], None]:
    def tell(told: Progress) -> None:
        if told.step is AuditStep.DELETE and told.wave is not None:
            context.log.info("wave=%d/%d batches=%d", told.wave.number, told.wave.of, told.wave.batches)

    return tell


def _numbers(expired: Expired, seconds: float) -> dict[str, Any]:
    rows = sum(expired.rows.values())
    return {
        "audit id": expired.audit_id,
        "trees": expired.trees,
        "instances": expired.instances,
        "rows": rows,
        "left over": expired.left,
        "quarantined": expired.quarantined,
        "seconds": round(seconds, 3),
        "rows per second": round(rows / seconds) if seconds else 0,
        "rows per table": _counts("table", "rows", expired.rows),
        "trees that stay": _counts("reason", "trees", expired.stayed),
    }


def _told(told: Forecast, rate: float | None) -> dict[str, Any]:
    rows = sum(told.rows.values())
    columns = ("definition", "name", "days to live", "ended", "cleanable")
    return {
        "trees that would go": told.trees,
        "instances that would go": told.instances,
        "rows, estimated": rows,
        "bytes, estimated": told.size,
        **({"seconds, estimated": round(rows / rate, 1)} if rate else {}),
        "cleanable": _table(
            columns, [(d.process_id, d.process_name, d.days, d.ended, d.cleanable) for d in told.definitions]
        ),
        "rows per table": _counts("table", "rows", told.rows),
        "trees that would stay": _counts("reason", "trees", told.stayed),
    }


def _counts(name: str, of: str, counts: Mapping[str, int]) -> MetadataValue[Any]:
    return _table((name, of), sorted(counts.items()))


def _table(columns: tuple[str, ...], lines: list[Any]) -> MetadataValue[Any]:
    records = [
        TableRecord({name: "never" if v is None else v for name, v in zip(columns, line, strict=True)})
        for line in lines
    ]
    return MetadataValue.table(records, schema=TableSchema([TableColumn(name) for name in columns]))


def _last_rate(context: OpExecutionContext, asset: AssetKey) -> float | None:
    """Rows per second of the latest run that removed something."""
    for record in context.instance.fetch_materializations(asset, limit=5).records:
        if record.asset_materialization is not None:
            rate = record.asset_materialization.metadata["rows per second"].value
            if rate:
                return float(rate)  # type: ignore[arg-type]
    return None


def _job(kind: Kind) -> JobDefinition:
    remover = _remover(kind)

    @graph(name=kind.job)
    def removal() -> None:
        remover.alias("remove_expired")()

    return removal.to_job(
        name=kind.job,
        description=(
            f"{kind.about} Starts as a dry run unless told otherwise. What is on legal hold stays, and so does every "
            "tree that may not be removed; the audit has the reasons.\n\n"
            "**Safe to run again**: the ledger knows what is done. **Locks** the instances of one batch at a time, for "
            "the length of its deletion."
        ),
        executor_def=in_process_executor,
        tags=EXCLUSIVE,
    )


def retention_schedule(
    kind: Kind, job: JobDefinition, settings: Retention | None, zone: str, clock: Callable[[], datetime] = _now
) -> ScheduleDefinition:
    """A run in the nightly window; a tick that fires late and outside of it is skipped with the reason.

    Args:
        kind: which of the two.
        job: its job.
        settings: None if they cannot be read.
        zone: the engine's time zone.
        clock: the real time.
    """
    opens, closes = settings.window if settings else (datetime.min.time(), datetime.min.time())
    window = Window(opens, closes, zone)
    enabled = settings is not None and settings.enabled
    hours = f"{opens:%H:%M} to {closes:%H:%M} ({zone})"

    @schedule(
        name=f"nightly_{kind.job}",
        job=job,
        cron_schedule=f"{opens.minute} {opens.hour} * * *",
        execution_timezone=zone,
        default_status=DefaultScheduleStatus.RUNNING if enabled else DefaultScheduleStatus.STOPPED,
        description=(
            f"{kind.about} Every night from {hours}."
            if settings
            else f"Off: the settings beside {kind.switch} cannot be read; the job says which."
        ),
    )
    def nightly(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
        if not enabled:
            return SkipReason(f"{kind.switch} is not true.")
        now = clock()
        closing = window.closing(now)
        if closing is None:
            return SkipReason(f"{now.isoformat(timespec='seconds')} is outside the window {hours}.")
        left = int((closing - now).total_seconds())
        config = RetentionConfig(dryRun=False, immediate=False, stopAt=closing.isoformat())
        return RunRequest(
            run_key=context.scheduled_execution_time.isoformat(),
            run_config={"ops": {"remove_expired": {"config": config.model_dump()}}},
            tags={"dagster/max_runtime": str(left + _GRACE_SECONDS), "archival/trigger": "nightly"},
        )

    return nightly


def _settings(kind: Kind) -> tuple[Retention | None, str]:
    try:
        return kind.load(), load_engine().time_zone
    except ConfigurationError:
        # The location must load. The schedule then stays off, and the job says what is wrong.
        return None, "UTC"


process_history_cleanup = _job(PROCESS_HISTORY)
backup_retention = _job(BACKUP)

JOBS = [process_history_cleanup, backup_retention]
SCHEDULES = [
    retention_schedule(kind, job, *_settings(kind)) for kind, job in zip((PROCESS_HISTORY, BACKUP), JOBS, strict=True)
]
