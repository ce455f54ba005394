"""Fixtures of moves: pairs of databases that are copied from templates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archival_pipeline_tests.support.moves import Pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from archival_pipeline_tests.support.databases import TestDatabases
    from archival_pipeline_tests.support.moves import Engine, Pair


@pytest.fixture(scope="session")
def pairs(primary_databases: TestDatabases, backup_databases: TestDatabases) -> Pairs:
    """Maker of pairs, for fixtures of wider scope than one test."""
    return Pairs(primary_databases, backup_databases)


@pytest.fixture
def pair_of(pairs: Pairs) -> Iterator[Callable[[Engine], Pair]]:
    """A factory of pairs that are dropped after the test."""
    made: list[Pair] = []

    def make(engine: Engine) -> Pair:
        pair = pairs.make(engine)
        made.append(pair)
        return pair

    yield make
    for pair in made:
        pairs.drop(pair)
