"""A backfill over days: one run a day, one after the other, each with the trees whose root ended on its day."""

from __future__ import annotations

import itertools
import os
import subprocess
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from dagster import DagsterRunStatus, RunRecord
from dagster._core.execution.backfill import BulkActionStatus

from archival_pipeline.archival import service
from archival_pipeline.database.connections import connect
from archival_pipeline.local import dagster_home
from archival_pipeline.local.sample_data import Profile
from archival_pipeline_tests.e2e.conftest import Archive
from archival_pipeline_tests.support import archive, dagster_runs
from archival_pipeline_tests.support.processes import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from dagster import DagsterInstance

    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline_tests.conftest import DatabaseFactory

JOB = "process_backup_by_day"
ZONE = "Europe/Kyiv"
# 30 March 2025 has 23 hours there.
FIRST, DAYS = date(2025, 3, 3), 30
END = FIRST + timedelta(days=DAYS)
# Two or three trees a day, and some of the last day that the range leaves out.
FOREST = Profile(seed=3, trees=77, now=datetime(2025, 4, 3), traps=False, oldest_days=31)  # noqa: DTZ001 - engine's clock


@dataclass(frozen=True, slots=True)
class Scene:
    """An engine whose trees ended over a month.

    Attributes:
        archive: the databases and Dagster's instance.
        ended: day on which the root of each tree ended that may be archived.
    """

    archive: Archive
    ended: dict[int, date]

    def of(self, day: date) -> list[int]:
        return sorted(root for root, end in self.ended.items() if end == day)

    def moved_by(self, run_id: str) -> list[int]:
        """Roots that a run moved, as its own ledger has them."""
        with connect(self.archive.settings.backup, purpose="look") as session:
            rows = session.execute(
                "SELECT DISTINCT unnest(member_roots) AS root FROM archival_batch"
                " WHERE audit_id = %s AND state = 'deleted' ORDER BY root",
                [run_id],
            ).fetchall()
        return [root for (root,) in rows]

    def archived(self) -> list[int]:
        """Roots that stand in the backup."""
        with connect(self.archive.settings.backup, purpose="look") as session:
            rows = session.execute(
                "SELECT processinstanceid FROM processinstancelog WHERE parentprocessinstanceid <= 0 ORDER BY 1"
            ).fetchall()
        return [root for (root,) in rows]


@pytest.fixture
def scene(
    database_from_template: DatabaseFactory,
    backup_database: DatabaseSettings,
    clean_environment: pytest.MonkeyPatch,  # noqa: ARG001 - what the developer's shell has set is no part of a test
    tmp_path: Path,
) -> Scene:
    safe: list[int] = []

    def fill(where: DatabaseSettings) -> None:
        safe.extend(archive.fill(where, profile=FOREST).safe_roots)

    # The name makes a template of its own for each test: what is safe is known to whoever fills it.
    primary = database_from_template(f"month for {tmp_path}", fill)
    storage = database_from_template("empty dagster storage", lambda _: None, "backup")
    settings = archive.settings_of(primary, backup_database)
    service.migrate(settings)
    _make_days_hard(primary, safe)
    environment = {
        **os.environ,
        **archive.environment_of(primary, backup_database),
        "BPM_TIME_ZONE": ZONE,
        "DAGSTER_PG_URL": archive.dagster_url(storage),
        "DAGSTER_HOME": str(dagster_home.make(tmp_path)),
    }
    return Scene(Archive(settings, environment), _root_ends(primary, safe))


def _make_days_hard(primary: DatabaseSettings, safe: list[int]) -> None:
    """Roots that end at midnight, in the hour that is skipped, and descendants that end days after their root."""
    at = {0: "2025-03-03 00:00:00", 1: "2025-03-04 00:00:00", 2: "2025-03-05 23:59:59.999", 3: "2025-04-02 00:00:00"}
    with connect(primary, purpose="sample data") as session:
        for place, moment in at.items():
            session.execute(
                "UPDATE processinstancelog SET end_date = %s WHERE processinstanceid = %s", [moment, safe[place]]
            )
        session.execute(
            "UPDATE processinstancelog AS child SET end_date = root.end_date + interval '2 days 3 hours'"
            " FROM processinstancelog AS root WHERE child.parentprocessinstanceid = root.processinstanceid"
            " AND root.processinstanceid = ANY(%s) AND root.processinstanceid %% 2 = 0",
            [safe],
        )
        session.commit()


