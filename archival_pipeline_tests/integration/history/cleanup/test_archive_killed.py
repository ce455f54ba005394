"""A run that archives, or brings back, and is killed: each row stands on a side that the ledger names."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from archival_pipeline.database.connections import connect
from archival_pipeline_tests.support.archive import environment_of
from archival_pipeline_tests.support.camunda import variables
from archival_pipeline_tests.support.camunda_archive import Pair, only
from archival_pipeline_tests.support.camunda_cleanup import without
from archival_pipeline_tests.support.processes import wait_until

if TYPE_CHECKING:
    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline_tests.support.camunda_cleanup import Content

_HIERARCHIES = 6
_SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
_OPEN = "SELECT unit_id, members FROM cleanup_archive_unit WHERE state IN ('copying', 'copied', 'deleting')"
_STANDING = "SELECT unit_id FROM cleanup_archive_unit WHERE state = 'deleted' AND kind = 'hierarchy'"
_ROOTS = "SELECT DISTINCT root_proc_inst_id_ FROM {} WHERE root_proc_inst_id_ = ANY(%s)"
_TABLES = ("act_hi_procinst", "act_hi_actinst", "act_hi_detail", "act_hi_varinst", "act_ge_bytearray", "act_hi_decinst")


def killed_at(point: str, pair: Pair, work: str) -> int:
    """Run the worker, and wait until both servers have noticed its end; return its exit code."""
    environment = variables(pair.engine) | environment_of(pair.engine, pair.backup) | {"PATH": os.environ["PATH"]}
    program = "archival_pipeline_tests.support.cleanup_worker"
    done = subprocess.run(
        [sys.executable, "-m", program, work, point, pair.moment],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    for side in (pair.engine, pair.backup):
        with connect(side, purpose="test", autocommit=True) as session:
            wait_until(
                lambda session=session: session.execute(_SESSIONS).fetchone() == (0,),  # type: ignore[misc]
                "the sessions of the killed process are gone",
            )
    return done.returncode


def roots_of(side: DatabaseSettings, table: str, pair: Pair) -> set[str]:
    """The due roots that have rows in a table."""
    with connect(side, purpose="test") as session:
        return {row[0] for row in session.execute(_ROOTS.format(table), (list(pair.scene.roots),))}


def assert_every_row_is_somewhere_and_the_ledger_says_where(pair: Pair, before: Content) -> None:
    engine, archive = pair.engine_content(), pair.archive_content()
    both = set()
    for table, rows in before.items():
        here, there = engine[table], archive.get(table, {})
        assert {**there, **here} == rows, table
        assert {**here, **there} == rows, table
        both |= here.keys() & there.keys()
    with connect(pair.backup, purpose="test") as session:
        opened = session.execute(_OPEN).fetchall()
    if not opened:
        assert not both, "what stands in both is named in the ledger"
    standing = both & {*engine["act_hi_procinst"], *archive["act_hi_procinst"]}
    assert standing <= {member for _, members in opened for member in members}
    for side, prefix in ((pair.engine, ""), (pair.backup, "camunda_")):
        found = [roots_of(side, prefix + table, pair) for table in _TABLES]
        assert all(roots == found[0] for roots in found), "a hierarchy is whole where it stands"


def archive_and_finish(pair: Pair, point: str) -> int:
    before = pair.engine_content()
    code = killed_at(point, pair, "archive")
    assert_every_row_is_somewhere_and_the_ledger_says_where(pair, before)
    pair.run()
    assert pair.engine_content() == without(before, pair.due)
    assert pair.archive_content() == only(before, pair.due)
    # Sets of loose rows that were brought back before have ids of their own.
    assert pair.states() - {("restore", "deleted")} == {("backup", "deleted")}
    return code


def restore_and_finish(pair: Pair, before: Content, point: str) -> int:
    code = killed_at(point, pair, "restore")
    assert_every_row_is_somewhere_and_the_ledger_says_where(pair, before)
    pair.restore()
    assert pair.engine_content() == before
    assert not any(pair.archive_content().values())
    assert pair.states() == {("restore", "deleted")}
    return code


# Before the ledger knows of the copy; before the engine commits; before the ledger knows that it has.
@pytest.mark.parametrize(
    "point",
    [
        pytest.param("COPY@9", marks=pytest.mark.faults),
        "state=deleting@1+2",
        "state=deleted@1",
    ],
)
def test_killed_while_archiving_the_next_run_ends_like_an_undisturbed_one(
    primary_database: DatabaseSettings, backup_database: DatabaseSettings, point: str
) -> None:
    pair = Pair.make(primary_database, backup_database, hierarchies=_HIERARCHIES)
    assert archive_and_finish(pair, point) == -signal.SIGKILL


# Before the engine commits; before the ledger knows that it has; before the backup commits its deletion.
@pytest.mark.parametrize(
    "point",
    [
        pytest.param("state=copying@1+2", marks=pytest.mark.faults),
        "state=copied@1",
        pytest.param("state=deleted@1+1", marks=pytest.mark.faults),
    ],
)
def test_killed_while_restoring_the_next_restore_ends_like_an_undisturbed_one(
    primary_database: DatabaseSettings, backup_database: DatabaseSettings, point: str
) -> None:
    pair = Pair.make(primary_database, backup_database, hierarchies=_HIERARCHIES)
    before = pair.engine_content()
    pair.run()
    assert restore_and_finish(pair, before, point) == -signal.SIGKILL


def expire_and_finish(pair: Pair, point: str) -> int:
    pair.execute_backup("UPDATE cleanup_archive_unit SET changed_at = '2000-01-01'")
    engine, archive = pair.engine_content(), pair.archive_content()
    code = killed_at(point, pair, "expire")
    left = pair.archive_content()
    assert pair.engine_content() == engine
    with connect(pair.backup, purpose="test") as session:
        standing = {row[0] for row in session.execute(_STANDING)}
        assert not session.execute(_OPEN).fetchall()
    for table in _TABLES:
        known = roots_of(pair.backup, f"camunda_{table}", pair)
        assert known == standing & set(pair.scene.roots), "whole or gone, as the ledger says"
    assert all(rows.items() <= archive[table].items() for table, rows in left.items())
    assert killed_at("never@1", pair, "expire") == 0
    assert not any(pair.archive_content().values())
    assert pair.states() == {("backup", "expired")}
    assert pair.engine_content() == engine
    return code


# Before the ledger changes; before the first row goes; in the middle of a later batch; before a commit.
@pytest.mark.parametrize("point", ["state=expired@1", "state=expired@1+2", "DELETE@30", "state=expired@2", "COMMIT@3"])
def test_killed_while_archived_history_expires_each_hierarchy_is_whole_or_gone(
    primary_database: DatabaseSettings, backup_database: DatabaseSettings, point: str
) -> None:
    pair = Pair.make(primary_database, backup_database, hierarchies=_HIERARCHIES)
    pair.run()
    assert expire_and_finish(pair, point) == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.timeout(14_400)
@pytest.mark.parametrize("work", ["archive", "restore"])
def test_killed_before_every_statement_of_both_sides(
    primary_database: DatabaseSettings, backup_database: DatabaseSettings, work: str
) -> None:
    pair = Pair.make(primary_database, backup_database, hierarchies=_HIERARCHIES)
    before = pair.engine_content()
    number, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        number += 1
        if work == "archive":
            code = archive_and_finish(pair, f"@{number}")
            pair.restore()
        else:
            pair.run()
            code = restore_and_finish(pair, before, f"@{number}")
        assert pair.engine_content() == before
    print(f"{work}: killed before each of {number - 1} statements")
    assert number > 50
