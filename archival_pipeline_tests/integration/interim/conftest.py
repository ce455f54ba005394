"""Fixtures of interim data: one Redis and one S3 server a session, a stage for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archival_pipeline.database import migrations
from archival_pipeline.database.connections import connect
from archival_pipeline.local import jbpm_schema
from archival_pipeline.local.interim_servers import EmbeddedRedis, EmbeddedS3
from archival_pipeline.local.jbpm_schema import Variant
from archival_pipeline_tests.support import camunda
from archival_pipeline_tests.support.interim import (
    CamundaEngine,
    Data,
    JbpmEngine,
    Stage,
    places_of,
    redis_client,
    s3_client,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline_tests.support.databases import TestDatabases


@pytest.fixture(scope="session")
def redis_server(server_folder: Path) -> Iterator[EmbeddedRedis]:
    """A Redis that all tests share, one after the other."""
    with EmbeddedRedis(server_folder / "redis") as server:
        yield server


@pytest.fixture(scope="session")
def s3_server(server_folder: Path) -> Iterator[EmbeddedS3]:
    """An S3 server that all tests share, one after the other."""
    with EmbeddedS3(server_folder / "s3") as server:
        yield server


@pytest.fixture
def data(redis_server: EmbeddedRedis, s3_server: EmbeddedS3) -> Iterator[Data]:
    """Both stores, empty."""
    client, s3 = redis_client(redis_server.port), s3_client(s3_server.port)
    written = Data(client, s3)
    written.clear()
    yield written
    client.close()
    s3.close()


def build_jbpm(settings: DatabaseSettings) -> None:
    """An engine without processes."""
    with connect(settings, purpose="build") as session:
        jbpm_schema.create(session, Variant.STANDARD_OID)


def build_books(settings: DatabaseSettings) -> None:
    """A migrated backup database."""
    migrations.upgrade(settings, "backup")


@pytest.fixture(scope="session")
def jbpm_database(primary_databases: TestDatabases) -> Iterator[DatabaseSettings]:
    """One engine's database for all tests of this room: a fresh one for each would be most of their time."""
    settings = primary_databases.fresh()
    build_jbpm(settings)
    yield settings
    primary_databases.drop(settings)


@pytest.fixture(scope="session")
def books_database(backup_databases: TestDatabases) -> Iterator[DatabaseSettings]:
    """One backup database for all tests of this room."""
    settings = backup_databases.fresh()
    build_books(settings)
    yield settings
    backup_databases.drop(settings)


@pytest.fixture(scope="session")
def camunda_engine_database(primary_databases: TestDatabases) -> Iterator[DatabaseSettings]:
    """One Camunda engine's database for all tests of this room."""
    settings = primary_databases.fresh()
    camunda.build(settings)
    yield settings
    primary_databases.drop(settings)


@pytest.fixture
def books_place(books_database: DatabaseSettings) -> DatabaseSettings:
    """The backup database with empty books."""
    with connect(books_database, purpose="empty", autocommit=True) as session:
        session.execute("TRUNCATE interim_state, interim_work, interim_candidate, interim_total")
        session.execute("TRUNCATE interim_archive CASCADE")
        # Holds cannot be removed, only released.
        session.execute(
            "UPDATE archival_hold SET released_at = now(), released_by = 'a test', release_reason = 'the end'"
            " WHERE released_at IS NULL"
        )
    return books_database


@pytest.fixture
def jbpm_stage(
    jbpm_database: DatabaseSettings,
    books_place: DatabaseSettings,
    data: Data,
    redis_server: EmbeddedRedis,
    s3_server: EmbeddedS3,
) -> Iterator[Stage]:
    """An empty jBPM engine, empty books, empty stores."""
    with connect(jbpm_database, purpose="engine", autocommit=True) as session:
        session.execute("TRUNCATE processinstancelog, processinstanceinfo, variableinstancelog CASCADE")
        places = places_of("jbpm", jbpm_database, books_place, redis_server.port, s3_server.port)
        yield Stage(JbpmEngine(session), data, places)


@pytest.fixture
def camunda_stage(
    camunda_engine_database: DatabaseSettings,
    books_place: DatabaseSettings,
    data: Data,
    redis_server: EmbeddedRedis,
    s3_server: EmbeddedS3,
) -> Iterator[Stage]:
    """An empty Camunda engine, empty books, empty stores."""
    with connect(camunda_engine_database, purpose="engine", autocommit=True) as session:
        session.execute("TRUNCATE act_hi_procinst, act_hi_varinst, act_ru_execution, act_ru_variable CASCADE")
        places = places_of("camunda", camunda_engine_database, books_place, redis_server.port, s3_server.port)
        yield Stage(CamundaEngine(session), data, places)


@pytest.fixture
def stage(request: pytest.FixtureRequest) -> Stage:
    """A stage of the engine that a module of tests is run for; jBPM where it does not say."""
    found: Stage = request.getfixturevalue(f"{getattr(request, 'param', 'jbpm')}_stage")
    return found