def _root_ends(primary: DatabaseSettings, safe: list[int]) -> dict[int, date]:
    with connect(primary, purpose="look") as session:
        rows = session.execute(
            "SELECT processinstanceid, end_date::date FROM processinstancelog WHERE processinstanceid = ANY(%s)", [safe]
        ).fetchall()
    return {int(root): end for root, end in rows}


def _days(first: date, number: int) -> list[date]:
    return [first + timedelta(days=passed) for passed in range(number)]


def _wait_for_backfill(books: DagsterInstance, backfill_id: str, runs: int, seconds: float) -> None:
    """Wait for the backfill and for its runs: it may call itself done when the last of them was put in the queue."""

    def ended() -> bool:
        found = books.get_backfill(backfill_id)
        assert found is not None
        records = books.get_run_records()
        return (
            found.status is not BulkActionStatus.REQUESTED
            and len(records) == runs
            and all(record.dagster_run.is_finished for record in records)
        )

    wait_until(ended, "the backfill and its runs have ended", seconds)
    found = books.get_backfill(backfill_id)
    assert found is not None
    # The command line asks for a backfill in an older form, whose good end has the older name.
    assert found.status in (BulkActionStatus.COMPLETED, BulkActionStatus.COMPLETED_SUCCESS)


def _check(scene: Scene, books: DagsterInstance, days: list[date]) -> None:
    records = sorted(books.get_run_records(), key=_start)
    by_day = {record.dagster_run.tags["dagster/partition"]: record for record in records}
    assert sorted(by_day) == [day.isoformat() for day in days]
    assert len(records) == len(days)
    assert {record.dagster_run.status for record in records} == {DagsterRunStatus.SUCCESS}
    for earlier, later in itertools.pairwise(records):
        assert earlier.end_time is not None
        assert earlier.end_time <= _start(later)
    for day in days:
        assert scene.moved_by(by_day[day.isoformat()].dagster_run.run_id) == scene.of(day), day
    assert scene.archived() == sorted(root for day in days for root in scene.of(day))
    assert {status for _, status in scene.archive.audits()} == {"completed"}


def _start(record: RunRecord) -> float:
    assert record.start_time is not None
    return record.start_time


def test_backfill_of_three_days_by_command_line(scene: Scene, tmp_path: Path) -> None:
    before = scene.archive.look_at_primary()
    days = _days(date(2025, 3, 29), 3)
    assert all(scene.of(day) for day in days)
    launched = subprocess.run(
        [
            *(dagster_home.program("dagster"), "job", "backfill", "-w", "workspace.yaml", "-j", JOB),
            *("--from", days[0].isoformat(), "--to", days[-1].isoformat(), "--noprompt"),
        ],
        check=False,
        capture_output=True,
        text=True,
        env=scene.archive.environment,
        cwd=dagster_home.REPOSITORY,
        timeout=120,
    )
    assert launched.returncode == 0, launched.stderr
    environment = scene.archive.environment
    with dagster_runs.instance(environment) as books, dagster_runs.daemon(environment, tmp_path):
        [backfill] = books.get_backfills()
        _wait_for_backfill(books, backfill.backfill_id, len(days), 150)
        _check(scene, books, days)
    assert scene.archive.what_does_not_add_up(before) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_backfill_of_thirty_days_from_the_ui(scene: Scene, tmp_path: Path) -> None:
    before = scene.archive.look_at_primary()
    days = _days(FIRST, DAYS)
    with dagster_runs.at_work(scene.archive.environment, tmp_path) as (books, ui):
        backfill_id = ui.backfill(JOB, [day.isoformat() for day in days])
        _wait_for_backfill(books, backfill_id, len(days), 840)
        _check(scene, books, days)
        shown = ui.partitions(JOB)
        assert {name for name, status in shown.items() if status == "SUCCESS"} == {day.isoformat() for day in days}
        assert set(shown.values()) == {"SUCCESS", None}
    outside = [root for root, end in scene.ended.items() if not FIRST <= end < END]
    assert outside
    assert scene.archive.what_does_not_add_up(before) == []
