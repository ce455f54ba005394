"""A primary in one of the engine's shapes and a backup whose tables are made from it.

The databases are shared by all tests of this folder: a test changes them in its two sessions, whose transactions are
rolled back at its end, and so never sees what another one did.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from archival_pipeline.catalogue.backup_tables import migrate_backup_tables
from archival_pipeline.catalogue.jbpm import JBPM
from archival_pipeline.database.connections import connect
from archival_pipeline.local import jbpm_schema
from archival_pipeline.local.jbpm_schema import Variant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg

    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline_tests.support.databases import TestDatabases

    Session = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Pair:
    """Two open sessions, of the superuser unless a test changes that."""

    primary: Session
    backup: Session

    def run(self, side: str, *statements: str) -> None:
        """Execute statements in the transaction of one side."""
        session: Session = getattr(self, side)
        for statement in statements:
            session.execute(statement)


@pytest.fixture(scope="session")
def pair_settings(
    primary_databases: TestDatabases, backup_databases: TestDatabases
) -> Iterator[Callable[[Variant], tuple[DatabaseSettings, DatabaseSettings]]]:
    """A factory of the shared databases by shape."""
    made: dict[Variant, tuple[DatabaseSettings, DatabaseSettings]] = {}

    def make(variant: Variant) -> tuple[DatabaseSettings, DatabaseSettings]:
        if variant not in made:
            made[variant] = primary_databases.fresh(), backup_databases.fresh()
            with (
                connect(made[variant][0], purpose="test") as primary,
                connect(made[variant][1], purpose="test") as backup,
            ):
                jbpm_schema.create(primary, variant)
                jbpm_schema.create_optional(primary)
                migrate_backup_tables(primary, backup, JBPM)
        return made[variant]

    yield make
    for primary, backup in made.values():
        primary_databases.drop(primary)
        backup_databases.drop(backup)


@pytest.fixture
def pair_of(
    pair_settings: Callable[[Variant], tuple[DatabaseSettings, DatabaseSettings]],
) -> Iterator[Callable[[Variant], Pair]]:
    """A factory of pairs by shape; all that happens in their sessions is rolled back."""
    with ExitStack() as stack:

        def make(variant: Variant) -> Pair:
            sessions = [connect(settings, purpose="test") for settings in pair_settings(variant)]
            for session in sessions:
                stack.callback(session.close)  # closing without a commit rolls back
            return Pair(*sessions)

        yield make


@pytest.fixture
def pair(pair_of: Callable[[Variant], Pair]) -> Pair:
    """The shape with the most large objects."""
    return pair_of(Variant.STANDARD_OID)


@pytest.fixture
def engine(pair: Pair) -> Session:
    """A session on an empty primary of that shape."""
    return pair.primary
