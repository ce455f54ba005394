"""The front door: everything this code location offers to Dagster, listed."""

from __future__ import annotations

from dagster import Definitions

from archival_pipeline.defs import jobs
from archival_pipeline.defs.resources import Mover

defs = Definitions(
    jobs=[jobs.process_backup, jobs.process_restore, jobs.process_delete_bulk],
    resources={"mover": Mover()},
)
