"""Statements of ``sql/`` on the tables of a Camunda engine, and on our own beside them, with their names put in.

In the files tables go by the names that they have without prefix and schema. Not here: what the tables mean
(``camunda.py``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from psycopg import sql

from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    import psycopg

    from archival_pipeline.settings_camunda import CamundaSettings

    Session = psycopg.Connection[tuple[Any, ...]]

_TABLE = re.compile(r"(?<=FROM |JOIN |INTO )(act_[a-z_]+|stored_[a-z]+)|(?<=UPDATE )(stored_[a-z]+)")
_THERE = (
    "SELECT EXISTS (SELECT 1 FROM pg_class AS c INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE n.nspname = %s AND c.relname = 'stored_snapshot')"
)
_KEY = "hashtext('archival-pipeline: stored snapshots'), hashtext(%s)"


def statement(settings: CamundaSettings, name: str) -> sql.Composed:
    """The statement ``sql/<name>.sql``; the session's search path leads to the engine's schema."""
    text = load_sql(name)
    parts: list[sql.Composable] = []
    end = 0
    for found in _TABLE.finditer(text):
        parts += [sql.SQL(text[end : found.start()]), _identifier(settings, found[0])]
        end = found.end()
    return sql.Composed([*parts, sql.SQL(text[end:])])


def _identifier(settings: CamundaSettings, table: str) -> sql.Identifier:
    if table.startswith("stored_"):
        return sql.Identifier(settings.snapshots_schema, table)
    return sql.Identifier(settings.table(table))


def stores_snapshots(session: Session, settings: CamundaSettings) -> bool:
    """Whether the tables of stored snapshots are there, even where nothing is stored any more."""
    row = session.execute(_THERE, (settings.snapshots_schema,)).fetchone()
    return row is not None and bool(row[0])


def share_snapshots(session: Session, settings: CamundaSettings, *, whole_session: bool = False) -> None:
    """None is stored until this transaction ends: who removes history takes this before he looks for rows.

    Several may hold it; nobody stores while one of them does. So no snapshot ever refers to rows that a removal in
    progress is about to take away. With ``whole_session`` it lasts until :func:`release_snapshots`.
    """
    function = "pg_advisory_lock_shared" if whole_session else "pg_advisory_xact_lock_shared"
    session.execute(f"SELECT {function}({_KEY})", (settings.snapshots_schema,))


def release_snapshots(session: Session, settings: CamundaSettings) -> None:
    """Let others store again."""
    session.execute(f"SELECT pg_advisory_unlock_shared({_KEY})", (settings.snapshots_schema,))


def own_snapshots(session: Session, settings: CamundaSettings) -> bool:
    """Nothing of the history is removed by us until this transaction ends; False if it is being removed now.

    Does not queue: a queue would stop every removal that comes after it.
    """
    row = session.execute(f"SELECT pg_try_advisory_xact_lock({_KEY})", (settings.snapshots_schema,)).fetchone()
    return row is not None and bool(row[0])
