"""A run whose process was killed is completed: by re-execution from the UI, or by the same job launched anew."""

from __future__ import annotations

import os
import re
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from dagster import DagsterRunStatus

from archival_pipeline.database.connections import connect
from archival_pipeline_tests.support import dagster_runs
from archival_pipeline_tests.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dagster import DagsterInstance

    from archival_pipeline.local.snapshot import Snapshot
    from archival_pipeline_tests.e2e.conftest import Archive
    from archival_pipeline_tests.support.dagster_runs import Ui

CONFIG = {"filters": {"processStatus": "COMPLETED"}, "options": {"batchSize": 5, "batchesPerWave": 2}}
REHEARSAL = ("backup", "--process-status", "COMPLETED", "--dry-run")
_WORKER = re.compile(r"Executing steps in process \(pid: (\d+)\)")


@pytest.fixture
def dagster_at_work(dagster_archive: Archive, tmp_path: Path) -> Iterator[tuple[DagsterInstance, Ui]]:
    with dagster_runs.at_work(dagster_archive.environment, tmp_path) as books_and_ui:
        yield books_and_ui


@contextmanager
def held_in_the_middle(archive: Archive) -> Iterator[None]:
    """Lock one tree in the middle of the selection: waves before it move, its own waits, the others have not begun."""
    with connect(archive.settings.primary, purpose="the engine at work") as session:
        finished = "SELECT id FROM processinstancelog WHERE status = 2 AND parentprocessinstanceid <= 0"
        numbers = [number for (number,) in session.execute(f"{finished} ORDER BY processinstanceid").fetchall()]
        middle = numbers[len(numbers) // 2]
        session.execute("SELECT 1 FROM processinstancelog WHERE id = %s FOR UPDATE", [middle])
        yield


def killed_run(archive: Archive, books: DagsterInstance, ui: Ui) -> str:
    """Launch a backup and kill its process in the middle; Dagster notices."""
    with held_in_the_middle(archive):
        run_id = ui.launch("process_backup", CONFIG)
        archive.wait_until_held_up()
        found = [_WORKER.search(entry.user_message) for entry in books.all_logs(run_id)]
        [pid] = {int(match[1]) for match in found if match}
        os.kill(pid, signal.SIGKILL)
        status = dagster_runs.wait_for_the_end(books, run_id)
        assert status is DagsterRunStatus.FAILURE
        # The server notices the dead client when it has an answer for it; until then its statement waits for us.
    wait_until(lambda: not sessions_of(archive, run_id), "the dead run's sessions are gone")
    assert batch_states(archive, run_id) >= {"deleted", "copied", "planned"}
    return run_id


def sessions_of(archive: Archive, audit_id: str) -> bool:
    with connect(archive.settings.primary, purpose="look") as session:
        row = session.execute(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE '%%' || %s || '%%')", [audit_id]
        ).fetchone()
    return row is not None and bool(row[0])


def batch_states(archive: Archive, audit_id: str) -> set[str]:
    with connect(archive.settings.backup, purpose="look") as session:
        rows = session.execute("SELECT state FROM archival_batch WHERE audit_id = %s", [audit_id]).fetchall()
    return {state for (state,) in rows}


def assert_all_is_done(archive: Archive, before: Snapshot) -> None:
    assert archive.what_does_not_add_up(before) == []
    assert archive.run(*REHEARSAL).document["treesToMove"] == 0


@pytest.mark.parametrize("strategy", ["FROM_FAILURE", pytest.param("ALL_STEPS", marks=pytest.mark.slow)])
def test_reexecution_completes_the_work_under_the_same_audit(
    dagster_archive: Archive, dagster_at_work: tuple[DagsterInstance, Ui], strategy: str
) -> None:
    books, ui = dagster_at_work
    before = dagster_archive.look_at_primary()
    run_id = killed_run(dagster_archive, books, ui)
    assert dagster_archive.audits() == [(run_id, "in_progress")]

    again = ui.launch_again(run_id, strategy)
    assert dagster_runs.wait_for_the_end(books, again) is DagsterRunStatus.SUCCESS
    assert dagster_runs.record(books, again).dagster_run.root_run_id == run_id
    assert dagster_archive.audits() == [(run_id, "completed")]
    assert batch_states(dagster_archive, run_id) <= {"deleted", "empty"}
    assert_all_is_done(dagster_archive, before)


def test_fresh_run_first_completes_what_the_dead_one_left_open(
    dagster_archive: Archive, dagster_at_work: tuple[DagsterInstance, Ui]
) -> None:
    books, ui = dagster_at_work
    before = dagster_archive.look_at_primary()
    run_id = killed_run(dagster_archive, books, ui)

    again = ui.launch("process_backup", CONFIG)
    assert dagster_runs.wait_for_the_end(books, again) is DagsterRunStatus.SUCCESS
    assert dict(dagster_archive.audits()) == {run_id: "failed", again: "completed"}
    timeline = dagster_archive.run("audits", "show", run_id, "--page-size", "500").document["audits"]
    assert any((row["details"] or {}).get("finishedByLaterRun") for row in timeline)
    assert timeline[-1]["errorCode"] == "RUN_DIED"
    assert batch_states(dagster_archive, run_id).isdisjoint({"copying", "copied", "deleting"})
    assert_all_is_done(dagster_archive, before)
