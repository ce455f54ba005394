"""The front door: everything this code location offers to Dagster, listed."""

from __future__ import annotations

from dagster import Definitions

from archival_pipeline.defs import imixs, jobs, schedules
from archival_pipeline.defs.resources import Mover
from archival_pipeline.settings import load_nightly

defs = Definitions(
    jobs=[
        jobs.process_backup,
        jobs.process_backup_by_day,
        jobs.process_restore,
        jobs.process_delete_bulk,
        *imixs.JOBS,
    ],
    schedules=[schedules.nightly_backup_schedule(load_nightly())],
    sensors=[*imixs.SENSORS],
    assets=[*imixs.ASSETS],
    asset_checks=[*imixs.ASSET_CHECKS],
    resources={"mover": Mover()},
)
