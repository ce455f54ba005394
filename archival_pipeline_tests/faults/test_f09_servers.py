"""F8, F9, F10, F12: servers that crash, fill up, or time out."""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from psycopg import sql

from archival_pipeline.database.connections import connect
from archival_pipeline.local.postgres import EmbeddedPostgres
from archival_pipeline_tests.faults.points import Fault
from archival_pipeline_tests.faults.stage import BACKUP, RESTORE, SMALL, Stages, new_audit
from archival_pipeline_tests.support.databases import TestDatabases
from archival_pipeline_tests.support.moves import Pairs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline_tests.faults.harness import Job, Mover
    from archival_pipeline_tests.faults.stage import Stage

# Durable, as in production, and small.
_SMALL_SERVER = {"shared_buffers": "32MB", "max_wal_size": "128MB", "min_wal_size": "32MB", "max_connections": "30"}
_TMPFS_BYTES = 48 * 1024 * 1024


@pytest.fixture(scope="module")
def durable() -> Iterator[tuple[EmbeddedPostgres, EmbeddedPostgres]]:
    """Two servers that may be crashed; on a disk, as in production."""
    with (
        tempfile.TemporaryDirectory(prefix="archival-tests-") as folder,
        EmbeddedPostgres(Path(folder) / "crashing-primary", options=_SMALL_SERVER) as primary,
        EmbeddedPostgres(Path(folder) / "crashing-backup", options=_SMALL_SERVER) as backup,
    ):
        yield primary, backup


@pytest.fixture(scope="module")
def durable_stages(durable: tuple[EmbeddedPostgres, EmbeddedPostgres], mover: Mover) -> Stages:
    """Start states on servers that may be crashed."""
    primaries, backups = TestDatabases(durable[0]), TestDatabases(durable[1])
    return Stages(Pairs(primaries, backups), primaries, backups, mover)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "down",
    ["both", pytest.param("primary", marks=pytest.mark.faults), pytest.param("backup", marks=pytest.mark.faults)],
)
@pytest.mark.parametrize("job", [BACKUP, RESTORE], ids=["backup", "restore"])
def test_f9_i3_servers_crash_around_data_commits(
    job: Job, down: str, durable: tuple[EmbeddedPostgres, EmbeddedPostgres], durable_stages: Stages
) -> None:
    stage = durable_stages.stage(job, SMALL)
    clusters = [c for c, name in zip(durable, ("primary", "backup"), strict=True) if down in (name, "both")]
    for number in [n for commit in stage.data_commits() for n in (commit, commit + 1)]:
        _crash(durable_stages, stage, number, clusters)


def _crash(stages: Stages, stage: Stage, number: int, clusters: list[EmbeddedPostgres]) -> None:
    with stages.copy(stage.start) as sides:
        for side in sides:
            # A copied sequence believes that its next values are in the log already: only a checkpoint makes it true.
            with connect(side, purpose="checkpoint", autocommit=True) as session:
                session.execute("CHECKPOINT")
        running = stages.mover.start(sides, stage.job, new_audit(), Fault("stop", number=number))
        running.wait_until_stopped()
        for cluster in clusters:
            cluster.stop("immediate")
        for cluster in clusters:
            cluster.start()
        running.go_on()
        ended = running.end()
        assert stage.oracle.judge(*sides).problems == [], ended.last_point
        stages.run(sides, stage.job)
        assert stage.oracle.judge_end(*sides, stage.end) == [], ended.last_point


@contextmanager
def _small_disk() -> Iterator[Path]:
    """A file system of a few megabytes that the servers can write to."""
    folder = Path(tempfile.mkdtemp(prefix="archival-small-disk-"))
    mounted = subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", f"size={_TMPFS_BYTES}", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode != 0:
        folder.rmdir()
        pytest.skip(f"no small file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        place = folder / "tablespace"
        place.mkdir(mode=0o777)
        place.chmod(0o777)
        yield place
    finally:
        subprocess.run(["/bin/umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """As above; needs root, because only root may mount."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    with _small_disk() as place:
        yield place


def test_f10_i3_the_destination_is_full(small_disk: Path, backup_cluster: EmbeddedPostgres, stages: Stages) -> None:
    """Nothing is deleted, the run says 53100 and does not try again; with space the next run goes on."""
    stage = stages.stage(BACKUP, SMALL)
    ballast = small_disk.parent / "ballast"
    with _in_tablespace(backup_cluster, small_disk) as tablespace, stages.copy(stage.start) as sides:
        _move_to(backup_cluster, sides[1], tablespace)
        with ballast.open("wb") as handle:
            handle.write(b"\0" * _free(small_disk))
        ended = stages.mover.run(sides, BACKUP, new_audit())
        assert ended.code == "53100", ended.document
        judged = stage.oracle.judge(*sides)
        assert (judged.problems, judged.origin, judged.destination) == ([], "whole", "nothing")
        ballast.unlink()
        stages.run(sides, BACKUP)
        assert stage.oracle.judge_end(*sides, stage.end) == []


def _free(place: Path) -> int:
    # The ledger and the audit need a page or two to say so.
    room = os.statvfs(place)
    return max(0, room.f_bavail * room.f_frsize - 256 * 1024)


@contextmanager
def _in_tablespace(cluster: EmbeddedPostgres, place: Path) -> Iterator[str]:
    name = "small_disk"
    with connect(cluster.settings("postgres"), purpose="tablespace", autocommit=True) as session:
        os.chown(place, cluster.data.stat().st_uid, cluster.data.stat().st_gid)
        session.execute(
            sql.SQL("CREATE TABLESPACE {} LOCATION {}").format(sql.Identifier(name), sql.Literal(str(place)))
        )
    yield name
    with connect(cluster.settings("postgres"), purpose="tablespace", autocommit=True) as session:
        session.execute(sql.SQL("DROP TABLESPACE {}").format(sql.Identifier(name)))


def _move_to(cluster: EmbeddedPostgres, database: DatabaseSettings, tablespace: str) -> None:
    with connect(cluster.settings("postgres"), purpose="tablespace", autocommit=True) as session:
        session.execute(
            sql.SQL("ALTER DATABASE {} SET TABLESPACE {}").format(
                sql.Identifier(database.database), sql.Identifier(tablespace)
            )
        )


@pytest.mark.parametrize("setting", ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"])
def test_f12_low_timeouts_of_the_servers_do_not_break_a_batch(setting: str, stages: Stages) -> None:
    """The mover sets its own limits in each session; whatever a DBA sets for the database changes nothing."""
    stage = stages.stage(BACKUP, SMALL)
    with stages.copy(stage.start) as sides:
        for side in sides:
            with connect(side, purpose="timeouts", autocommit=True) as session:
                statement = sql.SQL("ALTER DATABASE {} SET {} = '1ms'")
                session.execute(statement.format(sql.Identifier(side.database), sql.Identifier(setting)))
        stages.run(sides, BACKUP)
        assert stage.oracle.judge_end(*sides, stage.end) == []
