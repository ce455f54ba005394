"""An operation at work obeys: paused, resumed, slowed, stopped by command line, or ended by its window."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from archival_pipeline.archival import steps
from archival_pipeline.archival.direction import BACKUP
from archival_pipeline.database.connections import connect
from archival_pipeline_tests.e2e.conftest import COMMAND, Archive
from archival_pipeline_tests.support.archive import environment_of
from archival_pipeline_tests.support.checker import differences, together
from archival_pipeline_tests.support.moves import Engine, open_run, run
from archival_pipeline_tests.support.processes import started, wait_until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from archival_pipeline_tests.support.moves import Pair

FOREST = Engine(trees=24)
COMPLETED = {"processStatus": "COMPLETED"}
COMMAND_LINE = [COMMAND, "backup", "--process-status", "COMPLETED", "--yes"]
PER_WAVE = 12
SIZES = ["--batch-size", "4", "--batches-per-wave", "3", "--lanes", "1"]
# Ten minutes: whoever waits that long was not spoken to.
LONG_REST = "600000"


@pytest.fixture
def pair(pair_of: Callable[[Engine], Pair]) -> Pair:
    return pair_of(FOREST)


def archive_of(pair: Pair) -> Archive:
    return Archive(pair.settings, dict(os.environ) | environment_of(pair.settings.primary, pair.settings.backup))


@dataclass(frozen=True, slots=True)
class AtWork:
    """A backup in a process of its own.

    Attributes:
        pair: the databases it works on.
        archive: the same, for the command line.
        process: the backup.
        audit_id: its operation.
        log: what it says.
        let_go: gives up the lock that it waits for.
    """

    pair: Pair
    archive: Archive
    process: subprocess.Popen[str]
    audit_id: str
    log: Path
    let_go: Callable[[], None]

    def steer(self, *arguments: str) -> dict[str, object]:
        name, *more = arguments
        return self.archive.run(name, self.audit_id, *more).document

    def moved(self) -> int:
        """Batches that are done."""
        [(number,)] = self.pair.execute(
            "backup", "SELECT count(*) FROM archival_batch WHERE audit_id = %s AND state = 'deleted'", self.audit_id
        )
        return int(number)

    def looked(self) -> datetime | None:
        """When it last looked for what is asked of it; None once its session is gone."""
        [(moment,)] = self.pair.execute(
            "backup",
            "SELECT max(query_start) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name LIKE %s AND query LIKE '%%o.stop_requested%%'",
            f"%{self.audit_id}",
        )
        assert moment is None or isinstance(moment, datetime)
        return moment

    def wait_for_a_look(self) -> None:
        before = self.looked()
        wait_until(lambda: self.looked() not in (None, before), "it looks what is asked of it")

    def sessions(self) -> int:
        """Sessions in the primary."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE %s"
        [(number,)] = self.pair.execute("primary", query, f"archival-pipeline: move {self.audit_id}")
        return int(number)

    def busy(self) -> int:
        """Those that have a transaction open."""
        [(number,)] = self.pair.execute(
            "primary",
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE %s AND xact_start IS NOT NULL",
            f"archival-pipeline: move {self.audit_id}",
        )
        return int(number)

    def require_waiting(self) -> None:
        """Watch it look several times without doing anything. Call it after ``let_go``."""
        # It looks after the batch at hand, and not while it is at it.
        self.wait_for_a_look()
        done = self.moved()
        for _ in range(4):
            self.wait_for_a_look()
            assert (self.busy(), self.moved(), self.process.poll()) == (0, done, None)

    def end(self) -> int:
        return self.process.wait(timeout=60)


@pytest.fixture
def at_work(pair: Pair, tmp_path: Path) -> Iterator[AtWork]:
    """A backup that waits, while it deletes its second wave, for a lock that the test holds until it lets go."""
    archive = archive_of(pair)
    log = tmp_path / "backup.log"
    with (
        locked_tree(pair) as let_go,
        started([*COMMAND_LINE, *SIZES], archive.environment, log) as process,
    ):
        archive.wait_until_held_up()
        [(audit_id, _)] = archive.audits()
        yield AtWork(pair, archive, process, audit_id, log, let_go)


@contextmanager
def locked_tree(pair: Pair) -> Iterator[Callable[[], None]]:
    """Lock a tree of the second wave; calling lets it go."""
    finished = "SELECT processinstanceid FROM processinstancelog WHERE status = 2 AND parentprocessinstanceid <= 0"
    roots = [root for (root,) in pair.execute("primary", f"{finished} ORDER BY 1")]
    chosen = next(root for root in roots[PER_WAVE:] if root in pair.written.safe_roots)
    with connect(pair.settings.primary, purpose="the engine at work") as session:
        session.execute("SELECT FROM processinstancelog WHERE processinstanceid = %s FOR UPDATE", [chosen])
        yield session.rollback


def require_all_moved(archive: Archive) -> None:
    rehearsal = archive.run("backup", "--process-status", "COMPLETED", "--dry-run").document
    assert rehearsal["treesToMove"] == 0
    assert archive.run("reconcile").document == {"open": []}


def test_paused_operation_takes_no_further_batch_and_holds_no_transaction(at_work: AtWork) -> None:
    before = at_work.pair.checker.dump().sequences
    asked = at_work.steer("pause")
    assert asked == {
        "auditId": at_work.audit_id,
        "paused": True,
        "pauseBetweenBatchesMs": None,
        "stopRequested": False,
    }
    at_work.let_go()
    at_work.require_waiting()
    assert at_work.archive.audits() == [(at_work.audit_id, "in_progress")]

    assert at_work.steer("resume")["paused"] is False
    assert at_work.end() == 0
    assert at_work.archive.audits() == [(at_work.audit_id, "completed")]
    require_all_moved(at_work.archive)
    assert at_work.pair.checker.dump().sequences == before


