"""Stored variable snapshots in Dagster: the job that stores them, and the sensor that starts it.

Whatever is done is done in ``archival_pipeline.variables``; here its numbers are shown. Dagster reads annotations of
ops and sensors while it loads them, so this module does not postpone their evaluation.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from dagster import (
    DagsterRunStatus,
    DefaultSensorStatus,
    JobDefinition,
    MetadataValue,
    OpExecutionContext,
    RunRequest,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    TableColumn,
    TableRecord,
    TableSchema,
    in_process_executor,
    job,
    op,
    sensor,
)

from archival_pipeline.defs.ops import reported
from archival_pipeline.errors import ArchivalError, ConfigurationError
from archival_pipeline.settings_camunda import load_camunda
from archival_pipeline.settings_variables import load_stored_snapshots
from archival_pipeline.variables import service, storing

_SENSOR_SECONDS = 60
_SHOWN = 100
_AT_WORK = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


def _now() -> datetime:
    return datetime.now(UTC)


@op
def store_snapshots(context: OpExecutionContext) -> None:
    """Store what is wanted and not stored yet, and let go what lost its history."""
    with reported():
        wanted = load_stored_snapshots().activities
        done = storing.store(service.camunda(), wanted, now=_now())
    records = [TableRecord({"process instance": name, "reason": why}) for name, why in list(done.refused.items())]
    columns = TableSchema([TableColumn("process instance", "string"), TableColumn("reason", "string")])
    context.add_output_metadata(
        {
            "stored": done.stored,
            "variables": done.variables,
            "swept": done.swept,
            "refused": len(done.refused),
            "more to do": done.more,
            "postponed by the history cleanup": done.postponed,
            "reasons": MetadataValue.table(records[:_SHOWN], schema=columns),
        }
    )
    context.log.info(
        "variable snapshots stored=%d swept=%d refused=%d more=%s",
        done.stored,
        done.swept,
        len(done.refused),
        done.more,
    )


@job(
    executor_def=in_process_executor,
    description="Store snapshots of the activities that VARIABLES_STORED_SNAPSHOTS names, by reference to rows of the "
    "history; remove those whose history somebody else removed.\n\n"
    "**Safe to run again**: what is stored is left out. **Locks** no row of the engine; gives way to the history "
    "cleanup.",
)
def variable_snapshots() -> None:
    """Store, sweep."""
    store_snapshots()


def variable_snapshots_sensor(clock: Callable[[], datetime] = _now) -> SensorDefinition:
    """Starts the job when activities that are wanted have begun or ended, one run at a time.

    Args:
        clock: the real time.
    """

    @sensor(
        name="variable_snapshots",
        job=variable_snapshots,
        minimum_interval_seconds=_SENSOR_SECONDS,
        default_status=DefaultSensorStatus.RUNNING if _is_wanted() else DefaultSensorStatus.STOPPED,
        description="Starts `variable_snapshots` when an activity that VARIABLES_STORED_SNAPSHOTS names has begun or "
        "ended, and once a day to remove what lost its history.",
    )
    def variable_snapshots_wanted(context: SensorEvaluationContext) -> RunRequest | SkipReason:
        try:
            wanted = load_stored_snapshots().activities
            settings = load_camunda()
            if not wanted or settings is None:
                return SkipReason("VARIABLES_STORED_SNAPSHOTS names nothing, or no Camunda database is configured.")
            at_work = context.instance.get_runs(
                RunsFilter(job_name=variable_snapshots.name, statuses=_AT_WORK), limit=1
            )
            if at_work:
                return SkipReason(f"Run {at_work[0].run_id} is still at work.")
            if not storing.is_due(settings, wanted, now=clock()):
                return SkipReason("No activity that is wanted has begun or ended since the last look.")
        except ArchivalError as error:
            return SkipReason(str(error))
        return RunRequest(tags={"archival/trigger": "variable_snapshots"})

    return variable_snapshots_wanted


def _is_wanted() -> bool:
    """Whether anything is to be stored; a wrong variable is said by each tick and does not keep others from loading."""
    try:
        return bool(load_stored_snapshots().activities)
    except ConfigurationError:
        return True


JOBS: list[JobDefinition] = [variable_snapshots]
SENSORS: list[SensorDefinition] = [variable_snapshots_sensor()]
