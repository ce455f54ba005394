"""Terminating a run in the Dagster UI while a statement of it waits on the server."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from dagster import DagsterRunStatus

from archival_pipeline.database.connections import connect
from archival_pipeline_tests.support import dagster_runs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dagster import DagsterInstance

    from archival_pipeline.local.snapshot import Snapshot
    from archival_pipeline_tests.e2e.conftest import Archive
    from archival_pipeline_tests.support.dagster_runs import Ui

CONFIG = {"filters": {"processStatus": "COMPLETED"}, "options": {"batchSize": 10, "batchesPerWave": 2}}
# Far below the limit after which monitoring frees the queue without asking whether the process is still there.
FEW_SECONDS = 20


@pytest.fixture
def dagster_at_work(dagster_archive: Archive, tmp_path: Path) -> Iterator[tuple[DagsterInstance, Ui]]:
    with dagster_runs.at_work(dagster_archive.environment, tmp_path) as books_and_ui:
        yield books_and_ui


def sessions_at_work(archive: Archive) -> list[str]:
    """What sessions of moves do in the primary: their statements, and transactions they left open."""
    with connect(archive.settings.primary, purpose="look") as session:
        rows = session.execute(
            "SELECT state || ': ' || query FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name LIKE 'archival-pipeline: move %' AND state <> 'idle'"
        ).fetchall()
    return [text for (text,) in rows]


def batch_states(archive: Archive, audit_id: str) -> set[str]:
    with connect(archive.settings.backup, purpose="look") as session:
        rows = session.execute("SELECT state FROM archival_batch WHERE audit_id = %s", [audit_id]).fetchall()
    return {state for (state,) in rows}


def terminate_while_it_waits(archive: Archive, books: DagsterInstance, ui: Ui) -> str:
    """Launch a backup, terminate it while it waits for a lock of ours, and look at what is left; return its id."""
    before = archive.look_at_primary()
    with archive.held_up():
        run_id = ui.launch("process_backup", CONFIG)
        archive.wait_until_held_up()
        asked = time.monotonic()
        ui.terminate(run_id)
        status = dagster_runs.wait_for_the_end(books, run_id, FEW_SECONDS)
        assert time.monotonic() - asked < FEW_SECONDS
        assert status is DagsterRunStatus.CANCELED
        # The lock is still held: nothing of the run waits for it any more, and its batch was rolled back.
        assert sessions_at_work(archive) == []
        assert archive.audits() == [(run_id, "cancelled")]
        assert archive.look_at_primary() == before
        assert batch_states(archive, run_id) == {"copied", "planned"}
    return run_id


def assert_all_is_done(archive: Archive, before: Snapshot) -> None:
    assert archive.what_does_not_add_up(before) == []
    assert archive.run("backup", "--process-status", "COMPLETED", "--dry-run").document["treesToMove"] == 0


def test_ends_within_seconds_with_its_statement_and_the_next_run_completes(
    dagster_archive: Archive, dagster_at_work: tuple[DagsterInstance, Ui]
) -> None:
    books, ui = dagster_at_work
    before = dagster_archive.look_at_primary()
    run_id = terminate_while_it_waits(dagster_archive, books, ui)

    again = ui.launch("process_backup", CONFIG)
    assert dagster_runs.wait_for_the_end(books, again) is DagsterRunStatus.SUCCESS
    assert dict(dagster_archive.audits()) == {run_id: "cancelled", again: "completed"}
    assert "copied" not in batch_states(dagster_archive, run_id)
    assert_all_is_done(dagster_archive, before)


@pytest.mark.slow
def test_terminated_run_is_completed_by_reexecution_from_failure(
    dagster_archive: Archive, dagster_at_work: tuple[DagsterInstance, Ui]
) -> None:
    books, ui = dagster_at_work
    before = dagster_archive.look_at_primary()
    run_id = terminate_while_it_waits(dagster_archive, books, ui)

    again = ui.launch_again(run_id, "FROM_FAILURE")
    assert dagster_runs.wait_for_the_end(books, again) is DagsterRunStatus.SUCCESS
    assert dagster_archive.audits() == [(run_id, "completed")]
    assert batch_states(dagster_archive, run_id) <= {"deleted", "empty"}
    assert_all_is_done(dagster_archive, before)
