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
    """

    pair: Pair
    archive: Archive
    process: subprocess.Popen[str]
    audit_id: str
    log: Path

    def steer(self, *arguments: str) -> dict[str, object]:
        name, *more = arguments
        return self.archive.run(name, self.audit_id, *more).document

    def moved(self) -> int:
        """Batches that are done."""
        [(number,)] = self.pair.execute(
            "backup", "SELECT count(*) FROM archival_batch WHERE audit_id = %s AND state = 'deleted'", self.audit_id
        )
        return int(number)

    def looked(self) -> datetime:
        """When it last looked for what is asked of it."""
        [(moment,)] = self.pair.execute(
            "backup",
            "SELECT coalesce(max(query_start), 'epoch') FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name LIKE %s AND query LIKE '%%o.stop_requested%%'",
            f"%{self.audit_id}",
        )
        assert isinstance(moment, datetime)
        return moment

    def busy(self) -> int:
        """Sessions in the primary that have a transaction open."""
        [(number,)] = self.pair.execute(
            "primary",
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE %s AND xact_start IS NOT NULL",
            f"archival-pipeline: move {self.audit_id}",
        )
        return int(number)

    def require_waiting(self) -> int:
        """Watch it look several times without doing anything; return how many batches it had done."""
        wait_until(lambda: self.busy() == 0 and self.looked().year > 1970, "it has ended the batch at hand")
        done = self.moved()
        for _ in range(4):
            before = self.looked()
            wait_until(lambda before=before: self.looked() > before, "it looks again")  # type: ignore[misc]
            assert (self.busy(), self.moved(), self.process.poll()) == (0, done, None)
        return done

    def end(self) -> int:
        return self.process.wait(timeout=60)


@contextmanager
def held_at_work(pair: Pair, tmp_path: Path) -> Iterator[Callable[[], AtWork]]:
    """A backup that waits for a lock of the test in its second wave; calling gives it once it waits.

    The lock is held until the caller leaves.
    """
    archive = archive_of(pair)
    log = tmp_path / "backup.log"
    with started([*COMMAND_LINE, *SIZES], archive.environment, log) as process, locked_tree(pair) as release:

        def waiting() -> AtWork:
            archive.wait_until_held_up()
            [(audit_id, _)] = archive.audits()
            return AtWork(pair, archive, process, audit_id, log)

        yield waiting
        release()


@contextmanager
def locked_tree(pair: Pair) -> Iterator[Callable[[], None]]:
    """Lock the sixth of the trees in the second wave, until released."""
    roots = sorted(pair.written.safe_roots)
    with connect(pair.settings.primary, purpose="the engine at work") as session:
        session.execute("SELECT 1 FROM processinstancelog WHERE processinstanceid = %s FOR UPDATE", [roots[13]])
        yield session.rollback


def require_all_moved(pair: Pair, archive: Archive) -> None:
    rehearsal = archive.run("backup", "--process-status", "COMPLETED", "--dry-run").document
    assert rehearsal["treesToMove"] == 0
    assert pair.written.safe_roots
    assert archive.run("reconcile").document == {"open": []}
