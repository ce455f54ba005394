"""The servers of a laptop: what ``make demo`` and ``make dev`` start, under the names that production uses.

The product code reads the environment and does not know that these servers are embedded. Whoever sets the variables
of a side uses their own server: then that side is not started. Not here: how one cluster runs (``postgres.py``) and
what is filled into it (the demo).
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

import click
from psycopg import sql

from archival_pipeline.database.connections import connect
from archival_pipeline.local.postgres import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from archival_pipeline.settings import DatabaseSettings

DEFAULT_FOLDER = Path(".local")
DAGSTER_URL = "DAGSTER_PG_URL"
DAGSTER_DATABASE = "dagster"


@dataclass(frozen=True, slots=True)
class Side:
    """How the environment names one side of the move.

    Attributes:
        folder: of its embedded cluster.
        prefix: of the variables that say where the server is.
        name: variable of the database name.
        schema: variable of the schema name.
        database: name of the database when the variable is not set.
    """

    folder: str
    prefix: str
    name: str
    schema: str
    database: str

    def connection_variables(self) -> tuple[str, ...]:
        """The variables whose presence means «my own server»; database and schema names fit an embedded one too."""
        endings = ("HOST", "PORT", "USERNAME", "PASSWORD", "SSL", "CA_CERT_PATH", "CA_CERT")
        return tuple(f"{self.prefix}{ending}" for ending in endings)


PRIMARY = Side("primary", "DB_", "BPM_DB_NAME", "BPM_DB_SCHEMA_NAME", "bpm")
BACKUP = Side("backup", "BPM_BACKUP_DB_", "BPM_BACKUP_DB_NAME", "BPM_BACKUP_DB_SCHEMA_NAME", "bpm_backup")


class LocalStack:
    """A primary and a backup cluster, the latter with the storage of Dagster; started only where nothing is set."""

    def __init__(self, folder: Path = DEFAULT_FOLDER, *, environ: Mapping[str, str] | None = None) -> None:
        """Decide what has to be embedded; nothing is started yet.

        Args:
            folder: home of the clusters; git ignores the default one.
            environ: the variables that are already set; those of this process by default.
        """
        given = os.environ if environ is None else environ
        # An empty variable is an unset one: compose files and charts write NAME= for «none».
        self._given = {name: value for name, value in given.items() if value != ""}
        self.clusters = {side: EmbeddedPostgres(folder / side.folder) for side in (PRIMARY, BACKUP)}
        self._running = ExitStack()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def is_embedded(self, side: Side) -> bool:
        """Whether the database of that side is ours: none of its connection variables is set."""
        return not any(name in self._given for name in side.connection_variables())

    def start(self) -> None:
        """Start the clusters that are needed and create their databases and schemas where missing."""
        with ExitStack() as starting:
            for side, cluster in self.clusters.items():
                if self.is_embedded(side) or (side is BACKUP and DAGSTER_URL not in self._given):
                    starting.enter_context(cluster)
                if self.is_embedded(side):
                    self._prepare(side, cluster)
            if DAGSTER_URL not in self._given:
                self.clusters[BACKUP].create_database(DAGSTER_DATABASE, exist_ok=True)
            self._running = starting.pop_all()

    def stop(self) -> None:
        """Stop what ``start`` started; a cluster that ran before is left running."""
        self._running.close()

    def environment(self) -> dict[str, str]:
        """The variables of production: those already set as they are, the others of the embedded servers."""
        values: dict[str, str] = {}
        for side, cluster in self.clusters.items():
            if self.is_embedded(side):
                values |= _variables(side, self._settings(side, cluster))
            else:
                names = (*side.connection_variables(), side.name, side.schema)
                values |= {name: self._given[name] for name in names if name in self._given}
        values[DAGSTER_URL] = self._given.get(DAGSTER_URL) or _url(self.clusters[BACKUP].settings(DAGSTER_DATABASE))
        return values

    def _settings(self, side: Side, cluster: EmbeddedPostgres) -> DatabaseSettings:
        name = self._given.get(side.name, side.database)
        return cluster.settings(name, schema_name=self._given.get(side.schema, "public"))

    def _prepare(self, side: Side, cluster: EmbeddedPostgres) -> None:
        settings = self._settings(side, cluster)
        cluster.create_database(settings.database, exist_ok=True)
        with connect(settings, purpose="create a local schema", autocommit=True) as session:
            session.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(settings.schema_name)))


def _variables(side: Side, settings: DatabaseSettings) -> dict[str, str]:
    return {
        f"{side.prefix}HOST": settings.host,
        f"{side.prefix}PORT": str(settings.port),
        f"{side.prefix}USERNAME": settings.username,
        f"{side.prefix}PASSWORD": settings.password.get_secret_value(),
        side.name: settings.database,
        side.schema: settings.schema_name,
    }


def _url(settings: DatabaseSettings) -> str:
    password = quote(settings.password.get_secret_value(), safe="")
    # The driver is said: plain postgresql:// selects another one, depending on the SQLAlchemy release.
    address = f"{settings.host}:{settings.port}/{settings.database}"
    return f"postgresql+psycopg2://{settings.username}:{password}@{address}"


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=DEFAULT_FOLDER)
def stop_all(folder: Path) -> None:
    """Stop the embedded servers of FOLDER, also those that a killed process left running."""
    for side in (PRIMARY, BACKUP):
        EmbeddedPostgres(folder / side.folder).stop(adopted=True)


if __name__ == "__main__":
    stop_all()
