"""What the tests of the cleanup share: a filled database, a run at a fixed moment, and what is left afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from psycopg import sql

from archival_pipeline.catalogue import camunda_facts
from archival_pipeline.database.connections import connect
from archival_pipeline.history.cleanup.running import Outcome, Surroundings, clean
from archival_pipeline.local import camunda_data, camunda_schema
from archival_pipeline.settings_cleanup import CleanupSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from archival_pipeline.local.camunda_data import Level, Scene
    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline.settings_camunda import CamundaSettings

Content = dict[str, dict[str, str]]


class Clock:
    """A clock that stands, or goes on by a step at every look."""

    def __init__(self, moment: datetime, step: timedelta = timedelta()) -> None:
        self.moment = moment
        self._step = step

    def __call__(self) -> datetime:
        now = self.moment
        self.moment += self._step
        return now


def fill(settings: DatabaseSettings, *, prefix: str = "", **given: Any) -> Scene:
    """Make the tables and a history in them."""
    with connect(settings, purpose="test") as session:
        camunda_schema.create(session, prefix)
        return camunda_data.generate(session, prefix=prefix, **given)


def cleanup_settings(**given: Any) -> CleanupSettings:
    """Settings under the engine's names, without a look at the environment."""
    return CleanupSettings.model_validate(given)


def around(scene: Scene, **given: Any) -> Surroundings:
    """The surroundings of a run at the scene's moment, in an engine whose zone is UTC."""
    return Surroundings(clock=given.pop("clock", Clock(scene.now.replace(tzinfo=UTC))), sleep=lambda _: None, **given)


def run(
    settings: CamundaSettings,
    scene: Scene,
    *,
    mode: str = "hierarchical",
    progress: Callable[[Outcome], None] = lambda _: None,
    **given: Any,
) -> Outcome:
    """Clean at the scene's moment."""
    return clean(settings, cleanup_settings(**given), around(scene, progress=progress), mode=mode)


def content(settings: CamundaSettings) -> Content:
    """A fingerprint of every row of every table, by id."""
    found: Content = {}
    with connect(settings, purpose="test", autocommit=True) as session:
        for table, columns in camunda_facts.columns().items():
            key = next((c.name for c in columns if c.primary_key), "id_")
            statement = sql.SQL("SELECT {}::text, md5(t::text) FROM {} AS t").format(
                sql.Identifier(key), sql.Identifier(settings.table(table))
            )
            found[table] = dict(session.execute(statement).fetchall())
    return found


def without(before: Content, due: dict[str, frozenset[str]]) -> Content:
    """What is expected to be left."""
    return {
        table: {key: mark for key, mark in rows.items() if key not in due.get(table, frozenset())}
        for table, rows in before.items()
    }


LEVELS: tuple[Level, ...] = tuple(camunda_data.Level)
