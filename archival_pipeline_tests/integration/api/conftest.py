"""The REST service as a process, with a database pair behind it and a real identity server beside it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from archival_pipeline.archival import service as archival_service
from archival_pipeline_tests.support import archive, rest
from archival_pipeline_tests.support.identity_server import identity_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from archival_pipeline.settings import DatabaseSettings, Settings
    from archival_pipeline_tests.support.databases import TestDatabases
    from archival_pipeline_tests.support.identity_server import IdentityServer


@dataclass(frozen=True, slots=True)
class Pair:
    """A primary with sample data and a migrated backup.

    Attributes:
        settings: where they are.
        environment: the variables that name them.
    """

    settings: Settings
    environment: dict[str, str]


@dataclass(frozen=True, slots=True)
class Service:
    """The service at work.

    Attributes:
        client: talks to it; paths are relative to the base path.
        log: what it wrote.
    """

    client: httpx.Client
    log: Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rest")


@pytest.fixture(scope="module")
def pair(primary_databases: TestDatabases, backup_databases: TestDatabases) -> Iterator[Pair]:
    """Shared by the tests of a module, which only read."""
    primary = primary_databases.fresh(primary_databases.template("sample", _fill))
    backup = backup_databases.fresh()
    settings = archive.settings_of(primary, backup)
    archival_service.migrate(settings)
    yield Pair(settings, {"PATH": os.environ["PATH"], **archive.environment_of(primary, backup)})
    primary_databases.drop(primary)
    backup_databases.drop(backup)


def _fill(where: DatabaseSettings) -> None:
    archive.fill(where)


@pytest.fixture(scope="module")
def identity(folder: Path) -> Iterator[IdentityServer]:
    with identity_server(folder) as found:
        yield found


@pytest.fixture(scope="module")
def service(pair: Pair, folder: Path) -> Iterator[Service]:
    """Without tokens and with small limits."""
    small = {"API_MAX_BODY_BYTES": "20000", "API_MAX_PAGE_SIZE": "50", "API_REQUEST_SECONDS": "3"}
    with rest.service(pair.environment, folder, **small) as client:
        yield Service(client, folder / "rest.log")
