"""Interim data in Dagster: the jobs that clean and sweep.

Whatever is done is done in ``archival_pipeline.interim``; here its numbers are shown. Dagster reads the annotations of
ops while it loads them, so this module does not postpone their evaluation. Not here: what starts the jobs
(``interim_triggers.py``).
"""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from dagster import (
    Config,
    Failure,
    In,
    JobDefinition,
    MetadataValue,
    Nothing,
    OpDefinition,
    OpExecutionContext,
    Out,
    TableColumn,
    TableRecord,
    TableSchema,
    graph,
    in_process_executor,
    op,
)
from pydantic import Field

from archival_pipeline.defs.ops import reported
from archival_pipeline.interim import metrics, service
from archival_pipeline.interim.books import Store
from archival_pipeline.interim.cleanup import StoreReport
from archival_pipeline.interim.service import opened, until

_CLEANUP = "interim_data_cleanup"
_SWEEP = "interim_data_sweep"
_SHOWN = 100
_NEVER = until(None)


@op(out=Out(Nothing))
def queue_ended_processes(context: OpExecutionContext) -> None:
    """Read which processes have ended since the last time, and write down what each store has to remove."""
    with reported(), opened(service.load_places()) as everything:
        read = everything.cleanup(_NEVER).read_ended(everything.places.interim.batch_size)
        backlog = everything.books.backlog()
    context.add_output_metadata(
        {"processes that ended": read} | {f"waiting for {one.store}": one.processes for one in backlog}
    )
    context.log.info("interim ended=%d", read)


def _clean_op(name: str, store: Store, what: str) -> OpDefinition:
    @op(name=name, ins={"after": In(Nothing)}, description=f"Remove {what} of processes that are over.")
    def clean(context: OpExecutionContext) -> None:
        with reported(), opened(service.load_places()) as everything:
            there = everything.redis if store == "redis" else everything.files
            if there is None:
                context.log.info("interim store=%s is not configured", store)
                return
            report = everything.clean(store, _NEVER)
            backlog = next((one for one in everything.books.backlog() if one.store == store), None)
        context.add_output_metadata(
            {
                **_numbers(report),
                "backlog": backlog.processes if backlog else 0,
                "backlog on hold": backlog.on_hold if backlog else 0,
                "oldest in the backlog, seconds": backlog.oldest_seconds if backlog else 0,
            }
        )
        context.log.info(
            "interim store=%s processes=%d removed=%s failed=%d held=%d withheld=%d",
            store,
            report.processes,
            report.removed,
            len(report.failed),
            len(report.on_hold),
            report.withheld,
        )
        if report.down is not None:
            raise Failure(description=report.down, metadata={"store": store}, allow_retries=False)

    return clean


def _numbers(report: StoreReport) -> dict[str, Any]:
    records = [TableRecord({"process": name, "reason": why}) for name, why in list(report.failed.items())[:_SHOWN]]
    columns = TableSchema([TableColumn("process", "string"), TableColumn("reason", "string")])
    return {
        **{f"deleted from {place}": count for place, count in report.removed.items()},
        "processes": report.processes,
        "bytes freed": report.bytes,
        "withheld": report.withheld,
        "on hold": len(report.on_hold),
        "done again after a failover": report.again,
        "put off": MetadataValue.table(records, schema=columns),
    }


clean_redis = _clean_op("clean_redis", "redis", "form data, signatures and payloads")
clean_files = _clean_op("clean_files", "files", "files")


@graph(name=_CLEANUP)
def _cleanup_graph() -> None:
    ended = queue_ended_processes()
    clean_redis(ended)
    clean_files(ended)


interim_data_cleanup: JobDefinition = _cleanup_graph.to_job(
    name=_CLEANUP,
    description=(
        "Remove the interim data of processes that have ended since the last run: form data, signatures and payloads "
        "in Redis, files in S3. A store that is down delays only its own part.\n\n"
        "**Safe to run again**, and by several at once: what is gone is no mistake. **Locks** nothing of the engine."
    ),
    executor_def=in_process_executor,
    tags={"archival/interim": "cleanup"},
)


class SweepConfig(Config):
    """What a sweep may do."""

    dryRun: bool = Field(default=True, description="Only list what looks left behind; remove nothing.")  # noqa: N815
    graceHours: int = Field(  # noqa: N815 - the names of a run configuration are those of REST
        default=168, ge=1, description="Hours that something must have looked left behind before it goes."
    )
    scrubTokens: bool = Field(  # noqa: N815
        default=False, description="Also take out expired access tokens of entries that no running process needs."
    )
    stopAt: str = Field(default="", description="Begin nothing after this moment; ISO 8601 with an offset.")  # noqa: N815


@op
def sweep(context: OpExecutionContext, config: SweepConfig) -> None:
    """Look for data that no process leads to, and remove what has looked so for the grace period."""
    stop = until(datetime.fromisoformat(config.stopAt) if config.stopAt else None)
    with reported(), opened(service.load_places()) as everything:
        report = everything.sweeper(stop, timedelta(hours=config.graceHours)).sweep(dry_run=config.dryRun)
        expired = 0 if config.dryRun else everything.forget_expired()
        told = metrics.status(everything.books)
        keeper = everything.tokens(stop)
        tokens = None
        if keeper is not None and not report.down:
            now = datetime.fromisoformat(everything.books.now()).timestamp()
            tokens = keeper.look(now, scrub=config.scrubTokens and not config.dryRun)
            everything.books.add_totals({("scrubbed", keeper.redis.keyspaces.forms): tokens.scrubbed})
    records = [TableRecord({"name": n, "shape": s, "seconds": age}) for n, s, age in report.shown[:_SHOWN]]
    columns = [TableColumn("name", "string"), TableColumn("shape", "string"), TableColumn("seconds", "int")]
    context.add_output_metadata(
        {
            "dry run": report.dry_run,
            **{f"looked at in {place}": count for place, count in report.scanned.items()},
            **{f"left behind, {shape}": count for shape, count in report.found.items()},
            **{f"deleted from {place}": count for place, count in report.removed.items()},
            "within the grace period": report.young,
            "on hold": report.on_hold,
            "bytes freed": report.bytes,
            "stale names": report.stale_names,
            "unknown keys": report.unknown,
            "kept copies that expired": expired,
            "oldest, seconds": report.oldest_seconds,
            "left behind": MetadataValue.table(records, schema=TableSchema(columns)),
            "since the beginning": MetadataValue.json(told["totals"]),
            "tokens": MetadataValue.json(asdict(tokens) if tokens else {}),
        }
    )
    context.log.info("interim sweep found=%s removed=%s ended=%s", report.found, report.removed, report.ended_because)
    if report.down:
        raise Failure(description="; ".join(report.down.values()), allow_retries=False)


@graph(name=_SWEEP)
def _sweep_graph() -> None:
    sweep()


interim_data_sweep: JobDefinition = _sweep_graph.to_job(
    name=_SWEEP,
    description=(
        "Find interim data that no process leads to: starts that never happened, payloads that nobody took, keys of "
        "processes that are gone. What still looks so after the grace period is removed, after asking the engine "
        "again.\n\n**Safe to run again**; set `dryRun` to `false` to remove anything. **Locks** nothing of the engine."
    ),
    executor_def=in_process_executor,
    tags={"archival/interim": "sweep"},
)

JOBS = [interim_data_cleanup, interim_data_sweep]