def test_slowed_operation_rests_and_can_be_hurried_again(at_work: AtWork) -> None:
    assert at_work.steer("slow", LONG_REST)["pauseBetweenBatchesMs"] == int(LONG_REST)
    at_work.let_go()
    at_work.require_waiting()
    assert at_work.steer("slow", "0")["pauseBetweenBatchesMs"] == 0
    assert at_work.end() == 0
    require_all_moved(at_work.archive)


@pytest.mark.parametrize("first", [(), ("pause",), ("slow", LONG_REST)], ids=["at work", "paused", "resting"])
def test_stopped_operation_ends_cancelled_and_the_next_goes_on(at_work: AtWork, first: tuple[str, ...]) -> None:
    if first:
        at_work.steer(*first)
        at_work.let_go()
        at_work.require_waiting()
    assert at_work.steer("stop")["stopRequested"] is True
    at_work.let_go()
    assert at_work.end() == 130
    assert '"errorCode": "CANCELLED"' in at_work.log.read_text(encoding="utf-8")
    assert at_work.archive.audits() == [(at_work.audit_id, "cancelled")]
    assert at_work.moved() > 0

    assert at_work.archive.run(*COMMAND_LINE[1:]).code == 0
    require_all_moved(at_work.archive)


@pytest.mark.parametrize("arguments", [("pause",), ("resume",), ("slow", "5"), ("stop",)], ids=lambda each: each[0])
def test_operation_that_is_not_at_work_cannot_be_steered(pair: Pair, arguments: tuple[str, ...]) -> None:
    archive = archive_of(pair)
    ended = run(pair.settings, BACKUP, COMPLETED, maxBatches=1, batchSize=1).audit_id
    name, *more = arguments
    for audit_id in (ended, "nobody"):
        refused = archive.run(name, audit_id, *more)
        assert (refused.code, refused.error["errorCode"]) == (2, "INVALID_REQUEST")
        assert audit_id in refused.error["errorSummary"]


def test_operation_taken_up_again_is_neither_paused_nor_stopped(at_work: AtWork) -> None:
    at_work.steer("pause")
    at_work.process.kill()
    at_work.process.wait()
    at_work.let_go()
    wait_until(lambda: at_work.looked() is None and at_work.sessions() == 0, "the servers have noticed that it is dead")
    repaired = at_work.archive.run("reconcile", "--repair")
    assert repaired.code == 0
    assert len(repaired.document["finished"]) > 0


def test_window_that_closes_on_the_way_leaves_the_rest_to_the_next_run(pair: Pair) -> None:
    archive = archive_of(pair)
    before = pair.checker.primary()
    closing = datetime.now(UTC) + timedelta(hours=1)
    move = open_run(pair.settings, BACKUP, COMPLETED, batchSize=4, batchesPerWave=2, stopAt=closing.isoformat())
    try:
        steps.count(move)
        plan = steps.fetch(move)
        assert len(plan.waves) > 2
        for wave in plan.waves:
            if wave.number == 2:
                move.pace.clock = lambda: closing
            steps.children(move, wave)
            steps.execute(move, wave)
            steps.delete(move, wave)
        totals = steps.complete(move)
    finally:
        move.close()

    states = pair.execute(
        "backup", "SELECT wave, state, root_ids FROM archival_batch WHERE audit_id = %s ORDER BY batch", move.audit_id
    )
    assert {state for wave, state, _ in states if wave == 1} == {"deleted"}
    assert {state for wave, state, _ in states if wave > 1} == {"abandoned"}
    left = sum(len(roots) for wave, _, roots in states if wave > 1)
    newest = archive.run("audits", "latest", move.audit_id).document
    assert (newest["auditStatus"], newest["remainingCount"], newest["processedCount"]) == (
        "completed",
        left,
        totals.trees_moved,
    )
    assert newest["details"]["endedBecause"] == f"the window closes at {closing.isoformat()}"
    assert differences(before, together(pair.checker.primary(), pair.checker.backup())) == []

    ran = run(pair.settings, BACKUP, COMPLETED)
    assert 0 < ran.totals.trees_moved <= left
    require_all_moved(archive)
    assert differences(before, together(pair.checker.primary(), pair.checker.backup())) == []


def test_run_that_begins_after_its_window_does_nothing_and_says_so(pair: Pair) -> None:
    archive = archive_of(pair)
    before = archive.look_at_primary()
    done = archive.run(*COMMAND_LINE[1:], "--stop-at", "2025-01-01T04:00:00+02:00")
    assert (done.code, done.document["treesMoved"]) == (0, 0)
    newest = archive.run("audits", "latest", done.document["auditId"]).document
    assert newest["remainingCount"] == _completed_roots(pair)
    assert archive.look_at_primary() == before


def _completed_roots(pair: Pair) -> int:
    """Trees that the filter picks: every tree that has a completed instance, by its topmost one."""
    [(number,)] = pair.execute(
        "primary",
        "SELECT count(*) FROM processinstancelog AS p WHERE status = 2 AND NOT EXISTS (SELECT FROM processinstancelog"
        " AS parent WHERE parent.processinstanceid = p.parentprocessinstanceid AND parent.status = 2)",
    )
    return int(number)
