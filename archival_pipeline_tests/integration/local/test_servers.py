"""The embedded clusters: durable, on TCP with a password, adopted, restarted, and named like production."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, LiteralString

import psycopg
import pytest

from archival_pipeline.database.connections import connect
from archival_pipeline.errors import OperatorDatabaseError
from archival_pipeline.local.postgres import HOST, EmbeddedPostgres
from archival_pipeline.local.servers import BACKUP, PRIMARY, LocalStack
from archival_pipeline.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline_tests.conftest import DatabaseFactory

EMBEDDED_VARIABLES = {
    *("DB_HOST", "DB_PORT", "DB_USERNAME", "DB_PASSWORD", "BPM_DB_NAME", "BPM_DB_SCHEMA_NAME"),
    *("BPM_BACKUP_DB_HOST", "BPM_BACKUP_DB_PORT", "BPM_BACKUP_DB_USERNAME", "BPM_BACKUP_DB_PASSWORD"),
    *("BPM_BACKUP_DB_NAME", "BPM_BACKUP_DB_SCHEMA_NAME", "DAGSTER_PG_URL"),
}
OWN_SERVER = {"DB_HOST": "db.example.net", "DB_PORT": "6543", "DB_USERNAME": "engine", "BPM_DB_NAME": "jbpm"}


@pytest.fixture(scope="module")
def durable(server_folder: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(server_folder / "durable") as cluster:
        yield cluster


def value(settings: DatabaseSettings, statement: LiteralString, *values: str) -> object:
    with connect(settings, purpose="test") as session:
        row = session.execute(statement, values).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize(
    ("name", "expected"),
    {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "autovacuum": "on",
        "max_wal_size": "4GB",
        "listen_addresses": HOST,
        "unix_socket_directories": "",
        "password_encryption": "scram-sha-256",
    }.items(),
)
def test_is_durable_and_listens_on_the_loopback_only(durable: EmbeddedPostgres, name: str, expected: str) -> None:
    assert value(durable.settings("postgres"), "SELECT current_setting(%s)", name) == expected


def test_asks_for_the_password(durable: EmbeddedPostgres) -> None:
    settings = durable.settings("postgres")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(host=HOST, port=durable.port, user=settings.username, password="wrong", dbname="postgres")


def test_second_object_adopts_the_server_and_leaves_it_running(durable: EmbeddedPostgres) -> None:
    with EmbeddedPostgres(durable.folder) as adopted:
        assert adopted.pid == durable.pid
        assert adopted.port == durable.port
    assert value(durable.settings("postgres"), "SELECT 1") == 1


def test_two_that_start_at_once_share_one_server(server_folder: Path) -> None:
    clusters = [EmbeddedPostgres(server_folder / "contended") for _ in range(2)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(EmbeddedPostgres.start, clusters))
    try:
        first, second = (cluster.pid for cluster in clusters)
        assert first == second
        assert value(clusters[0].settings("postgres"), "SELECT 1") == 1
    finally:
        for cluster in clusters:
            cluster.stop()
    assert clusters[0].pid is None


def test_stop_of_an_adopted_server_has_to_be_said(server_folder: Path) -> None:
    with EmbeddedPostgres(server_folder / "left-behind") as left_behind:
        EmbeddedPostgres(left_behind.folder).stop(adopted=True)
        assert left_behind.pid is None
        with pytest.raises(OperatorDatabaseError, match="is not running"):
            _ = left_behind.port


def test_committed_rows_outlive_an_immediate_stop_and_the_port_stays(server_folder: Path) -> None:
    with EmbeddedPostgres(server_folder / "crashing") as cluster:
        port, settings = cluster.port, cluster.create_database("kept")
        with connect(settings, purpose="test") as session:
            session.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        cluster.stop("immediate")
        cluster.start()
        assert cluster.port == port
        assert value(settings, "SELECT answer FROM kept") == 42


def test_moves_to_another_port_when_its_own_is_taken(server_folder: Path) -> None:
    with EmbeddedPostgres(server_folder / "moving") as cluster:
        taken = cluster.port
        cluster.stop()
        with socket.create_server((HOST, taken)):
            cluster.start()
        assert cluster.port != taken
        assert value(cluster.settings("postgres"), "SELECT 1") == 1


def test_pid_file_of_another_program_is_not_believed(server_folder: Path) -> None:
    cluster = EmbeddedPostgres(server_folder / "stale")
    cluster.data.mkdir(parents=True)
    (cluster.data / "postmaster.pid").write_text(f"1\n{cluster.data}\n0\n5432\n", encoding="ascii")
    assert cluster.pid is None


def test_failure_to_start_names_the_log(server_folder: Path) -> None:
    cluster = EmbeddedPostgres(server_folder / "broken", options={"shared_buffers": "nonsense"})
    with pytest.raises(OperatorDatabaseError, match=r"broken/data/server\.log") as caught:
        cluster.start()
    assert caught.value.code == "EMBEDDED_SERVER"
    assert "nonsense" in cluster.log.read_text(encoding="utf-8")


def test_unknown_version_is_refused_with_the_known_ones(server_folder: Path) -> None:
    with pytest.raises(ValueError, match=r"\[16, 18\]"):
        EmbeddedPostgres(server_folder / "old", version=9)


@pytest.mark.parametrize("version", [16, 18])
def test_has_the_version_asked_for(server_folder: Path, version: int) -> None:
    with EmbeddedPostgres(server_folder / f"version-{version}", version=version, options={"fsync": "off"}) as cluster:
        number = value(cluster.settings("postgres"), "SELECT current_setting('server_version_num')::int / 10000")
    assert number == version


def test_existing_database_is_kept_only_when_said(durable: EmbeddedPostgres) -> None:
    durable.create_database("once")
    durable.create_database("once", exist_ok=True)
    with pytest.raises(psycopg.errors.DuplicateDatabase):
        durable.create_database("once")


def test_stack_sets_what_production_sets(server_folder: Path, clean_environment: pytest.MonkeyPatch) -> None:
    given = {"BPM_DB_SCHEMA_NAME": 'My "schema"', "DB_HOST": ""}
    with LocalStack(server_folder / "stack", environ=given) as stack:
        environment = stack.environment()
        assert set(environment) == EMBEDDED_VARIABLES
        for name, text in environment.items():
            clean_environment.setenv(name, text)
        settings = load_settings()
        assert settings.primary.schema_name == 'My "schema"'
        assert value(settings.primary, "SELECT current_schema()") == 'My "schema"'
        assert value(settings.backup, "SELECT current_database()") == "bpm_backup"
        assert settings.dagster.pg_url is not None
        url = settings.dagster.pg_url.get_secret_value()
        with psycopg.connect(url.replace("+psycopg2", "")) as session:
            assert session.info.dbname == "dagster"
            assert session.info.port == stack.clusters[BACKUP].port
    assert [cluster.pid for cluster in stack.clusters.values()] == [None, None]


def test_own_servers_are_used_and_nothing_is_started_for_them(server_folder: Path) -> None:
    backup = {"BPM_BACKUP_DB_HOST": "archive.example.net"}
    url = "postgresql+psycopg2://dagster@runs.example.net/dagster"
    given = OWN_SERVER | backup | {"DAGSTER_PG_URL": url, "UNRELATED": "yes"}
    with LocalStack(server_folder / "none", environ=given) as stack:
        assert stack.environment() == OWN_SERVER | backup | {"DAGSTER_PG_URL": url}
        assert not (server_folder / "none").exists()


def test_own_primary_beside_an_embedded_backup(server_folder: Path) -> None:
    with LocalStack(server_folder / "mixed", environ=OWN_SERVER) as stack:
        assert not stack.is_embedded(PRIMARY)
        assert not stack.clusters[PRIMARY].folder.exists()
        environment = stack.environment()
    assert {name: environment[name] for name in OWN_SERVER} == OWN_SERVER
    assert "DB_PASSWORD" not in environment
    assert environment["BPM_BACKUP_DB_HOST"] == HOST


def test_template_is_built_once_and_copies_are_apart(database_from_template: DatabaseFactory) -> None:
    built: list[str] = []

    def build(settings: DatabaseSettings) -> None:
        built.append(settings.database)
        with connect(settings, purpose="test") as session:
            session.execute("CREATE TABLE task AS SELECT 1 AS id")

    first, second = (database_from_template("one task", build) for _ in range(2))
    with connect(first, purpose="test") as session:
        session.execute("DELETE FROM task")
    assert len(built) == 1
    assert value(first, "SELECT count(*) FROM task") == 0
    assert value(second, "SELECT count(*) FROM task") == 1
