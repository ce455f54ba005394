"""An operator's day in a real browser, on the servers that ``make dev`` starts.

Launch a backup, watch it, read what it says; launch two at once and see the queue; backfill three days; look at the
checks. The pictures in ``docs/images`` are taken here: ``make screenshots``.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from archival_pipeline.archival import health
from archival_pipeline.database.connections import connect
from archival_pipeline.local import dagster_home
from archival_pipeline.local.servers import LocalStack
from archival_pipeline.settings import load_settings
from archival_pipeline_tests.support import browser
from archival_pipeline_tests.support.processes import started, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline.settings import Settings
    from archival_pipeline_tests.support.browser import Browser

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(900)]

OLD = "filters:\n  processStatus: COMPLETED\n  beforeNoOfDays: 60\n"
ONE_BATCH = f"{OLD}options:\n  maxBatches: 1\n"
# One lane, small batches and rests between them: long enough for the second to be seen waiting.
SLOW = f"{OLD}options:\n  batchSize: 2\n  lanes: 1\n  maxBatches: 12\n  pauseBetweenBatchesMs: 1500\n"


@dataclass(frozen=True, slots=True)
class Scene:
    """``make dev`` at work, and a browser on its UI.

    Attributes:
        browser: its page.
        settings: of the two databases.
    """

    browser: Browser
    settings: Settings

    def moved_by(self, run_id: str) -> int:
        """Trees that a run moved, as the ledger has them."""
        with connect(self.settings.backup, purpose="look") as session:
            row = session.execute(
                "SELECT count(DISTINCT root) FROM archival_batch CROSS JOIN LATERAL unnest(member_roots) AS m (root)"
                " WHERE audit_id = %s AND state = 'deleted'",
                [run_id],
            ).fetchone()
        assert row is not None
        return int(row[0])

    def roots_by_day(self) -> dict[str, int]:
        """Days on which roots ended that are still in the primary, oldest first."""
        with connect(self.settings.primary, purpose="look") as session:
            rows = session.execute(
                "SELECT end_date::date::text, count(*) FROM processinstancelog"
                " WHERE parentprocessinstanceid <= 0 AND status = 2 GROUP BY 1 ORDER BY 1"
            ).fetchall()
        return {str(day): int(number) for day, number in rows}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where pictures go: into the documents when that is asked for."""
    asked = os.environ.get("SCREENSHOTS")
    folder = Path(asked) if asked else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def scene(clean_environment: pytest.MonkeyPatch, tmp_path: Path, pictures: Path) -> Iterator[Scene]:
    del clean_environment
    # The servers' system user cannot reach pytest's own temporary folder.
    folder = Path(tempfile.mkdtemp(prefix="archival-dev-"))
    with socket.socket() as free, socket.socket() as other:
        for one in (free, other):
            one.bind(("127.0.0.1", 0))
        port, rest_port = (str(one.getsockname()[1]) for one in (free, other))
    ports = ["--ui-port", port, "--port", rest_port]
    command = [sys.executable, "-m", "archival_pipeline.local.dev", *ports, "--trees", "300"]
    log = tmp_path / "dev.log"
    try:
        # Started here, so that their addresses are known; `dev` finds them running.
        with LocalStack(folder) as stack:
            environment = dagster_home.environment(stack, folder)
            with started([*command, "--folder", str(folder)], os.environ, log, dagster_home.REPOSITORY) as dev:
                wait_until(lambda: dev.poll() is not None or "Dagster UI" in log.read_text(), "the UI is up", 180)
                assert dev.poll() is None, log.read_text()
                with patch.dict(os.environ, environment, clear=True):
                    settings = load_settings()
                with browser.opened(f"http://127.0.0.1:{port}", pictures) as page:
                    yield Scene(page, settings)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_an_operators_day(scene: Scene) -> None:
    launch_watch_and_read(scene)
    launch_two_and_see_the_queue(scene)
    backfill_three_days(scene)
    look_at_the_checks(scene)


def launch_watch_and_read(scene: Scene) -> None:
    page = scene.browser
    page.open_job("process_backup", "playground")
    page.see("No missing config")
    page.picture("launchpad")
    run = page.launch("process_backup", ONE_BATCH)
    page.watch_to_the_end(run)
    moved = scene.moved_by(run)
    assert moved > 0
    page.only_events('Yielded output "result" of type "Wave"')
    page.see("rows per table")
    page.picture("run")
    page.open("/assets/process_archive")
    page.see("trees moved")
    page.see(str(moved))


def launch_two_and_see_the_queue(scene: Scene) -> None:
    page = scene.browser
    runs = [page.launch("process_backup", SLOW) for _ in range(2)]
    page.open("/runs")
    page.see("Started")
    page.see("Queued")
    page.picture("queue")
    for run in runs:
        page.watch_to_the_end(run, 180)
        assert scene.moved_by(run) > 0


def backfill_three_days(scene: Scene) -> None:
    page = scene.browser
    before = scene.roots_by_day()
    today = datetime.now(UTC).date()
    # Younger than what the runs before have taken: ordinary trees are still there.
    young = [day for day in before if today - timedelta(days=55) < date.fromisoformat(day) < today]
    chosen = sorted(sorted(young, key=lambda day: before[day])[-3:])
    page.open_job("process_backup_by_day", "partitions")
    page.press("Launch backfill")
    page.page.get_by_placeholder("ex: 2020-01-01").fill(", ".join(chosen))
    page.page.get_by_placeholder("ex: 2020-01-01").press("Enter")
    page.press("Submit 3 runs")
    page.open_job("process_backup_by_day", "runs")
    page.see_times("Success", 3, 180)
    page.picture("backfill")
    after = scene.roots_by_day()
    # Trees with a reason to stay are still there.
    assert sum(after.get(day, 0) for day in chosen) < sum(before[day] for day in chosen)


def look_at_the_checks(scene: Scene) -> None:
    page = scene.browser
    page.open_job("check_archive", "playground")
    run = page.press_launch()
    page.watch_to_the_end(run)
    page.open("/assets/process_archive?view=checks")
    page.see("audit_is_complete")
    page.text("audit_is_complete").click()
    page.see("Passed")
    page.picture("checks")
    for question in (health.ledger_is_settled, health.nothing_is_in_both, health.nothing_is_missing):
        assert question(scene.settings).passed
