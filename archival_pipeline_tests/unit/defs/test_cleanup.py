"""The schedule of the history cleanup, and what says that it cannot keep up."""

from __future__ import annotations

import subprocess
import sys
import warnings
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from dagster import build_schedule_context, validate_run_config

from archival_pipeline.errors import RequestError
from archival_pipeline.history.cleanup.metrics import falls_behind
from archival_pipeline.history.cleanup.weekly import WeeklyWindows, deadline
from archival_pipeline.settings_cleanup import CleanupSettings

if TYPE_CHECKING:
    from pathlib import Path

    from dagster import RunRequest

with warnings.catch_warnings():
    # Dagster looks for the fields of a resource that has none by a name that pydantic has deprecated.
    warnings.filterwarnings("ignore", "The `__fields__` attribute is deprecated")
    from archival_pipeline.definitions import defs
    from archival_pipeline.defs.cleanup import crons_of, history_cleanup, history_cleanup_schedule
    from archival_pipeline_tests.unit.defs.test_definitions import bare_environment

TICK = datetime(2026, 1, 5, 20, tzinfo=UTC)
CONNECTION = {
    "CAMUNDA_DB_HOST": "camunda.example.net",
    "CAMUNDA_DB_USERNAME": "cleaner",
    "CAMUNDA_DB_PASSWORD": "nobody's",
    "CAMUNDA_DB_NAME": "process-engine",
}


def cleanup(**given: str) -> CleanupSettings:
    return CleanupSettings.model_validate(given)


def tick(now: datetime, settings: CleanupSettings | None = None) -> tuple[list[RunRequest], str | None]:
    context = build_schedule_context(scheduled_execution_time=TICK, repository_def=defs.get_repository_def())
    done = history_cleanup_schedule(settings or cleanup(), "UTC", lambda: now).evaluate_tick(context)
    return list(done.run_requests or ()), done.skip_message


@pytest.fixture
def configured(clean_environment: pytest.MonkeyPatch) -> None:
    for name, value in CONNECTION.items():
        clean_environment.setenv(name, value)


@pytest.mark.usefixtures("clean_environment")
def test_without_a_database_the_tick_is_skipped_and_says_so() -> None:
    requests, reason = tick(TICK)
    assert requests == []
    assert "No Camunda database is configured" in str(reason)


@pytest.mark.usefixtures("configured")
def test_a_tick_in_the_window_pins_every_field_and_ends_with_it() -> None:
    (request,), _ = tick(TICK + timedelta(minutes=30))
    assert request.run_key == TICK.isoformat()
    assert request.tags["dagster/max_runtime"] == str(90 * 60 + 600)
    config = request.run_config["ops"]["clean_history"]["config"]
    assert config == {
        "dryRun": False,
        "immediate": False,
        "mode": "hierarchical",
        "backfillRemovalTime": False,
        "removeOrphans": False,
        "archiveBeforeDelete": False,
    }
    validate_run_config(history_cleanup, request.run_config)


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(
    ("now", "given", "reason"),
    [
        (TICK + timedelta(hours=2), {}, "outside the window"),
        (TICK, {"historyCleanupEnabled": "false"}, "historyCleanupEnabled is false"),
    ],
)
def test_a_late_tick_and_a_switched_off_cleanup_are_skipped(now: datetime, given: dict[str, str], reason: str) -> None:
    requests, said = tick(now, cleanup(**given))
    assert requests == []
    assert reason in str(said)


def test_outside_the_window_a_run_has_to_be_immediate() -> None:
    windows = WeeklyWindows.of(cleanup(), "UTC")
    with pytest.raises(RequestError, match="2026-01-05T20:00"):
        deadline(windows, TICK - timedelta(hours=1), immediate=False)
    assert deadline(windows, TICK - timedelta(hours=1), immediate=True) is None
    assert deadline(windows, TICK, immediate=False) == TICK + timedelta(hours=2)


@pytest.mark.parametrize(
    ("given", "zone", "crons"),
    [
        ({}, "Europe/Kyiv", [f"0 20 * * {day}" for day in range(7)]),
        (
            {"sundayHistoryCleanupBatchWindowStartTime": "01:30"},
            "UTC",
            ["0 20 * * 1", "0 20 * * 2", "0 20 * * 3", "0 20 * * 4", "0 20 * * 5", "0 20 * * 6", "30 1 * * 0"],
        ),
        (
            {"historyCleanupBatchWindowStartTime": "01:00+0200", "historyCleanupBatchWindowEndTime": "03:00+0200"},
            "UTC",
            [f"0 23 * * {day}" for day in range(7)],
        ),
    ],
)
def test_ticks_are_the_openings(given: dict[str, str], zone: str, crons: list[str]) -> None:
    found, cron_zone = crons_of(WeeklyWindows.of(cleanup(**given), zone))
    assert sorted(found) == sorted(crons)
    assert cron_zone == zone


@pytest.mark.parametrize(
    ("left", "behind"),
    [([1, 2, 3, 4], True), ([9, 1, 2, 3, 4], True), ([2, 3, 4], False), ([1, 2, 2, 3], False), ([4, 3, 2, 9], False)],
)
def test_backlog(left: list[int], behind: bool) -> None:  # noqa: FBT001 - a column of the table
    assert falls_behind(left) is behind


@pytest.mark.parametrize(
    ("name", "value"), [("historyTimeToLive", "P1W"), ("historyCleanupBatchSize", "501"), ("CAMUNDA_TIME_ZONE", "Kyiv")]
)
def test_a_wrong_setting_stops_the_location_with_its_name(tmp_path: Path, name: str, value: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import archival_pipeline.definitions"],
        check=False,
        capture_output=True,
        text=True,
        env=bare_environment(tmp_path) | {name: value},
        timeout=120,
    )
    assert done.returncode != 0
    assert name in done.stderr
