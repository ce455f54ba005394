"""Kept sessions: the same rules as for a new one, and no trace of whoever had it before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archival_pipeline.database.connections import Limits, connect, short_session
from archival_pipeline.database.pools import SessionPools
from archival_pipeline.errors import DatabaseError, OperatorDatabaseError, TransientDatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline.settings import DatabaseSettings


@pytest.fixture
def pools() -> Iterator[SessionPools]:
    found = SessionPools(2, Limits(statement_timeout=1_000))
    with found.use():
        yield found
    found.close()


def value(settings: DatabaseSettings, query: str, *, read_only: bool = True) -> object:
    with short_session(settings, "asking", read_only=read_only) as session:
        row = session.execute(query).fetchone()
        assert row is not None
        return row[0]


@pytest.mark.usefixtures("pools")
def test_session_is_kept_and_set_like_any_other(backup_database: DatabaseSettings) -> None:
    first = value(backup_database, "SELECT pg_backend_pid()")
    assert value(backup_database, "SELECT pg_backend_pid()") == first
    assert value(backup_database, "SHOW search_path") == '"public", "pg_temp"'
    assert value(backup_database, "SHOW timezone") == "UTC"
    assert value(backup_database, "SHOW statement_timeout") == "1s"


@pytest.mark.usefixtures("pools")
def test_read_only_is_for_one_question_alone(backup_database: DatabaseSettings) -> None:
    with pytest.raises(OperatorDatabaseError, match="25006"):
        value(backup_database, "CREATE TABLE t AS SELECT 1")
    value(backup_database, "WITH made AS (SELECT set_config('a.b', 'c', true)) SELECT 1", read_only=False)
    with short_session(backup_database, "writing", read_only=False) as session:
        session.execute("CREATE TABLE t (a integer)")
    assert value(backup_database, "SELECT to_regclass('t') IS NOT NULL") is True
    with pytest.raises(OperatorDatabaseError, match="25006"):
        value(backup_database, "DELETE FROM t RETURNING 1")


@pytest.mark.usefixtures("pools")
def test_failure_leaves_nothing_behind(backup_database: DatabaseSettings) -> None:
    with pytest.raises(DatabaseError):
        value(backup_database, "CREATE TABLE half AS SELECT 1 / 0", read_only=False)
    with pytest.raises(ValueError, match="stop"):
        _write_and_stop(backup_database)
    assert value(backup_database, "SELECT to_regclass('half') IS NULL") is True


def _write_and_stop(settings: DatabaseSettings) -> None:
    with short_session(settings, "failing", read_only=False) as session:
        session.execute("CREATE TABLE half (a integer)")
        message = "stop"
        raise ValueError(message)


@pytest.mark.usefixtures("pools")
def test_session_that_the_server_has_ended_is_replaced(backup_database: DatabaseSettings) -> None:
    first = value(backup_database, "SELECT pg_backend_pid()")
    with connect(backup_database, purpose="a restart", autocommit=True) as session:
        session.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
    assert value(backup_database, "SELECT pg_backend_pid()") != first


@pytest.mark.usefixtures("pools")
def test_unreachable_server_says_why(backup_database: DatabaseSettings) -> None:
    nowhere = backup_database.model_copy(update={"port": 1, "host": "127.0.0.1"})
    with pytest.raises(TransientDatabaseError, match=r"127\.0\.0\.1:1"):
        value(nowhere, "SELECT 1")
