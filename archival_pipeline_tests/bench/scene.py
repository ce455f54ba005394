"""The scene of the benchmark: two durable servers, templates of the data, a fresh pair of databases for each line.

Every line starts from a copy of the same templates: analysed, vacuumed, all of it on disk. Not here: what a line does.
"""

from __future__ import annotations

import itertools
import os
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import psutil
from psycopg import sql

from archival_pipeline.archival import service
from archival_pipeline.catalogue import lob_modes
from archival_pipeline.catalogue.binding import bind
from archival_pipeline.catalogue.jbpm import JBPM
from archival_pipeline.database import introspection
from archival_pipeline.database.connections import connect
from archival_pipeline.local import jbpm_schema
from archival_pipeline.local.postgres import EmbeddedPostgres
from archival_pipeline.local.sample_data import Profile, generate
from archival_pipeline_tests.bench.results import Cost
from archival_pipeline_tests.support.archive import dagster_url, environment_of, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from archival_pipeline.catalogue.binding import BoundCatalogue
    from archival_pipeline.local.jbpm_schema import Variant
    from archival_pipeline.local.sample_data import Flavour, Summary
    from archival_pipeline.settings import DatabaseSettings

    PrepareStorage = Callable[[dict[str, str]], None]

SEED = 20_260
NOW = datetime(2026, 11, 1, tzinfo=UTC)

# What a server that somebody depends on is set to. Everything that keeps a committed row is on.
SERVER_OPTIONS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "autovacuum": "on",
    "shared_buffers": "512MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    "wal_compression": "off",
}
_STORAGE = "dagster_storage"


@dataclass(frozen=True, slots=True)
class Forest:
    """One amount of data, as two template databases.

    Attributes:
        size: ordinary trees that were asked for.
        movable: members of each tree that may be archived, the root first.
        rows: rows of each owned table that has any.
        facts: for the report.
    """

    size: int
    movable: tuple[tuple[int, ...], ...]
    rows: Mapping[str, int]
    facts: dict[str, Any]

    @property
    def instances(self) -> int:
        """Process instances of the trees that may be archived."""
        return sum(map(len, self.movable))


class Scene:
    """Two embedded servers and the templates on them."""

    def __init__(self, folder: Path, variant: Variant, flavour: Flavour, prepare_storage: PrepareStorage) -> None:
        """Describe the scene; nothing is started yet.

        Args:
            folder: home of both clusters.
            variant: shape of the engine's schema.
            flavour: which kind of engine wrote the data.
            prepare_storage: makes the tables of Dagster's storage in the database that the environment names.
        """
        self.folder = folder
        self.variant = variant
        self.flavour = flavour
        self.primary = EmbeddedPostgres(folder / "primary", options=SERVER_OPTIONS)
        self.backup = EmbeddedPostgres(folder / "backup", options=SERVER_OPTIONS)
        self._prepare_storage = prepare_storage
        self._numbers = itertools.count(1)
        self._running = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            starting.enter_context(self.primary)
            starting.enter_context(self.backup)
            self._prepare_storage({"DAGSTER_PG_URL": dagster_url(self.backup.create_database(_STORAGE))})
            self._running = starting.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._running.close()

    def grow(self, size: int) -> Forest:
        """Build the templates of one size."""
        primary = self.primary.create_database(f"primary_{size}")
        backup = self.backup.create_database(f"backup_{size}")
        profile = Profile.lean(seed=SEED, trees=size, now=NOW, flavour=self.flavour)
        with connect(primary, purpose="sample data") as session:
            jbpm_schema.create(session, self.variant)
            summary = generate(session, profile, self.variant)
        service.migrate(settings_of(primary, backup))
        settle(primary, backup)
        with connect(primary, purpose="look at the data", autocommit=True) as session:
            rows = {name: number for name, number in count_rows(session, _owned(session)).items() if number}
            facts = _facts(session, summary, rows)
        movable = tuple(tree.members for tree in summary.trees if tree.obstacle is None)
        facts |= {"movable_trees": len(movable), "movable_instances": sum(map(len, movable))}
        return Forest(size, movable, rows, facts)

    @contextmanager
    def pair(self, forest: Forest) -> Iterator[Pair]:
        """A fresh copy of the templates, dropped afterwards."""
        number = next(self._numbers)
        primary, backup, storage = (f"{name}_of_line_{number}" for name in ("primary", "backup", "dagster"))
        try:
            pair = Pair(
                self,
                forest,
                self.primary.create_database(primary, f"primary_{forest.size}"),
                self.backup.create_database(backup, f"backup_{forest.size}"),
                self.backup.create_database(storage, _STORAGE),
            )
            pair.checkpoint()
            yield pair
        finally:
            self.primary.drop_database(primary)
            self.backup.drop_database(backup)
            self.backup.drop_database(storage)

    def facts(self) -> dict[str, Any]:
        """Version and settings of the servers, as they say themselves."""
        with connect(self.primary.settings("postgres"), purpose="look at the server", autocommit=True) as session:
            version = session.execute("SHOW server_version").fetchone()
            shown = session.execute(
                "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY(%s)", [list(SERVER_OPTIONS)]
            ).fetchall()
        return {"postgresql": version[0] if version else None, "settings": dict(shown)}


