"""The nightly schedule: launched inside its window only, with every field pinned; wrong settings are named."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from dagster import DefaultScheduleStatus, build_schedule_context, validate_run_config

from archival_pipeline.archival.filters import parse_filters
from archival_pipeline.archival.options import Options, parse_options
from archival_pipeline.settings import load_nightly

if TYPE_CHECKING:
    from pathlib import Path

    from dagster import RunRequest, ScheduleDefinition

with warnings.catch_warnings():
    # Dagster looks for the fields of a resource that has none by a name that pydantic has deprecated.
    warnings.filterwarnings("ignore", "The `__fields__` attribute is deprecated")
    from archival_pipeline.definitions import defs
    from archival_pipeline.defs.jobs import process_backup
    from archival_pipeline.defs.schedules import nightly_backup_schedule

KYIV = {
    "NIGHTLY_BACKUP_WINDOW_START": "23:15",
    "NIGHTLY_BACKUP_WINDOW_END": "04:00",
    "NIGHTLY_BACKUP_TIME_ZONE": "Europe/Kyiv",
}
TICK = datetime(2025, 6, 1, 23, 15, tzinfo=ZoneInfo("Europe/Kyiv"))
CLOSING = datetime(2025, 6, 2, 1, tzinfo=UTC)


@pytest.fixture
def nightly(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in list(os.environ):
        if name.startswith("NIGHTLY_"):
            monkeypatch.delenv(name)
    for name, value in KYIV.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def schedule_at(now: datetime) -> ScheduleDefinition:
    return nightly_backup_schedule(load_nightly(), lambda: now)


def tick(now: datetime, scheduled: datetime = TICK) -> tuple[list[RunRequest], str | None]:
    """What a tick asks for, and why it asks for nothing."""
    context = build_schedule_context(scheduled_execution_time=scheduled, repository_def=defs.get_repository_def())
    done = schedule_at(now).evaluate_tick(context)
    return list(done.run_requests or ()), done.skip_message


@pytest.mark.usefixtures("nightly")
@pytest.mark.parametrize("late", [timedelta(seconds=2), timedelta(hours=4, minutes=44)])
def test_tick_inside_the_window_launches_until_its_end(late: timedelta) -> None:
    [request], reason = tick(TICK + late)
    assert reason is None
    assert datetime.fromisoformat(request.run_config["options"]["stopAt"]) == CLOSING
    left = (CLOSING - (TICK + late)).total_seconds()
    # Monitoring is for a run that did not stop itself: it gives ten minutes more.
    assert int(request.tags["dagster/max_runtime"]) == left + 600


@pytest.mark.usefixtures("nightly")
@pytest.mark.parametrize(
    "now",
    [
        pytest.param(TICK - timedelta(seconds=1), id="just before"),
        pytest.param(CLOSING, id="as it closes"),
        pytest.param(TICK + timedelta(hours=10), id="the daemon was down until the morning"),
    ],
)
def test_tick_outside_the_window_is_skipped_with_the_reason(now: datetime) -> None:
    requests, reason = tick(now)
    assert requests == []
    assert reason is not None
    assert "outside the window 23:15 to 04:00 (Europe/Kyiv)" in reason
    assert now.isoformat(timespec="seconds") in reason


@pytest.mark.usefixtures("nightly")
def test_tick_of_last_night_that_fires_tonight_runs_in_tonights_window() -> None:
    tonight = TICK + timedelta(days=1, minutes=1)
    [request], _ = tick(tonight)
    assert datetime.fromisoformat(request.run_config["options"]["stopAt"]) == CLOSING + timedelta(days=1)


def test_every_field_is_pinned_and_the_job_takes_it(nightly: pytest.MonkeyPatch) -> None:
    nightly.setenv("NIGHTLY_BACKUP_PROCESS_NAME", "customerOnboarding")
    nightly.setenv("NIGHTLY_BACKUP_BEFORE_NO_OF_DAYS", "180")
    nightly.setenv("NIGHTLY_BACKUP_PAUSE_MS", "250")
    [request], _ = tick(TICK)
    validate_run_config(process_backup, request.run_config)
    assert request.run_config["filters"] == {"beforeNoOfDays": 180, "processName": "customerOnboarding"}
    options = request.run_config["options"]
    # A field whose default is «none» is off until somebody gives it a value; every other is written down.
    pinned = {str(info.alias) for info in Options.model_fields.values() if info.default is not None}
    assert options.keys() == pinned | {"stopAt"}
    assert options["pauseBetweenBatchesMs"] == 250
    assert options["rootsOnly"] is True
    assert [options[name] for name in ("includeRunning", "allowAll", "dryRun", "force")] == [False] * 4
    assert not parse_filters(request.run_config["filters"]).is_empty
    assert parse_options(options).stop_at == CLOSING


@pytest.mark.usefixtures("nightly")
def test_a_tick_has_one_run_and_each_night_its_own() -> None:
    [first], _ = tick(TICK)
    [again], _ = tick(TICK + timedelta(minutes=5))
    [next_night], _ = tick(TICK + timedelta(days=1), TICK + timedelta(days=1))
    assert first.run_key == again.run_key != next_night.run_key


def test_is_off_by_default_and_on_when_enabled(nightly: pytest.MonkeyPatch) -> None:
    assert schedule_at(TICK).default_status is DefaultScheduleStatus.STOPPED
    nightly.setenv("NIGHTLY_BACKUP_ENABLED", "true")
    assert schedule_at(TICK).default_status is DefaultScheduleStatus.RUNNING


@pytest.mark.usefixtures("nightly")
def test_fires_when_the_window_opens_in_its_zone() -> None:
    schedule = schedule_at(TICK)
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("15 23 * * *", "Europe/Kyiv")
    assert schedule.job_name == process_backup.name


WRONG = [
    ("NIGHTLY_BACKUP_ENABLED", "perhaps"),
    ("NIGHTLY_BACKUP_WINDOW_START", "25:00"),
    ("NIGHTLY_BACKUP_WINDOW_END", "late"),
    ("NIGHTLY_BACKUP_WINDOW_END", "20:00"),
    ("NIGHTLY_BACKUP_TIME_ZONE", "Mars/Olympus"),
    ("NIGHTLY_BACKUP_BEFORE_NO_OF_DAYS", "-1"),
    ("NIGHTLY_BACKUP_PAUSE_MS", "600001"),
    ("BACKUP_PARTITIONS_START", "yesterday"),
    ("BPM_TIME_ZONE", "Mars/Olympus"),
]


def test_wrong_values_keep_the_location_from_loading_and_are_named(tmp_path: Path) -> None:
    """In one process of its own: each wrong value alone, loaded as Dagster loads the location."""
    (tmp_path / "dagster.yaml").touch()
    program = f"""
import os, sys
from archival_pipeline.errors import ConfigurationError
for name, value in {WRONG!r}:
    os.environ[name] = value
    try:
        import archival_pipeline.definitions
    except ConfigurationError as error:
        print(name, value, name in str(error), sep="|")
    else:
        sys.exit(f"loaded with {{name}}={{value}}")
    del os.environ[name]
    for module in [module for module in sys.modules if module.startswith("archival_pipeline.def")]:
        del sys.modules[module]
"""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        check=False,
        capture_output=True,
        text=True,
        env=kept | {"DAGSTER_HOME": str(tmp_path)},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{name}|{value}|True" for name, value in WRONG]
