"""Tells whether a crash left a pair of databases in a state that was seen before.

What the next run does depends on what both databases hold and on nothing else: the dead process took the rest along.
So the next run, and the long look at what it left, are tried once for each state and not for each of the many points
that leave it. Not here: whether a state is good (``support/oracle.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from archival_pipeline.database.connections import connect

if TYPE_CHECKING:
    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline_tests.faults.stage import Sides

State = tuple[tuple[str, int, str], ...]

# What differs from run to run although nothing else happened: names, times, transaction ids. Ids are given by sequences
# that a rollback does not turn back.
_PASSING = (
    *("audit_id", "batch_id", "id", "primary_transaction", "backup_transaction"),
    *("planned_at", "copied_at", "deleted_at", "recorded_at", "started_at", "ended_at", "created_at", "details"),
)
_OURS = ("archival_operation", "archival_batch", "archival_tree", "process_audit_logs")
_TABLES = (
    "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema() AND tablename <> 'archival_pairing'"
    " ORDER BY tablename"
)
_ONE = "SELECT {name}, count(*), coalesce(sum(hashtextextended({row}, 0)), 0)::text FROM {table} AS t"
_OBJECTS = (
    "SELECT 'large objects', count(*), coalesce(sum(hashtextextended(encode(lo_get(m.oid), 'hex'), 0)), 0)::text"
    " FROM pg_largeobject_metadata AS m"
)


def state(sides: Sides) -> State:
    """A fingerprint of everything in both databases that a later run could see."""
    return _of(sides[0]) + _of(sides[1])


def _of(database: DatabaseSettings) -> State:
    with connect(database, purpose="look") as session:
        tables = [row[0] for row in session.execute(_TABLES)]
        query = sql.SQL(" UNION ALL ").join([*map(_fingerprint, tables), sql.SQL(_OBJECTS)])
        return tuple(session.execute(query).fetchall())


def _fingerprint(table: str) -> sql.Composed:
    row: sql.Composable = sql.SQL("t::text")
    if table in _OURS:
        row = sql.SQL("(to_jsonb(t) - {}::text[])::text").format(list(_PASSING))
    return sql.SQL(_ONE).format(name=table, row=row, table=sql.Identifier(table))