@dataclass(frozen=True)
class Pair:
    """A primary and a backup for one line, and a storage of Dagster for it.

    Attributes:
        scene: where they are.
        forest: what is in the primary at the start.
        primary: the engine's side.
        backup: the archive's side.
        storage: Dagster's.
    """

    scene: Scene
    forest: Forest
    primary: DatabaseSettings
    backup: DatabaseSettings
    storage: DatabaseSettings

    @cached_property
    def catalogue(self) -> BoundCatalogue:
        """What belongs to an instance, as this primary has it."""
        with connect(self.primary, purpose="read the catalogue", autocommit=True) as session:
            schema = introspection.read_schema(session)
            return bind(JBPM, schema, lob_modes.detect_clob_mode(session, JBPM, schema, "auto"))

    @property
    def tables(self) -> list[str]:
        """Owned tables that have rows, parents first."""
        return [table.name for table in self.catalogue.tables if table.name in self.forest.rows]

    def environment(self) -> dict[str, str]:
        """The variables under which a process finds this pair."""
        return environment_of(self.primary, self.backup) | {"DAGSTER_PG_URL": dagster_url(self.storage)}

    def checkpoint(self) -> None:
        """Bring everything to disk on both servers."""
        for settings in (self.primary, self.backup):
            with connect(settings, purpose="checkpoint", autocommit=True) as session:
                session.execute("CHECKPOINT")

    def cost(self) -> Cost:
        """What has been used up so far; the difference of two readings is what a line has used up."""
        servers = _processor_seconds(self.scene.primary) + _processor_seconds(self.scene.backup)
        # This process and the processes it has waited for.
        client = sum(os.times()[:4])
        return Cost(_wal_position(self.primary), _wal_position(self.backup), servers, client)

    def rows(self) -> tuple[dict[str, int], dict[str, int]]:
        """Rows by table in the primary and in the backup."""
        counted = []
        for settings in (self.primary, self.backup):
            with connect(settings, purpose="count", autocommit=True) as session:
                counted.append(count_rows(session, [table.name for table in self.catalogue.tables]))
        return counted[0], counted[1]

    def problems(self) -> tuple[str, ...]:
        """Tables whose rows are not, all of them, in one of the two databases."""
        primary, backup = self.rows()
        return tuple(
            f"{name}: {primary[name]} rows in the primary and {backup[name]} in the backup, "
            f"{self.forest.rows.get(name, 0)} before"
            for name in primary
            if primary[name] + backup[name] != self.forest.rows.get(name, 0)
        )


def settle(*databases: DatabaseSettings) -> None:
    """Vacuum and analyse, so that no line pays for what another one, or the generator, has left."""
    for settings in databases:
        with connect(settings, purpose="vacuum", autocommit=True) as session:
            session.execute("SET statement_timeout = 0")
            session.execute("VACUUM (ANALYZE)")
            session.execute("CHECKPOINT")


def count_rows(session: Any, tables: list[str]) -> dict[str, int]:
    """Count the rows of each table."""
    counts = (sql.SQL("(SELECT count(*) FROM {})").format(sql.Identifier(name)) for name in tables)
    row = session.execute(sql.SQL("SELECT {}").format(sql.SQL(", ").join(counts))).fetchone()
    return dict(zip(tables, row, strict=True))


def _owned(session: Any) -> list[str]:
    schema = introspection.read_schema(session)
    return [table.name for table in JBPM.owned if table.name in schema.tables]


def _facts(session: Any, summary: Summary, rows: Mapping[str, int]) -> dict[str, Any]:
    heap, total = session.execute(
        "SELECT sum(pg_table_size(t::regclass)), sum(pg_total_relation_size(t::regclass)) FROM unnest(%s::text[]) AS t",
        [list(rows)],
    ).fetchone()
    objects = session.execute("SELECT pg_total_relation_size('pg_largeobject')").fetchone()[0]
    return {
        "trees": len(summary.trees),
        "instances": summary.instances,
        "rows": sum(rows.values()),
        "rows_by_table": dict(rows),
        "tables_with_rows": len(rows),
        "large_objects": summary.large_objects,
        "table_bytes": int(heap),
        "table_and_index_bytes": int(total),
        "large_object_bytes": int(objects),
        "seed": SEED,
    }


def _wal_position(settings: DatabaseSettings) -> int:
    with connect(settings, purpose="measure", autocommit=True) as session:
        row = session.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint").fetchone()
        assert row is not None
        return int(row[0])


def _processor_seconds(cluster: EmbeddedPostgres) -> float:
    """Processor time of a server: of its living processes, and of those that have ended."""
    server = psutil.Process(cluster.pid)
    own = server.cpu_times()
    seconds = own.user + own.system + own.children_user + own.children_system
    for child in server.children():
        with suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            seconds += times.user + times.system
    return float(seconds)
