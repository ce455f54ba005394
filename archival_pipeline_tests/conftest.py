"""Fixtures of every test: two embedded clusters a session, and fresh databases on them for each test."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import hypothesis
import pytest

from archival_pipeline.local.postgres import EmbeddedPostgres, server_version
from archival_pipeline_tests.support import camunda
from archival_pipeline_tests.support.databases import TestDatabases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline.settings_camunda import CamundaSettings
    from archival_pipeline_tests.support.databases import Builder

SideName = Literal["primary", "backup"]

# A crash of these servers is not what ordinary tests are about; tests of crashes make durable clusters of their own.
_FAST = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "128MB", "max_wal_size": "1GB"}
_ROOM = 8 * 1024**3
# How the names of the product's own settings begin.
_SETTINGS = (
    *("ALERT_", "API_", "BACKUP_", "BPM_", "CAMUNDA_", "DAGSTER_", "DB_", "HISTORY_", "IDS_", "INTERIM_", "LOWCODE_"),
    *("OIDC_", "STORAGE_", "VARIABLES_", "WORKFLOW_SERVICE_", "history", "processHistory", "backup"),
)
_VERSION_OPTIONS = {"primary": "--primary-version", "backup": "--backup-version"}
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class DatabaseFactory(Protocol):
    """Copies a template into a fresh database; builds the template when it is asked for the first time."""

    def __call__(self, name: str, builder: Builder, side: SideName = "primary") -> DatabaseSettings:
        """Return the settings of the copy, which is dropped after the test."""
        ...


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the two servers have different versions, as they may have in production."""
    for side, option in _VERSION_OPTIONS.items():
        parser.addoption(option, type=int, default=18, choices=(16, 18), help=f"PostgreSQL of the {side} cluster")


def pytest_configure() -> None:
    """End like Ctrl-C when told to stop, as by a time limit of CI: the servers must not outlive the session."""
    for number in _SIGNALS:
        # A shell that starts the tests in the background has SIGINT ignored, and every program of theirs would, too.
        signal.signal(number, signal.default_int_handler)
    # How long an example takes says more about the machine than about the code.
    hypothesis.settings.register_profile("untimed", deadline=None)
    hypothesis.settings.load_profile("untimed")


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say which servers the tests ran against."""
    return [f"{side}: {server_version(config.getoption(option))}" for side, option in _VERSION_OPTIONS.items()]


@pytest.fixture(autouse=True)
def _signals_reach_programs() -> Iterator[None]:
    """Programs inherit what this process ignores and blocks: no test may leave that changed for the next."""
    yield
    ignored = [number for number in _SIGNALS if signal.getsignal(number) is signal.SIG_IGN]
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ()) & set(_SIGNALS)
    for number in ignored:
        signal.signal(number, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, blocked)
    assert (ignored, blocked) == ([], set())


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A folder for clusters that the servers' system user can reach, which pytest's own temporary folder is not.

    In memory where there is room: hundreds of databases are copied, and a disk is ten times slower at it.
    """
    folder = Path(tempfile.mkdtemp(prefix="archival-tests-", dir=_memory()))
    yield folder
    shutil.rmtree(folder)


def _memory() -> Path | None:
    """A file system in memory with room for every cluster of a session; None where there is none."""
    place = Path("/dev/shm")  # noqa: S108 - the folder itself gets a name of its own
    roomy = place.is_dir() and os.access(place, os.W_OK) and shutil.disk_usage(place).free > _ROOM
    return place if roomy else None


def _cluster(side: SideName, folder: Path, config: pytest.Config) -> EmbeddedPostgres:
    return EmbeddedPostgres(folder / side, version=config.getoption(_VERSION_OPTIONS[side]), options=_FAST)


@pytest.fixture(scope="session")
def primary_cluster(server_folder: Path, pytestconfig: pytest.Config) -> Iterator[EmbeddedPostgres]:
    """The server of the engine's side; shared by all tests, so change databases of your own only."""
    with _cluster("primary", server_folder, pytestconfig) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def backup_cluster(server_folder: Path, pytestconfig: pytest.Config) -> Iterator[EmbeddedPostgres]:
    """The server of the archive's side; shared by all tests, so change databases of your own only."""
    with _cluster("backup", server_folder, pytestconfig) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def primary_databases(primary_cluster: EmbeddedPostgres) -> TestDatabases:
    """Maker of databases on the primary cluster, for fixtures of wider scope than one test."""
    return TestDatabases(primary_cluster)


@pytest.fixture(scope="session")
def backup_databases(backup_cluster: EmbeddedPostgres) -> TestDatabases:
    """Maker of databases on the backup cluster, for fixtures of wider scope than one test."""
    return TestDatabases(backup_cluster)


@pytest.fixture
def primary_database(primary_databases: TestDatabases) -> Iterator[DatabaseSettings]:
    """An empty database on the engine's side."""
    settings = primary_databases.fresh()
    yield settings
    primary_databases.drop(settings)


@pytest.fixture
def backup_database(backup_databases: TestDatabases) -> Iterator[DatabaseSettings]:
    """An empty database on the archive's side."""
    settings = backup_databases.fresh()
    yield settings
    backup_databases.drop(settings)


@pytest.fixture
def database_from_template(request: pytest.FixtureRequest) -> Iterator[DatabaseFactory]:
    """A factory of databases whose schema or data is too dear to build for each test."""
    made: list[tuple[TestDatabases, DatabaseSettings]] = []

    def copy(name: str, builder: Builder, side: SideName = "primary") -> DatabaseSettings:
        databases: TestDatabases = request.getfixturevalue(f"{side}_databases")
        settings = databases.fresh(databases.template(name, builder))
        made.append((databases, settings))
        return settings

    yield copy
    for databases, settings in reversed(made):
        databases.drop(settings)


@pytest.fixture
def camunda_database(database_from_template: DatabaseFactory) -> CamundaSettings:
    """A fresh database with the empty tables of a Camunda engine."""
    return camunda.camunda_settings(database_from_template(camunda.TEMPLATE, camunda.build))


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without any setting of the product, whatever the shell of the developer has set."""
    for name in list(os.environ):
        if name.startswith(_SETTINGS):
            monkeypatch.delenv(name)
    return monkeypatch
