"""The front door: everything this code location offers to Dagster, listed."""

from __future__ import annotations

import gc

from dagster import Definitions

from archival_pipeline.defs import (
    alerting,
    archive_checks,
    cleanup,
    cleanup_archive,
    history,
    imixs,
    interim,
    interim_triggers,
    jobs,
    retention,
    schedules,
    upkeep,
    variables,
    variables_stored,
)
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
        *cleanup.JOBS,
        *cleanup_archive.JOBS,
        *history.JOBS,
        *imixs.JOBS,
        *interim.JOBS,
        *retention.JOBS,
        *variables.JOBS,
        *variables_stored.JOBS,
    ],
    schedules=[
        schedules.nightly_backup_schedule(load_nightly()),
        *archive_checks.SCHEDULES,
        *upkeep.SCHEDULES,
        *cleanup.SCHEDULES,
        *interim_triggers.SCHEDULES,
        *retention.SCHEDULES,
    ],
    sensors=[
        *alerting.SENSORS,
        *cleanup.SENSORS,
        *history.SENSORS,
        *imixs.SENSORS,
        *interim_triggers.SENSORS,
        *variables_stored.SENSORS,
    ],
    assets=[*archive_checks.ASSETS, *history.ASSETS, *imixs.ASSETS],
    asset_checks=[*archive_checks.ASSET_CHECKS, *history.ASSET_CHECKS, *imixs.ASSET_CHECKS],
    resources={"mover": Mover()},
)

# What was loaded lives as long as its process. The collector need not walk through all of it in the middle of a run,
# which takes a sixth of a second and stops every lane.
gc.freeze()
