"""The jobs of the archival service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster import DailyPartitionsDefinition, JobDefinition, in_process_executor

from archival_pipeline.archival.filters import Filters
from archival_pipeline.archival.options import Options
from archival_pipeline.defs.config import flat
from archival_pipeline.defs.graphs import move_graph
from archival_pipeline.defs.partitions import by_end_day

if TYPE_CHECKING:
    from archival_pipeline.archival.direction import OperationName

# dagster.yaml lets one run with this tag go at a time, whatever its value. The advisory lock is the real guard.
EXCLUSIVE = {"archival/exclusive": "move"}
_RERUN = "**Safe to run again**: the ledger knows what is done, and open batches of a dead run are finished first."


def _job(
    name: str,
    operation: OperationName,
    description: str,
    partitions_def: DailyPartitionsDefinition | None = None,
) -> JobDefinition:
    return move_graph(name, operation).to_job(
        name=name,
        description=f"{description} {_RERUN} Set `dryRun` to see what would happen.",
        # Dagster takes no flat configuration for a partitioned job: there both sections stand under ops.count.config.
        config=None if partitions_def else flat("count", filters=Filters, options=Options),
        executor_def=in_process_executor,
        tags=EXCLUSIVE,
        partitions_def=partitions_def,
    )


process_backup = _job(
    "process_backup",
    "backup",
    "Move finished process trees from the primary to the backup database, whole and verified.\n\n"
    "**Locks** the instances of one batch at a time, for the length of its deletion; nothing else of the engine.",
)

process_backup_by_day = _job(
    "process_backup_by_day",
    "backup",
    "Move the process trees whose root ended on one day from the primary to the backup; backfill it over a range of "
    "days. A tree belongs to the day on which its root ended (`rootsOnly`). For a range in a single run, launch "
    "`process_backup` with `endedFrom`, `endedTo` and `rootsOnly`.\n\n"
    "**Locks** the instances of one batch at a time, for the length of its deletion.",
    by_end_day,
)

process_restore = _job(
    "process_restore",
    "restore",
    "Move archived process trees from the backup database back to the primary, whole and verified. "
    "The filters apply to the backup.\n\n"
    "**Locks** nothing that the engine uses; adds rows and large objects under their old ids.",
)

process_delete_bulk = _job(
    "process_delete_bulk",
    "delete",
    "Delete process instances with all their recursive children from the primary or, with `database`, the backup.\n\n"
    "Nothing is copied: with `onlyIfBackedUp` only what the other database holds with equal digests is deleted. "
    "Instances that are not over are refused unless `force` is set. "
    "**Locks** the instances of one batch at a time, for the length of its deletion.",
)
