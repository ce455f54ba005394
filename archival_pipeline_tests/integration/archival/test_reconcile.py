"""What dead runs have left: shown and repaired by hand, and closed in the audit."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from archival_pipeline.archival import steps
from archival_pipeline.archival.direction import BACKUP, RESTORE
from archival_pipeline_tests.e2e.conftest import COMMAND, Archive
from archival_pipeline_tests.support.archive import environment_of
from archival_pipeline_tests.support.checker import differences, together
from archival_pipeline_tests.support.moves import Engine, open_run, run
from archival_pipeline_tests.support.processes import started, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from archival_pipeline.archival.direction import Direction
    from archival_pipeline_tests.support.moves import Pair

FOREST = Engine(trees=24)
SIZES = {"batchSize": 6, "batchesPerWave": 2}
COMPLETED = {"processStatus": "COMPLETED"}
BACKUP_COMMAND = [COMMAND, "backup", "--process-status", "COMPLETED", "--yes", "--batch-size", "6"]
OPEN = {"copying", "copied", "deleting"}


@pytest.fixture
def pair(pair_of: Callable[[Engine], Pair]) -> Pair:
    return pair_of(FOREST)


def archive_of(pair: Pair) -> Archive:
    return Archive(pair.settings, dict(os.environ) | environment_of(pair.settings.primary, pair.settings.backup))


def dead_run(pair: Pair, direction: Direction = BACKUP, *, until: str) -> str:
    """Leave an operation as a killed process does after a step: no last words, and the lock is gone."""
    move = open_run(pair.settings, direction, COMPLETED, **SIZES)
    try:
        steps.count(move)
        if until != "count":
            plan = steps.fetch(move)
            if until == "execute":
                steps.children(move, plan.waves[0])
                steps.execute(move, plan.waves[0])
        return move.audit_id
    finally:
        move.close()


def states(pair: Pair, audit_id: str) -> list[str]:
    rows = pair.execute("backup", "SELECT state FROM archival_batch WHERE audit_id = %s ORDER BY batch", audit_id)
    return [state for (state,) in rows]


def last_words(pair: Pair, audit_id: str) -> tuple[Any, ...]:
    """Status and error of the newest audit row, and what the ledger says."""
    [row] = pair.execute(
        "backup",
        "SELECT a.audit_status, a.error_code, o.status FROM process_audit_logs AS a"
        " JOIN archival_operation AS o USING (audit_id) WHERE a.audit_id = %s ORDER BY a.id DESC LIMIT 1",
        audit_id,
    )
    return row


def trees_left(archive: Archive) -> int:
    """Trees that a backup would still move."""
    document = archive.run("backup", "--process-status", "COMPLETED", "--dry-run").document
    return int(document["treesToMove"])


@pytest.mark.parametrize("direction", [BACKUP, RESTORE], ids=lambda direction: direction.operation)
def test_open_batches_are_shown_and_finished(pair: Pair, direction: Direction) -> None:
    archive = archive_of(pair)
    before = pair.checker.primary()
    if direction == RESTORE:
        run(pair.settings, BACKUP, COMPLETED)
    dead = dead_run(pair, direction, until="execute")
    assert set(states(pair, dead)[:2]) == {"copied"}

    shown = archive.run("reconcile").document["open"]
    assert [(row["auditId"], row["batchNumber"], row["state"]) for row in shown] == [
        (dead, 1, "copied"),
        (dead, 2, "copied"),
    ]
    assert all(row["instances"] > 0 and row["rows"] > 0 for row in shown)
    assert archive.run("reconcile").document["open"] == shown

    repaired = archive.run("reconcile", "--repair")
    assert (repaired.code, len(repaired.document["finished"])) == (0, 2)
    assert states(pair, dead) == ["deleted", "deleted", *["planned"] * (len(states(pair, dead)) - 2)]
    assert last_words(pair, dead) == ("failed", "RUN_DIED", "failed")
    assert archive.run("reconcile").document == {"open": []}
    assert archive.run("reconcile", "--repair").document == {"finished": []}
    assert differences(before, together(pair.checker.primary(), pair.checker.backup())) == []


def test_killed_worker_is_repaired_by_hand(pair: Pair, tmp_path: Path) -> None:
    archive = archive_of(pair)
    before = archive.look_at_primary()
    with archive.held_up(), started(BACKUP_COMMAND, archive.environment, tmp_path / "killed.log") as worker:
        archive.wait_until_held_up()
        [(dead, _)] = archive.audits()
        while_at_work = archive.run("reconcile", "--repair")
        assert while_at_work.code == 3
        assert (while_at_work.error["errorCode"], while_at_work.error["auditId"]) == ("OPERATION_IN_PROGRESS", dead)
        assert OPEN.intersection(states(pair, dead))
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
    held = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'archival-pipeline: %% ' || %s"
    wait_until(
        lambda: pair.execute("primary", held, dead) == pair.execute("backup", held, dead) == [(0,)],
        "the servers have noticed that the worker is dead",
    )
    # With an explicit wave size everything was in the first wave, and all of it was copied.
    repaired = archive.run("reconcile", "--repair")
    assert (repaired.code, archive.run("reconcile").document) == (0, {"open": []})
    assert set(states(pair, dead)) <= {"deleted", "empty"}
    assert last_words(pair, dead) == ("completed", None, "completed")
    assert trees_left(archive) == 0
    assert archive.what_does_not_add_up(before) == []


@pytest.mark.parametrize("until", ["count", "fetch"])
def test_operation_that_died_early_is_closed_as_failed(pair: Pair, until: str) -> None:
    dead = dead_run(pair, until=until)
    assert last_words(pair, dead)[::2] == ("in_progress", "in_progress")
    assert archive_of(pair).run("reconcile", "--repair").document == {"finished": []}
    assert last_words(pair, dead) == ("failed", "RUN_DIED", "failed")


def test_several_dead_operations_are_closed_together(pair: Pair) -> None:
    # The second never reached the reconciliation of its own.
    dead = [dead_run(pair, until="execute"), dead_run(pair, until="count")]
    assert len(archive_of(pair).run("reconcile", "--repair").document["finished"]) == 2
    assert {last_words(pair, audit_id) for audit_id in dead} == {("failed", "RUN_DIED", "failed")}


def test_next_run_closes_dead_operations_and_finishes_their_batches(pair: Pair) -> None:
    archive = archive_of(pair)
    before = archive.look_at_primary()
    dead = dead_run(pair, until="execute")
    ran = run(pair.settings, BACKUP, COMPLETED)
    assert last_words(pair, dead) == ("failed", "RUN_DIED", "failed")
    assert states(pair, dead)[:2] == ["deleted", "deleted"]
    assert last_words(pair, ran.audit_id) == ("completed", None, "completed")
    assert (trees_left(archive), archive.what_does_not_add_up(before)) == (0, [])


def test_repair_does_not_change_how_a_cancelled_operation_ended(pair: Pair, tmp_path: Path) -> None:
    archive = archive_of(pair)
    with archive.held_up(), started(BACKUP_COMMAND, archive.environment, tmp_path / "stopped.log") as worker:
        archive.wait_until_held_up()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=20) == 143
    [(cancelled, status)] = archive.audits()
    assert status == "cancelled"
    assert OPEN.intersection(states(pair, cancelled))

    assert archive.run("reconcile", "--repair").code == 0
    assert last_words(pair, cancelled) == ("cancelled", None, "cancelled")
    assert OPEN.isdisjoint(states(pair, cancelled))


def test_nothing_to_repair_takes_no_lock_and_writes_nothing(pair: Pair) -> None:
    archive = archive_of(pair)
    assert archive.run("reconcile", "--repair").document == {"finished": []}
    assert archive.audits() == []
