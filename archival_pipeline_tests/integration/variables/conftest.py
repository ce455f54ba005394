"""A Camunda database with the history that the real engine wrote."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from archival_pipeline.database.connections import connect
from archival_pipeline_tests.support import camunda, camunda_golden

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline.settings_camunda import CamundaSettings
    from archival_pipeline_tests.conftest import DatabaseFactory
    from archival_pipeline_tests.support.databases import TestDatabases

_TEMPLATE = "camunda golden"
# Before the recorded history expires.
NOW = datetime(2026, 11, 20, 20, tzinfo=UTC)


def _build(settings: DatabaseSettings) -> None:
    camunda.build(settings)
    with connect(settings, purpose="test") as session:
        camunda_golden.load(session)


@pytest.fixture(scope="session")
def golden(primary_databases: TestDatabases) -> Iterator[CamundaSettings]:
    """Shared by tests that only read."""
    found = primary_databases.fresh(primary_databases.template(_TEMPLATE, _build))
    yield camunda.camunda_settings(found)
    primary_databases.drop(found)


@pytest.fixture
def golden_database(database_from_template: DatabaseFactory) -> CamundaSettings:
    """A copy that the test may change."""
    return camunda.camunda_settings(database_from_template(_TEMPLATE, _build))
