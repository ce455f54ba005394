"""The jobs of the archival service."""

from __future__ import annotations

from dagster import in_process_executor

from archival_pipeline.archival.filters import Filters
from archival_pipeline.archival.options import Options
from archival_pipeline.defs.config import flat
from archival_pipeline.defs.graphs import process_move

# dagster.yaml lets one run with this tag go at a time, whatever its value. The advisory lock is the real guard.
EXCLUSIVE = {"archival/exclusive": "move"}

process_backup = process_move.to_job(
    name="process_backup",
    description=(
        "Move finished process trees from the primary to the backup database, whole and verified.\n\n"
        "**Locks** the instances of one batch at a time, for the length of its deletion; nothing else of the engine. "
        "**Safe to run again**: the ledger knows what is done, and open batches of a dead run are finished first. "
        "Set `dryRun` to see what would move."
    ),
    config=flat("count", filters=Filters, options=Options),
    executor_def=in_process_executor,
    tags=EXCLUSIVE,
)
