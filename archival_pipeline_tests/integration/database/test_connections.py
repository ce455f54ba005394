"""Sessions on a real server: what is pinned, how schema names are quoted, what TLS refuses, what errors say."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql

from archival_pipeline.database.connections import Limits, connect
from archival_pipeline.errors import OperatorDatabaseError, TransientDatabaseError
from archival_pipeline.settings import DatabaseSettings
from archival_pipeline_tests.support.tls_proxy import Authority, tls_terminator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ODD_SCHEMAS = ['My "schema"', "with space", "UPPER", "a,b", "semi;colon", "quote's", "back\\slash", "кирилиця"]

EXPECTED_PINS = {
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "row_security": "off",
    "standard_conforming_strings": "on",
    "client_encoding": "UTF8",
}


def changed(settings: DatabaseSettings, **values: Any) -> DatabaseSettings:
    """The same database, reached in another way."""
    return DatabaseSettings(**(dict(settings) | values))


def show(session: psycopg.Connection[tuple[Any, ...]], name: str) -> str:
    row = session.execute("SELECT current_setting(%s)", [name]).fetchone()
    assert row is not None
    return str(row[0])


@pytest.mark.parametrize(("name", "value"), EXPECTED_PINS.items())
def test_pins_what_could_change_the_meaning_of_a_value(
    primary_database: DatabaseSettings, name: str, value: str
) -> None:
    with connect(primary_database, purpose="test") as session:
        assert show(session, name) == value


def test_pins_win_over_defaults_of_the_database(primary_database: DatabaseSettings) -> None:
    database = sql.Identifier(primary_database.database)
    with connect(primary_database, purpose="test", autocommit=True) as session:
        for name, value in {"TimeZone": "Asia/Kathmandu", "DateStyle": "SQL, DMY", "bytea_output": "escape"}.items():
            session.execute(sql.SQL("ALTER DATABASE {} SET {} = {}").format(database, sql.Identifier(name), value))
    with connect(primary_database, purpose="test") as session:
        assert {name: show(session, name) for name in EXPECTED_PINS} == EXPECTED_PINS


def test_pins_survive_a_rollback(primary_database: DatabaseSettings) -> None:
    with connect(primary_database, purpose="test") as session:
        session.execute("SELECT 1")
        session.rollback()
        assert show(session, "TimeZone") == "UTC"


def test_limits_reach_the_server(primary_database: DatabaseSettings) -> None:
    limits = Limits(lock_timeout=1_500, statement_timeout=60_000, idle_in_transaction=0)
    with connect(primary_database, purpose="test", limits=limits) as session:
        assert show(session, "lock_timeout") == "1500ms"
        assert show(session, "statement_timeout") == "1min"
        assert show(session, "idle_in_transaction_session_timeout") == "0"


def test_purpose_is_shown_to_the_dba_and_cut_to_what_fits(primary_database: DatabaseSettings) -> None:
    with connect(primary_database, purpose="copy " * 40) as session:
        assert show(session, "application_name").startswith("archival-pipeline: copy copy")


@pytest.mark.parametrize("autocommit", [True, False])
def test_leaves_the_session_in_the_wanted_mode(
    primary_database: DatabaseSettings,
    autocommit: bool,  # noqa: FBT001 - a parameter of the table above
) -> None:
    with connect(primary_database, purpose="test", autocommit=autocommit) as session:
        assert session.autocommit is autocommit
        assert session.info.transaction_status is psycopg.pq.TransactionStatus.IDLE


@pytest.mark.parametrize("schema", ODD_SCHEMAS)
def test_finds_tables_in_an_oddly_named_schema(primary_database: DatabaseSettings, schema: str) -> None:
    settings = changed(primary_database, schema_name=schema)
    with connect(settings, purpose="test") as session:
        session.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        session.execute("CREATE TABLE task (id int)")
        found = session.execute("SELECT schemaname FROM pg_tables WHERE tablename = 'task'").fetchall()
    assert found == [(schema,)]


def test_temporary_tables_do_not_hide_those_of_the_schema(primary_database: DatabaseSettings) -> None:
    with connect(primary_database, purpose="test") as session:
        session.execute("CREATE TABLE task AS SELECT 'engine' AS owner")
        session.execute("CREATE TEMPORARY TABLE task AS SELECT 'somebody' AS owner")
        assert session.execute("SELECT owner FROM task").fetchone() == ("engine",)


def test_wrong_password_is_told_without_the_password(primary_database: DatabaseSettings) -> None:
    wrong = changed(primary_database, password="hunter2-and-more")
    with pytest.raises(OperatorDatabaseError) as caught:
        connect(wrong, purpose="test")
    assert caught.value.code == "28P01"
    assert "user name or password" in caught.value.resolve
    assert "hunter2" not in f"{caught.value} {caught.value!r} {caught.value.args}"
    assert caught.value.__cause__ is None


def test_unknown_database_is_told_by_name(primary_database: DatabaseSettings) -> None:
    with pytest.raises(OperatorDatabaseError, match="no_such_database") as caught:
        connect(changed(primary_database, database="no_such_database"), purpose="test")
    assert caught.value.code == "3D000"


def test_nobody_listening_is_worth_another_try(primary_database: DatabaseSettings) -> None:
    with pytest.raises(TransientDatabaseError, match=r"primary database .* on 127\.0\.0\.1:1 "):
        connect(changed(primary_database, port=1), purpose="test")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create()


@pytest.fixture
def behind_tls(
    primary_database: DatabaseSettings, authority: Authority, tmp_path: Path
) -> Iterator[Callable[..., DatabaseSettings]]:
    """Settings of the database behind a server that shows a certificate for the address given."""
    with ExitStack() as servers:

        def start(*, host: str | None = "127.0.0.1", **values: Any) -> DatabaseSettings:
            context = None if host is None else authority.context_for(host, tmp_path)
            target = (primary_database.host, primary_database.port)
            port = servers.enter_context(tls_terminator(target, context))
            return changed(primary_database, port=port, ssl=True, **values)

        yield start


def is_encrypted(settings: DatabaseSettings) -> bool:
    with connect(settings, purpose="test") as session:
        return session.pgconn.ssl_in_use


def test_tls_with_the_authority_by_path(
    behind_tls: Callable[..., DatabaseSettings], authority: Authority, tmp_path: Path
) -> None:
    path = tmp_path / "ca.pem"
    path.write_text(authority.pem(), encoding="ascii")
    assert is_encrypted(behind_tls(ca_cert_path=path))


@pytest.mark.parametrize("line_end", ["\n", "\\n"], ids=["many lines", "one line"])
def test_tls_with_the_authority_by_content(
    behind_tls: Callable[..., DatabaseSettings], authority: Authority, line_end: str
) -> None:
    assert is_encrypted(behind_tls(ca_cert=authority.pem().replace("\n", line_end)))


def test_content_wins_over_path(
    behind_tls: Callable[..., DatabaseSettings], authority: Authority, tmp_path: Path
) -> None:
    path = tmp_path / "other.pem"
    path.write_text(Authority.create("Other").pem(), encoding="ascii")
    assert is_encrypted(behind_tls(ca_cert=authority.pem(), ca_cert_path=path))


def test_another_authority_is_refused(behind_tls: Callable[..., DatabaseSettings]) -> None:
    settings = behind_tls(ca_cert=Authority.create("Other").pem())
    with pytest.raises(OperatorDatabaseError, match="certificate verify failed") as caught:
        connect(settings, purpose="test")
    assert caught.value.code == "TLS_REFUSED"


def test_certificate_of_another_host_is_refused(
    behind_tls: Callable[..., DatabaseSettings], authority: Authority
) -> None:
    settings = behind_tls(host="127.0.0.2", ca_cert=authority.pem())
    with pytest.raises(OperatorDatabaseError, match=r"does not match host name"):
        connect(settings, purpose="test")


def test_unknown_authority_is_refused_by_the_roots_of_the_system(
    behind_tls: Callable[..., DatabaseSettings],
) -> None:
    with pytest.raises(OperatorDatabaseError, match="certificate verify failed"):
        connect(behind_tls(), purpose="test")


def test_server_without_tls_is_refused_when_tls_is_asked_for(
    behind_tls: Callable[..., DatabaseSettings], authority: Authority
) -> None:
    settings = behind_tls(host=None, ca_cert=authority.pem())
    with pytest.raises(OperatorDatabaseError, match="does not support SSL"):
        connect(settings, purpose="test")


def test_embedded_server_without_tls_is_refused_too(primary_database: DatabaseSettings, authority: Authority) -> None:
    settings = changed(primary_database, ssl=True, ca_cert=authority.pem())
    with pytest.raises(OperatorDatabaseError, match="does not support SSL"):
        connect(settings, purpose="test")
