"""Fresh databases on an embedded cluster, and templates that are built once and copied for each test."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from psycopg import sql

from archival_pipeline.database.connections import connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from archival_pipeline.local.postgres import EmbeddedPostgres
    from archival_pipeline.settings import DatabaseSettings

    Builder = Callable[[DatabaseSettings], None]

_LONGEST_NAME = 63


class TestDatabases:
    """Makes and drops the databases of one cluster; lives as long as the pytest session."""

    __test__ = False

    def __init__(self, cluster: EmbeddedPostgres) -> None:
        """Work on one cluster.

        Args:
            cluster: a running one.
        """
        self.cluster = cluster
        self._numbers = itertools.count(1)
        self._templates: dict[str, str] = {}

    def fresh(self, template: str | None = None) -> DatabaseSettings:
        """Create a database with a name of its own: empty, or a copy of a template that ``template`` returned."""
        return self.cluster.create_database(f"test_{next(self._numbers)}", template)

    def template(self, name: str, build: Builder) -> str:
        """Return the database of that name, built on the first call of the session.

        Args:
            name: says what the builder builds; the same name always means the same content.
            build: fills an empty database and closes its sessions.
        """
        if name not in self._templates:
            self._templates[name] = self._build(name, build)
        return self._templates[name]

    def drop(self, settings: DatabaseSettings) -> None:
        """Drop a database; sessions that a test left open are ended."""
        self.cluster.drop_database(settings.database)

    def _build(self, name: str, build: Builder) -> str:
        database = f"template_{next(self._numbers)}_{re.sub('[^a-z0-9_]', '_', name.lower())}"[:_LONGEST_NAME]
        build(self.cluster.create_database(database))
        # A session on a template would make the next copy fail, far from the test that opened it.
        with connect(self.cluster.settings("postgres"), purpose="close a template", autocommit=True) as session:
            session.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(database)))
        return database
