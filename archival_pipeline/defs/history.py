"""The execution history in Dagster: jobs, the sensors that start them, and the check that holds it against the engine.

Without a history database everything here is listed and off: sensors skip and say why. Dagster reads the annotations
while it loads them, so this module does not postpone their evaluation.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetCheckSeverity,
    AssetSelection,
    AssetSpec,
    DagsterRunStatus,
    DefaultSensorStatus,
    Field,
    GraphDefinition,
    Int,
    JobDefinition,
    MetadataValue,
    OpDefinition,
    OpExecutionContext,
    RunRequest,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    asset_check,
    define_asset_job,
    in_process_executor,
    op,
    sensor,
)

from archival_pipeline.defs.ops import reported
from archival_pipeline.errors import ArchivalError
from archival_pipeline.history import service

EXECUTION_HISTORY = AssetSpec(
    "execution_history",
    description="Rows that users query: their processes and tasks. Written by `archival-pipeline history subscribe`.",
)
_OFF = "HISTORY_DB_* is not set: the execution history is off."
_UNDER_WAY = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
]
_ONE_AT_A_TIME = {"archival/history": "stream"}


@op
def publish_changes(context: OpExecutionContext) -> int:
    """Read the engine once and publish what changed; safe to run again."""
    with reported():
        done = service.publish(service.load(), wait=lambda _: True, told=lambda _: None)
    for warning in done.warnings:
        context.log.warning(warning)
    context.add_output_metadata({"events": done.total, **done.events, "version": done.version})
    return done.total


@op
def subscribe_to_changes(context: OpExecutionContext) -> int:
    """Take every waiting record into the history; safe to run again."""
    started = time.monotonic()
    with reported():
        done = service.subscribe(service.load(), stop=lambda: False, sleep=time.sleep)
    seconds = time.monotonic() - started
    context.add_output_metadata(
        {
            "records": done.records,
            "rows": done.rows,
            "dead letters": done.dead,
            "records per second": round(done.records / seconds) if seconds else 0,
        }
    )
    return done.records


@op
def replay_letters(context: OpExecutionContext) -> int:
    """Send every dead letter back to its topic; those that die again are put aside again."""
    with reported():
        number = service.replay_dead_letters(service.load())
    context.add_output_metadata({"replayed": number})
    return number


@op
def forget_old_history(context: OpExecutionContext) -> int:
    """Delete what HISTORY_RETENTION_DAYS and HISTORY_QUEUE_DAYS no longer keep; safe to run again."""
    with reported():
        gone = service.forget(service.load(), datetime.now(UTC))
    context.add_output_metadata({"processes": gone.processes, "tasks": gone.tasks, "messages": gone.messages})
    return gone.processes + gone.tasks + gone.messages


def _job(name: str, only: OpDefinition, description: str) -> JobDefinition:
    return GraphDefinition(name, node_defs=[only], description=description).to_job(
        executor_def=in_process_executor, tags=_ONE_AT_A_TIME
    )


history_publish = _job(
    "history_publish",
    publish_changes,
    "Publish what changed in the engine's history since the last time. Scans the history tables of the engine.\n\n"
    "**Locks** nothing of the engine. **Safe to run again**: it goes on from where the last read ended, and an event "
    "that is published twice changes nothing.",
)
history_subscribe = _job(
    "history_subscribe",
    subscribe_to_changes,
    "Bring the history up to date with the stream; ends when no record waits.\n\n**Locks** the rows of the history "
    "that it writes, a batch at a time; nothing of the engine. **Safe to run again**: a record that was taken before "
    "is known by its version.",
)
history_replay_dead_letters = _job(
    "history_replay_dead_letters",
    replay_letters,
    "Send dead letters back to their topics, after the cause is mended.\n\n**Locks** nothing of the engine. **Safe to "
    "run again**: what dies again is put aside again.",
)
history_retention = _job(
    "history_retention",
    forget_old_history,
    "Delete history that is older than HISTORY_RETENTION_DAYS, and messages older than HISTORY_QUEUE_DAYS.\n\n"
    "**Locks** the rows that it deletes, in the history database only. **Safe to run again**: what is gone is gone.",
)


@asset_check(
    asset=EXECUTION_HISTORY.key,
    name="agrees_with_the_engine",
    description="Holds the rows against the engine for what started lately, and mends them from it.",
    config_schema={
        "days": Field(Int, default_value=1, description="What started in so many days before now."),
        "repair": Field(bool, default_value=True, description="Write what the engine says."),
    },
)
def agrees_with_the_engine(context: AssetCheckExecutionContext) -> AssetCheckResult:
    """Compare and mend; a difference fails the check also when it was mended, so that somebody looks for the cause."""
    config = context.op_execution_context.op_config
    now = datetime.now(UTC)
    with reported():
        found = service.reconcile(
            service.load(), (now - timedelta(days=config["days"]), now + timedelta(days=1)), repair=config["repair"]
        )
    return AssetCheckResult(
        passed=found.is_clean,
        severity=AssetCheckSeverity.WARN if found.repaired else AssetCheckSeverity.ERROR,
        metadata={
            "checked": found.checked,
            "missing": found.missing,
            "different": found.different,
            "repaired": found.repaired,
            "unknown to the engine": found.unknown_to_engine,
            "examples": MetadataValue.md("\n".join(f"- {line}" for line in found.examples) or "none"),
        },
    )


history_reconciliation = define_asset_job(
    "history_reconciliation",
    selection=AssetSelection.checks(agrees_with_the_engine),
    description=(
        "Hold the history against the engine and mend it; the result stands at the asset check.\n\n**Locks** the rows "
        "of the history that it mends; the engine is only read. **Safe to run again** at any time."
    ),
    executor_def=in_process_executor,
)


def _sensor(
    job: JobDefinition, seconds: int, description: str, decide: Callable[[SensorEvaluationContext], str | None]
) -> SensorDefinition:
    """A sensor that starts a job unless there is a reason not to; a failed run does not block the next."""

    @sensor(
        name=f"{job.name}_sensor",
        job=job,
        minimum_interval_seconds=seconds,
        description=description,
        default_status=DefaultSensorStatus.STOPPED,
    )
    def watch(context: SensorEvaluationContext) -> RunRequest | SkipReason:
        if not service.is_configured():
            return SkipReason(_OFF)
        if context.instance.get_runs_count(RunsFilter(job_name=job.name, statuses=_UNDER_WAY)):
            return SkipReason(f"A run of {job.name} is under way.")
        try:
            reason = decide(context)
        except ArchivalError as error:
            return SkipReason(str(error))
        return RunRequest() if reason is None else SkipReason(reason)

    return watch


def _nothing_to_publish(context: SensorEvaluationContext) -> str | None:
    moment = service.moment_of_engine()
    now = f"{moment.source} {moment.horizon} {moment.next_number}"
    if context.cursor == now:
        return "No transaction of the engine's server has ended since the last look."
    context.update_cursor(now)
    return None


def _nothing_to_take(_: SensorEvaluationContext) -> str | None:
    history = service.load()
    waiting = {topic: number for topic, number in service.lag(history).items() if topic in history.topics.names}
    return None if any(waiting.values()) else "No record waits."


JOBS: list[Any] = [
    history_publish,
    history_subscribe,
    history_replay_dead_letters,
    history_retention,
    history_reconciliation,
]
SENSORS = [
    _sensor(history_publish, 60, "Starts a read when transactions of the engine have ended.", _nothing_to_publish),
    _sensor(history_subscribe, 30, "Starts the subscriber when records wait.", _nothing_to_take),
]
ASSETS = [EXECUTION_HISTORY]
ASSET_CHECKS = [agrees_with_the_engine]
