"""The schedules of times to live: off unless switched on, inside their window only, and never in the way of loading."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from dagster import DefaultScheduleStatus, build_schedule_context, validate_run_config

if TYPE_CHECKING:
    from dagster import JobDefinition, RunRequest

with warnings.catch_warnings():
    # Dagster looks for the fields of a resource that has none by a name that pydantic has deprecated.
    warnings.filterwarnings("ignore", "The `__fields__` attribute is deprecated")
    from archival_pipeline.definitions import defs
    from archival_pipeline.defs import retention

PAIRS = list(zip((retention.PROCESS_HISTORY, retention.BACKUP), retention.JOBS, strict=True))
BOTH = pytest.mark.parametrize(("kind", "job"), PAIRS, ids=[kind.job for kind, _ in PAIRS])
OPENING = datetime(2025, 6, 1, 23, 30, tzinfo=ZoneInfo("Europe/Kyiv"))
CLOSING = datetime(2025, 6, 1, 22, tzinfo=UTC)


@pytest.fixture
def environment(clean_environment: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in {
        "processHistoryCleanupEnabled": "true",
        "processHistoryTimeToLive": "P30D",
        "processHistoryCleanupBatchWindowStartTime": "23:30",
        "processHistoryCleanupBatchWindowEndTime": "01:00",
        "backupRetentionEnabled": "true",
        "backupTimeToLive": "P3650D",
        "backupRetentionBatchWindowStartTime": "23:30",
        "backupRetentionBatchWindowEndTime": "01:00",
    }.items():
        clean_environment.setenv(name, value)
    return clean_environment


def tick(kind: retention.Kind, job: JobDefinition, now: datetime) -> tuple[list[RunRequest], str]:
    plan = retention.retention_schedule(kind, job, kind.load(), "Europe/Kyiv", lambda: now)
    context = build_schedule_context(scheduled_execution_time=OPENING, repository_def=defs.get_repository_def())
    done = plan.evaluate_tick(context)
    return list(done.run_requests or ()), done.skip_message or ""


@BOTH
@pytest.mark.usefixtures("environment")
def test_a_tick_inside_the_window_removes_until_its_end(kind: retention.Kind, job: JobDefinition) -> None:
    [request], _ = tick(kind, job, OPENING + timedelta(minutes=1))
    validate_run_config(job, request.run_config)
    config = request.run_config["ops"]["remove_expired"]["config"]
    assert (config["dryRun"], config["immediate"]) == (False, False)
    assert datetime.fromisoformat(config["stopAt"]) == CLOSING
    assert int(request.tags["dagster/max_runtime"]) == 89 * 60 + 600


@BOTH
@pytest.mark.usefixtures("environment")
def test_a_tick_outside_the_window_is_skipped_with_the_reason(kind: retention.Kind, job: JobDefinition) -> None:
    for now in (OPENING - timedelta(seconds=1), CLOSING):
        requests, reason = tick(kind, job, now)
        assert requests == []
        assert "outside the window 23:30 to 01:00 (Europe/Kyiv)" in reason


@BOTH
def test_it_is_off_and_says_so_unless_it_is_switched_on(
    kind: retention.Kind, job: JobDefinition, clean_environment: pytest.MonkeyPatch
) -> None:
    settings = kind.load()
    plan = retention.retention_schedule(kind, job, settings, "UTC")
    assert plan.default_status is DefaultScheduleStatus.STOPPED
    clean_environment.setenv(kind.switch, "true")
    # Switched on without a time to live: the location loads all the same.
    off, zone = retention._settings(kind)
    assert off is None
    plan = retention.retention_schedule(kind, job, off, zone)
    assert plan.default_status is DefaultScheduleStatus.STOPPED
    assert kind.switch in str(plan.description)
    done = plan.evaluate_tick(build_schedule_context(repository_def=defs.get_repository_def()))
    assert done.skip_message == f"{kind.switch} is not true."


def test_a_run_starts_as_a_dry_run() -> None:
    assert retention.RetentionConfig() == retention.RetentionConfig(dryRun=True, immediate=False, stopAt=None)
