"""The front door: everything this code location offers to Dagster, listed."""

from __future__ import annotations

from dagster import Definitions

from archival_pipeline.defs import alerting, archive_checks, imixs, jobs, schedules, upkeep
from archival_pipeline.defs.resources import Mover
from archival_pipeline.settings import load_nightly

defs = Definitions(
    jobs=[
        jobs.process_backup,
        jobs.process_backup_by_day,
        jobs.process_restore,
        jobs.process_delete_bulk,
        *archive_checks.JOBS,
        *upkeep.JOBS,
        *imixs.JOBS,
    ],
    schedules=[
        schedules.nightly_backup_schedule(load_nightly()),
        *archive_checks.SCHEDULES,
        *upkeep.SCHEDULES,
    ],
    sensors=[*alerting.SENSORS, *imixs.SENSORS],
    assets=[*archive_checks.ASSETS, *imixs.ASSETS],
    asset_checks=[*archive_checks.ASSET_CHECKS, *imixs.ASSET_CHECKS],
    resources={"mover": Mover()},
)
