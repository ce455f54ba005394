"""Fixtures of the fault tests: one mover and the start states, built once a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archival_pipeline_tests.faults.harness import Mover
from archival_pipeline_tests.faults.stage import Stages
from archival_pipeline_tests.support.moves import Pairs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from archival_pipeline_tests.support.databases import TestDatabases


@pytest.fixture(scope="session")
def mover(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mover]:
    """Starts moves in processes of their own."""
    with Mover(tmp_path_factory.mktemp("movers")) as started:
        yield started


@pytest.fixture(scope="session")
def stages(primary_databases: TestDatabases, backup_databases: TestDatabases, mover: Mover) -> Stages:
    """The start states of all jobs."""
    return Stages(Pairs(primary_databases, backup_databases), primary_databases, backup_databases, mover)


@pytest.fixture
def other_mover(tmp_path: Path) -> Iterator[Mover]:
    """A second mover, for what happens when two are at work."""
    with Mover(tmp_path) as started:
        yield started
