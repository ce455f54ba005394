"""A cleanup that is killed, that meets locks, and that works beside the engine's own: nothing is half removed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import UTC
from typing import TYPE_CHECKING

import psycopg
import pytest

from archival_pipeline.database.connections import Limits, connect
from archival_pipeline.history.cleanup.orphans import find_orphans, remove_orphans
from archival_pipeline_tests.bench_cleanup import engines_own
from archival_pipeline_tests.support.camunda import camunda_settings
from archival_pipeline_tests.support.camunda_cleanup import around, content, fill, run, without
from archival_pipeline_tests.support.processes import wait_until

if TYPE_CHECKING:
    from archival_pipeline.local.camunda_data import Scene
    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline.settings_camunda import CamundaSettings
    from archival_pipeline_tests.conftest import DatabaseFactory
    from archival_pipeline_tests.support.camunda_cleanup import Content

_HIERARCHIES = 12
_SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
_PARTS = "SELECT count(DISTINCT root_proc_inst_id_) FROM {} WHERE root_proc_inst_id_ = ANY(%s)"


def killed_at(statement: int, settings: CamundaSettings, scene: Scene) -> subprocess.CompletedProcess[str]:
    """Run the worker, and wait until the server has noticed its end."""
    environment = {
        "PATH": os.environ["PATH"],
        "CAMUNDA_DB_HOST": settings.host,
        "CAMUNDA_DB_PORT": str(settings.port),
        "CAMUNDA_DB_USERNAME": settings.username,
        "CAMUNDA_DB_PASSWORD": settings.password.get_secret_value(),
        "CAMUNDA_DB_NAME": settings.database,
    }
    program = "archival_pipeline_tests.support.cleanup_worker"
    done = subprocess.run(
        [sys.executable, "-m", program, "clean", str(statement), scene.now.replace(tzinfo=UTC).isoformat()],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    with connect(settings, purpose="test", autocommit=True) as session:
        wait_until(lambda: session.execute(_SESSIONS).fetchone() == (0,), "the sessions of the killed process are gone")
    return done


def assert_whole_or_gone(settings: CamundaSettings, scene: Scene, before: Content) -> None:
    """Each due hierarchy is in every table as it was, or in none."""
    after = content(settings)
    with connect(settings, purpose="test", autocommit=True) as session:
        rows = session.execute("SELECT root_proc_inst_id_ FROM act_hi_procinst").fetchall()
    there = {row[0] for row in rows} & set(scene.roots)
    with connect(settings, purpose="test", autocommit=True) as session:
        for table in ("act_hi_actinst", "act_hi_detail", "act_hi_varinst", "act_ge_bytearray", "act_hi_decinst"):
            found = session.execute(_PARTS.format(table), (list(scene.roots),)).fetchone()
            assert found == (len(there),), table
    assert all(before[table][key] == mark for table, left in after.items() for key, mark in left.items())
    assert find_orphans(settings).total == 2, "the two of the traps"


def kill_and_finish(settings: CamundaSettings, scene: Scene, statement: int) -> int:
    before = content(settings)
    done = killed_at(statement, settings, scene)
    assert_whole_or_gone(settings, scene, before)
    left = run(settings, scene).removed.roots
    assert content(settings) == without(before, scene.due)
    assert done.returncode == (-signal.SIGKILL if left or done.returncode else 0), done.stderr
    return done.returncode


# Among the deletions of the first batch, between them and its commit, and in the middle of the run.
@pytest.mark.faults
@pytest.mark.parametrize("statement", [21, 34, 90])
def test_killed_in_mid_run(primary_database: DatabaseSettings, statement: int) -> None:
    scene = fill(primary_database, hierarchies=_HIERARCHIES)
    assert kill_and_finish(camunda_settings(primary_database), scene, statement) == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.timeout(3600)
def test_killed_before_every_statement(database_from_template: DatabaseFactory) -> None:
    scenes: list[Scene] = []

    def build(settings: DatabaseSettings) -> None:
        scenes.append(fill(settings, hierarchies=_HIERARCHIES))

    statement, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        statement += 1
        settings = camunda_settings(database_from_template("camunda to be killed", build))
        code = kill_and_finish(settings, scenes[0], statement)
    print(f"killed before each of {statement - 1} statements")
    assert statement > 100


@pytest.mark.parametrize("table", ["act_hi_procinst", "act_hi_detail"])
def test_a_writer_keeps_its_hierarchy_and_nothing_else(primary_database: DatabaseSettings, table: str) -> None:
    scene = fill(primary_database, hierarchies=_HIERARCHIES)
    settings = camunda_settings(primary_database)
    before = content(settings)
    kept = scene.roots[0]
    with connect(settings, purpose="writer") as writer:
        writer.execute(f"SELECT 1 FROM {table} WHERE root_proc_inst_id_ = %s FOR UPDATE", (kept,))  # noqa: S608
        outcome = run(settings, scene)
        assert outcome.removed.roots == len(scene.roots) + 2
        assert outcome.left == 1
        assert kept in {*outcome.set_aside, *outcome.removed.locked}
        with connect(settings, purpose="test") as session:
            row = session.execute("SELECT count(*) FROM act_hi_actinst WHERE root_proc_inst_id_ = %s", (kept,))
            assert (row.fetchone() or (0,))[0] > 0
    assert run(settings, scene).removed.roots == 1
    assert content(settings) == without(before, scene.due)


def test_beside_the_engines_own_cleanup(primary_database: DatabaseSettings) -> None:
    scene = fill(primary_database, hierarchies=150, with_traps=False)
    settings = camunda_settings(primary_database)
    before = content(settings)
    refused: list[psycopg.Error] = []

    def engine() -> None:
        with connect(settings, purpose="engine", limits=Limits(lock_timeout=0), autocommit=True) as session:
            try:
                engines_own.clean(session, scene.now, 25)
            except psycopg.Error as error:
                refused.append(error)

    other = threading.Thread(target=engine)
    other.start()
    run(settings, scene, historyCleanupBatchSize="10", historyCleanupDegreeOfParallelism="2")
    other.join()
    assert refused == [], "of two that wait for each other, the engine goes on"
    run(settings, scene)
    # What the engine's rule leaves behind when it removes an instance before its last rows.
    remove_orphans(settings, around(scene))
    assert content(settings) == without(before, scene.due)
