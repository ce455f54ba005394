"""A primary in one of the engine's shapes and a backup whose tables are made from it."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from psycopg import sql
from pydantic import SecretStr

from archival_pipeline.catalogue.backup_tables import migrate_backup_tables
from archival_pipeline.catalogue.jbpm import JBPM
from archival_pipeline.database.connections import connect
from archival_pipeline.local import jbpm_schema
from archival_pipeline.local.jbpm_schema import Variant
from archival_pipeline.settings import DatabaseSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg

    from archival_pipeline_tests.conftest import DatabaseFactory

    Session = psycopg.Connection[tuple[Any, ...]]

_role_numbers = itertools.count(1)


@dataclass(frozen=True)
class Pair:
    """Settings of the two databases; sessions on them are the superuser's."""

    primary: DatabaseSettings
    backup: DatabaseSettings

    @contextmanager
    def sessions(self) -> Iterator[tuple[Session, Session]]:
        """A fresh session on each side."""
        with connect(self.primary, purpose="test") as primary, connect(self.backup, purpose="test") as backup:
            yield primary, backup

    def run(self, side: str, *statements: str) -> None:
        """Execute statements on one side and commit."""
        with connect(getattr(self, side), purpose="test") as session:
            for statement in statements:
                session.execute(statement)


def build_engine(variant: Variant) -> Callable[[DatabaseSettings], None]:
    """A builder of an empty engine schema, the optional table included."""

    def build(settings: DatabaseSettings) -> None:
        with connect(settings, purpose="test") as session:
            jbpm_schema.create(session, variant)
            jbpm_schema.create_optional(session)

    return build


@pytest.fixture
def pair_of(database_from_template: DatabaseFactory) -> Callable[[Variant], Pair]:
    """A factory of pairs by shape."""

    def make(variant: Variant) -> Pair:
        primary = database_from_template(f"engine {variant}", build_engine(variant))

        def build_backup(settings: DatabaseSettings) -> None:
            with connect(primary, purpose="test") as origin, connect(settings, purpose="test") as target:
                migrate_backup_tables(origin, target, JBPM)

        return Pair(primary, database_from_template(f"copies {variant}", build_backup, "backup"))

    return make


@pytest.fixture
def pair(pair_of: Callable[[Variant], Pair]) -> Pair:
    """The shape with the most large objects."""
    return pair_of(Variant.STANDARD_OID)


@pytest.fixture
def engine(database_from_template: DatabaseFactory) -> Iterator[Session]:
    """A session on an empty primary of the shape with the most large objects."""
    settings = database_from_template(f"engine {Variant.STANDARD_OID}", build_engine(Variant.STANDARD_OID))
    with connect(settings, purpose="test") as session:
        yield session


@contextmanager
def limited_role(settings: DatabaseSettings, *grants: str) -> Iterator[DatabaseSettings]:
    """A login role of the database's cluster with the given grants; ``{role}`` stands for its name."""
    name = f"limited_{next(_role_numbers)}"
    with connect(settings, purpose="test", autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'limited'").format(sql.Identifier(name)))
        try:
            for grant in grants:
                admin.execute(sql.SQL(grant).format(role=sql.Identifier(name)))
            yield settings.model_copy(update={"username": name, "password": SecretStr("limited")})
        finally:
            admin.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
            admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
