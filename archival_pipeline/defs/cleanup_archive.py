"""The job that brings archived history back into a Camunda engine's tables.

Configuration in, one call into the room, metadata out. Dagster reads the annotations of ops while it loads them, so
this module does not postpone their evaluation.
"""

import time

from dagster import Config, JobDefinition, MetadataValue, OpExecutionContext, in_process_executor, job, op
from pydantic import Field

from archival_pipeline.defs import cleanup
from archival_pipeline.defs.ops import reported
from archival_pipeline.history.cleanup.archive import service
from archival_pipeline.history.cleanup.archive.opening import Target
from archival_pipeline.history.cleanup.archive.restoring import Returned
from archival_pipeline.history.cleanup.running import Surroundings
from archival_pipeline.settings_cleanup import load_archive

_MOST_SHOWN = 100


class HistoryRestoreConfig(Config):
    """What is to come back: whatever one of the lists names. A run that says nothing more only counts."""

    dryRun: bool = Field(default=True, description="Only count what would come back; change nothing.")  # noqa: N815
    instances: list[str] = Field([], description="Process instances; their whole hierarchies come back.")
    businessKeys: list[str] = Field([], description="Of any instance of a hierarchy.")  # noqa: N815
    definitions: list[str] = Field([], description="Process definition keys of any instance of a hierarchy.")
    runs: list[str] = Field([], description="Runs of history_cleanup: all that they archived, loose rows included.")
    everything: bool = Field(default=False, description="All that is archived.")


@op
def restore_history(context: OpExecutionContext, config: HistoryRestoreConfig) -> None:
    """Bring archived hierarchies back, verified, and remove them from the backup."""
    wanted = service.Wanted(
        config.instances, config.businessKeys, config.definitions, config.runs, everything=config.everything
    )
    with reported():
        settings, own = cleanup.configured(for_removal=False)
        around = Surroundings(clock=cleanup.moment, sleep=time.sleep)
        target = Target(load_archive(), context.run_id)
        done = service.restore(settings, own, around, target, wanted, dry_run=config.dryRun)
    context.log.info(
        "restore hierarchies=%d rows=%d refused=%d", done.hierarchies, done.rows.total(), len(done.refused)
    )
    context.add_output_metadata(_shown(done))


@job(
    executor_def=in_process_executor,
    description="Bring history that was archived before its removal back into the Camunda database. Starts as a dry "
    "run unless told otherwise.\n\n**Safe to run again**: what came back is not brought back twice. **Locks** nothing "
    "that the engine needs. What is due comes under the next cleanup again unless it is put on hold.",
    tags={"archival/cleanup": "restore"},
)
def history_cleanup_restore() -> None:
    """Restore and show."""
    restore_history()


JOBS: list[JobDefinition] = [history_cleanup_restore]


def _shown(done: Returned) -> dict[str, MetadataValue]:
    return {
        "hierarchies": MetadataValue.int(done.hierarchies),
        "sets of rows without a hierarchy": MetadataValue.int(done.loose),
        "rows": MetadataValue.int(done.rows.total()),
        "due for the next cleanup": MetadataValue.int(done.due),
        "rows per table": cleanup.table(("table", "rows"), [(name, n) for name, n in sorted(done.rows.items()) if n]),
        "refused": cleanup.table(("unit", "reason"), sorted(done.refused.items())[:_MOST_SHOWN]),
    }
