"""Removes orphans, and archives them before. Not here: what an orphan is (``orphans.py``)."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING

import psycopg

from archival_pipeline import errors
from archival_pipeline.catalogue.camunda import BYTES_TABLE
from archival_pipeline.history.cleanup import orphans
from archival_pipeline.history.cleanup.archive import opening
from archival_pipeline.history.cleanup.archive.lane import archive_rows
from archival_pipeline.history.cleanup.archive.removal import Sessions
from archival_pipeline.history.cleanup.database import PATIENT, Engine, hold_alone, open_session
from archival_pipeline.history.cleanup.selecting import Due

if TYPE_CHECKING:
    from collections.abc import Callable

    from archival_pipeline.history.cleanup.archive.opening import Target
    from archival_pipeline.history.cleanup.running import Surroundings
    from archival_pipeline.settings_camunda import CamundaSettings
    from archival_pipeline.settings_cleanup import CleanupSettings


def archive_orphans(
    settings: CamundaSettings, cleanup: CleanupSettings, around: Surroundings, target: Target
) -> Counter[str]:
    """As :func:`archival_pipeline.history.cleanup.orphans.remove_orphans`, but nothing is lost.

    Raises:
        BusyError: a cleanup of ours is at work on the same tables.
        PreflightError: the backup does not fit the engine.
        DatabaseError: PostgreSQL refused a statement; finished chunks stay finished.
    """
    rows: Counter[str] = Counter()
    held = cleanup.holds.instances
    try:
        with ExitStack() as stack:
            session = stack.enter_context(open_session(settings, "orphan removal", autocommit=True, limits=PATIENT))
            backup = stack.enter_context(opening.open_backup(target.backup, "orphan removal"))
            hold_alone(session, settings)
            engine = Engine.probe(settings, session)
            archive = opening.check(engine, session, backup, target)
            at = Sessions(session, backup, archive, Due(engine, engine.wall(around.clock()), cleanup))
            for table in orphans.children(engine):
                _sweep(at, around, rows, table.name, lambda t=table: orphans.lost_ids(session, engine, t, held))  # type: ignore[misc]
            _sweep(at, around, rows, BYTES_TABLE, lambda: orphans.unowned_ids(session, engine, held))
    except psycopg.Error as error:
        raise errors.from_database(error, "archiving orphans") from error
    return rows


def _sweep(
    at: Sessions, around: Surroundings, rows: Counter[str], table: str, next_chunk: Callable[[], list[str]]
) -> None:
    """One table, chunk by chunk, until none is left, the window ends or the rest is refused."""
    while not around.over and (ids := next_chunk()):
        removed = archive_rows(at, {table: ids})
        if not removed.rows.total():
            return
        rows.update(removed.rows)
