"""A migrated history database, and each transport in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archival_pipeline_tests.support.history import Wires, migrate, mock_brokers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline_tests.conftest import DatabaseFactory


@pytest.fixture
def history_database(database_from_template: DatabaseFactory) -> DatabaseSettings:
    """An empty history."""
    return database_from_template("execution history", migrate, "backup")


# A group of Kafka takes seconds to sort itself: these tests run over it with the slow ones.
@pytest.fixture(params=["table", pytest.param("kafka", marks=pytest.mark.slow)])
def wires(request: pytest.FixtureRequest, history_database: DatabaseSettings) -> Iterator[Wires]:
    """The same test over both transports."""
    if request.param == "table":
        yield Wires("table", history_database, None)
        return
    with mock_brokers() as servers:
        yield Wires("kafka", history_database, servers)
