"""Fixtures of the Imixs backup."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archival_pipeline_tests.support.imixs.instance import Instance, running_instance
from archival_pipeline_tests.support.imixs.scene import Scene, folder_space, migrated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from archival_pipeline_tests.conftest import DatabaseFactory


@pytest.fixture(autouse=True)
def _own_settings(clean_environment: pytest.MonkeyPatch) -> None:
    """What a test does not set is not set."""
    del clean_environment


@pytest.fixture(scope="session")
def one_instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """A process that serves the whole session."""
    with running_instance(tmp_path_factory.mktemp("imixs")) as found:
        yield found


@pytest.fixture
def instance(one_instance: Instance) -> Instance:
    """An instance without documents, entries or faults."""
    one_instance.calm()
    one_instance.empty()
    one_instance.configure(history=1, archive=False, method="BASIC")
    return one_instance


@pytest.fixture
def scene(instance: Instance, database_from_template: DatabaseFactory, tmp_path: Path) -> Scene:
    """An instance with a space in a folder."""
    database = database_from_template("imixs", migrated, "backup")
    return Scene(instance, database, folder_space(tmp_path / "space"))
