"""Dagster's side of the Imixs backup: jobs, the sensor on the event log, the verification as an asset check.

Dagster reads the annotations of ops and sensors while it loads them, so this module does not postpone their
evaluation. Not here: what the operations do (``imixs/``).
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetKey,
    AssetMaterialization,
    AssetSelection,
    AssetSpec,
    Config,
    DefaultSensorStatus,
    Failure,
    JobDefinition,
    MetadataValue,
    OpDefinition,
    OpExecutionContext,
    RunRequest,
    RunsFilter,
    SensorEvaluationContext,
    SkipReason,
    TableColumn,
    TableRecord,
    TableSchema,
    asset_check,
    define_asset_job,
    graph,
    in_process_executor,
    op,
    sensor,
)
from dagster import DagsterRunStatus as Status
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from pydantic import Field

from archival_pipeline.errors import ArchivalError
from archival_pipeline.imixs import service
from archival_pipeline.imixs.requests import parse_restore
from archival_pipeline.imixs.results import Report
from archival_pipeline.settings_imixs import load_imixs, missing_for_imixs

SPACE = AssetKey("imixs_backup_space")
_GROUP = "imixs"
# Runs of one space exclude each other by a lock; the tag shows them together.
_TAGS = {"archival/imixs": "space"}
_OPEN = [Status.QUEUED, Status.NOT_STARTED, Status.STARTING, Status.STARTED, Status.CANCELING]
_INTERVAL_SECONDS = 30
_FIRST_REST_SECONDS, _LONGEST_REST_SECONDS = 60, 1800


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except ArchivalError as error:
        raise Failure(
            description=str(error), metadata={"code": error.code, "summary": error.summary, "resolve": error.resolve}
        ) from error


def _metadata(report: Report) -> dict[str, Any]:
    found: dict[str, Any] = {name.replace("_", " "): number for name, number in sorted(report.numbers.items())}
    if report.problems:
        columns = ("what", "code", "summary")
        found["problems"] = MetadataValue.table(
            [TableRecord({name: getattr(problem, name) for name in columns}) for problem in report.problems[:100]],
            schema=TableSchema([TableColumn(name, "string") for name in columns]),
        )
    return found


def _finish(context: OpExecutionContext, report: Report, *, changes_space: bool) -> None:
    metadata = _metadata(report)
    if changes_space:
        context.log_event(AssetMaterialization(SPACE, metadata=metadata))
    context.add_output_metadata(metadata)
    with _reported():
        report.raise_if_bad()


def _progress(context: OpExecutionContext) -> Callable[[Report], None]:
    def log(report: Report) -> None:
        context.log.info(" ".join(f"{name}={number}" for name, number in sorted(report.numbers.items())))

    return log


class BackupConfig(Config):
    """Options of a backup by the event log."""

    limit: int = Field(default=service.NO_LIMIT, ge=1, description="Stop after so many entries of the event log.")
    acceptGone: bool = Field(  # noqa: N815 - as programs write it
        default=False, description="Delete entries of documents that the instance does not show, however many they are."
    )


class RestoreConfig(Config):
    """Options of a restore."""

    since: str | None = Field(default=None, description="Snapshots made at this moment or later; ISO 8601 with offset.")
    until: str | None = Field(default=None, description="Snapshots made before this moment; ISO 8601 with offset.")
    filters: dict[str, str] = Field(
        default={}, description="Item name to regular expression; every value must match, an absent item passes."
    )
    documentId: str | None = Field(default=None, description="This document only.")  # noqa: N815
    snapshotId: str | None = Field(default=None, description="This snapshot only, from the history too.")  # noqa: N815
    dryRun: bool = Field(default=True, description="Only say what would be restored.")  # noqa: N815
    force: bool = Field(default=False, description="Overwrite documents that are newer in the instance, too.")


@op(name="imixs_backup_events")
def backup_events(context: OpExecutionContext, config: BackupConfig) -> None:
    """Work off the event log: store each snapshot, read it back, and only then delete its entry."""
    with _reported():
        report = service.backup(
            load_imixs(), limit=config.limit, accept_gone=config.acceptGone, progress=_progress(context)
        )
    _finish(context, report, changes_space=True)


@op(name="imixs_backup_all")
def backup_all(context: OpExecutionContext) -> None:
    """Walk over all documents, and store what is missing, older or damaged."""
    with _reported():
        report = service.full_backup(load_imixs(), progress=_progress(context))
    _finish(context, report, changes_space=True)


@op(name="imixs_restore_files")
def restore_files(context: OpExecutionContext, config: RestoreConfig) -> None:
    """Bring files back into the instance; newer data there is left alone unless it is forced."""
    given = {name: value for name, value in config.model_dump().items() if value is not None}
    given["filters"] = [{"item": name, "pattern": pattern} for name, pattern in config.filters.items()]
    with _reported():
        report = service.restore(load_imixs(), parse_restore(given), progress=_progress(context))
    _finish(context, report, changes_space=False)


def _job(name: str, only_op: OpDefinition, description: str) -> JobDefinition:
    @graph(name=f"{name}_graph")
    def single() -> None:
        only_op()

    return single.to_job(name=name, description=description, executor_def=in_process_executor, tags=_TAGS)


imixs_backup = _job(
    "imixs_backup",
    backup_events,
    "Store the snapshots that the instance's event log names. An entry is deleted only after its file was read back."
    "\n\n**Locks** the backup space against other writers, and each entry while it is worked on. "
    "**Safe to run again**: what a dead run has left locked is unlocked first.",
)
imixs_full_backup = _job(
    "imixs_full_backup",
    backup_all,
    "Walk over all documents of the instance, without the event log, and store what is missing, older or damaged."
    "\n\n**Locks** the backup space against other writers; nothing of the instance. "
    "**Safe to run again**: what is held is passed over.",
)
imixs_restore = _job(
    "imixs_restore",
    restore_files,
    "Bring snapshots back into the instance. A dry run unless `dryRun` is false. Newer data in the instance is never "
    "overwritten unless `force` is set.\n\n**Locks** nothing. **Safe to run again**: what is there already is "
    "passed over.",
)


class VerifyConfig(Config):
    """Options of a verification."""

    sample: int | None = Field(
        default=None, ge=1, description="Only so many files, those not looked at for longest; all if it is not set."
    )


@asset_check(
    asset=SPACE,
    name="imixs_files_are_whole",
    description="Reads the files back: bytes against the record, XML, digests of attachments. Takes unknown files into "
    "the record. What is damaged or missing is written anew by the next full backup.",
)
def imixs_files_are_whole(config: VerifyConfig) -> AssetCheckResult:
    """Read files back, all or a sample."""
    with _reported():
        report = service.verify(load_imixs(), limit=config.sample)
    return AssetCheckResult(
        passed=report.is_good,
        severity=AssetCheckSeverity.ERROR,
        description=report.problem() or f"{report.numbers['verified']} files are whole.",
        metadata=_metadata(report),
    )


imixs_verify = define_asset_job(
    "imixs_verify",
    selection=AssetSelection.checks(imixs_files_are_whole),
    description=(
        "Read the files of the backup space back, all or a sample, as a check of the asset imixs_backup_space.\n\n"
        "**Locks** the backup space against other writers. **Safe to run again** at any time."
    ),
    executor_def=in_process_executor,
    tags=_TAGS,
)


def _rest(failures: int) -> int:
    return min(_FIRST_REST_SECONDS * 2 ** max(failures - 1, 0), _LONGEST_REST_SECONDS) if failures else 0


def _failures_in_a_row(context: SensorEvaluationContext) -> tuple[int, float]:
    """How many of the latest runs failed, and when the last of them ended."""
    records = context.instance.get_run_records(RunsFilter(job_name="imixs_backup"), limit=6)
    failed = 0
    for record in records:
        if record.dagster_run.status is not Status.FAILURE:
            break
        failed += 1
    return failed, (records[0].end_time or 0.0) if records else 0.0


def evaluate(context: SensorEvaluationContext, clock: Callable[[], float] = time.time) -> RunRequest | SkipReason:
    """One look at the event log.

    A failed run is followed by a longer and longer rest, so that a broken server is not asked twice a minute; the run
    key is left out, so that a failed run never blocks the next one.
    """
    missing = missing_for_imixs()
    if missing is not None:
        return SkipReason(f"The Imixs backup is off: {missing}.")
    if context.instance.get_run_records(RunsFilter(job_name="imixs_backup", statuses=_OPEN), limit=1):
        return SkipReason("A backup is at work or queued.")
    failures, ended = _failures_in_a_row(context)
    left = ended + _rest(failures) - clock()
    if left > 0:
        return SkipReason(f"The last {failures} run(s) failed; the next try is in {left:.0f} s.")
    try:
        waiting = service.waiting(load_imixs())
    except ArchivalError as error:
        return SkipReason(str(error))
    seen: Mapping[str, Any] = json.loads(context.cursor) if context.cursor else {}
    context.update_cursor(json.dumps({"waiting": waiting, "looks": int(seen.get("looks", 0)) + 1}))
    if not waiting:
        return SkipReason("No entry waits.")
    return RunRequest(tags={"archival/trigger": "imixs_events", "archival/imixs_waiting": str(waiting)})


@sensor(
    name="imixs_events",
    job=imixs_backup,
    minimum_interval_seconds=_INTERVAL_SECONDS,
    default_status=DefaultSensorStatus.STOPPED if missing_for_imixs() else DefaultSensorStatus.RUNNING,
    description="Looks into the event log of the Imixs instance, and launches a backup when an entry waits.",
)
def imixs_events(context: SensorEvaluationContext) -> RunRequest | SkipReason:
    """Launch a backup when an entry waits."""
    return evaluate(context)


ASSETS = [
    AssetSpec(
        SPACE,
        group_name=_GROUP,
        description="The backup files of an Imixs instance: one XML per document, by year and month of its creation.",
    )
]
ASSET_CHECKS = [imixs_files_are_whole]
JOBS: list[JobDefinition | UnresolvedAssetJobDefinition] = [
    imixs_backup,
    imixs_full_backup,
    imixs_restore,
    imixs_verify,
]
SENSORS = [imixs_events]
