"""A Camunda history beside its archive: running both, and counting every row on both sides."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from psycopg import sql

from archival_pipeline.catalogue.camunda import HISTORY_TABLES
from archival_pipeline.catalogue.camunda_archive import archived
from archival_pipeline.database.connections import connect
from archival_pipeline.history.cleanup.archive import ledger, opening, recovery, service
from archival_pipeline.history.cleanup.archive.copying import copy_hierarchies
from archival_pipeline.history.cleanup.archive.opening import Target
from archival_pipeline.history.cleanup.archive.removal import Sessions
from archival_pipeline.history.cleanup.archive.service import Wanted
from archival_pipeline.history.cleanup.database import Engine, open_session
from archival_pipeline.history.cleanup.running import clean
from archival_pipeline.history.cleanup.selecting import Due
from archival_pipeline_tests.support.camunda import camunda_settings
from archival_pipeline_tests.support.camunda_cleanup import Content, around, cleanup_settings, content, fill, without

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline.history.cleanup.archive.restoring import Returned
    from archival_pipeline.history.cleanup.running import Outcome
    from archival_pipeline.local.camunda_data import Scene
    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline.settings_camunda import CamundaSettings

EVERYTHING = Wanted(everything=True)


@dataclass(frozen=True)
class Pair:
    """An engine's database with a history, and a backup that is ready for it."""

    engine: CamundaSettings
    backup: DatabaseSettings
    scene: Scene

    @classmethod
    def make(cls, primary: DatabaseSettings, backup: DatabaseSettings, *, prefix: str = "", **given: Any) -> Pair:
        """Fill the engine and make the backup's tables."""
        scene = fill(primary, prefix=prefix, **given)
        pair = cls(camunda_settings(primary, table_prefix=prefix), backup, scene)
        opening.migrate(pair.engine, backup)
        return pair

    def run(self, run_id: str = "run", **given: Any) -> Outcome:
        """Clean at the scene's moment, and archive."""
        return clean(self.engine, cleanup_settings(**given), around(self.scene), target=Target(self.backup, run_id))

    def restore(self, wanted: Wanted = EVERYTHING, *, dry_run: bool = False, **given: Any) -> Returned:
        """Restore at the scene's moment."""
        return service.restore(
            self.engine,
            cleanup_settings(**given),
            around(self.scene),
            Target(self.backup, "restore"),
            wanted,
            dry_run=dry_run,
        )

    @contextmanager
    def sessions(self) -> Iterator[Sessions]:
        """Both sides at work, as a lane has them."""
        with (
            open_session(self.engine, "test", autocommit=True) as session,
            opening.open_backup(self.backup, "test") as backup,
        ):
            engine = Engine.probe(self.engine, session)
            archive = opening.check(engine, session, backup, Target(self.backup, "begun"))
            yield Sessions(session, backup, archive, Due(engine, self.scene.now, cleanup_settings()))

    def begin(self, *roots: str) -> None:
        """Copy hierarchies and go no further, as a run that dies does."""
        with self.sessions() as at:
            copied, _ = copy_hierarchies(at.engine, at.backup, at.archive, at.due, roots or self.scene.roots)
            assert copied

    def settle(self) -> set[tuple[str, str]]:
        """Ask for the fate of what is open; return where it stands."""
        with self.sessions() as at:
            pages = list(ledger.pages_of_open(at.backup, 100))
            return {unit.stands for page in pages for unit in recovery.settle(at, page)}

    def engine_content(self) -> Content:
        """A fingerprint of every row of the engine, by table and id."""
        return content(self.engine)

    def archive_content(self) -> Content:
        """The same of the archive, under the engine's names."""
        found: Content = {}
        with connect(self.backup, purpose="test", autocommit=True) as session:
            for table in HISTORY_TABLES:
                statement = sql.SQL("SELECT {}::text, md5(t::text) FROM {} AS t").format(
                    sql.Identifier(table.key), sql.Identifier(archived(table.name))
                )
                found[table.name] = dict(session.execute(statement).fetchall())
        return found

    def states(self) -> set[tuple[str, str]]:
        """Operations and states that the ledger has."""
        with connect(self.backup, purpose="test", autocommit=True) as session:
            return set(session.execute("SELECT DISTINCT operation, state FROM cleanup_archive_unit").fetchall())

    def execute_engine(self, statement: str, *values: Any) -> int:
        """Change the engine's rows behind our back."""
        with connect(self.engine, purpose="test") as session:
            return session.execute(statement, values).rowcount

    def execute_backup(self, statement: str, *values: Any) -> int:
        """Change the backup's rows behind our back."""
        with connect(self.backup, purpose="test") as session:
            return session.execute(statement, values).rowcount

    @property
    def due(self) -> dict[str, frozenset[str]]:
        """Ids by table of what a cleanup removes."""
        return self.scene.due

    @property
    def moment(self) -> str:
        """When the scene is looked at."""
        return self.scene.now.replace(tzinfo=UTC).isoformat()


def only(before: Content, due: dict[str, frozenset[str]]) -> Content:
    """What is expected in the archive."""
    names = {table.name for table in HISTORY_TABLES}
    kept = without(before, due)
    return {
        table: {key: mark for key, mark in rows.items() if key not in kept[table]}
        for table, rows in before.items()
        if table in names
    }
