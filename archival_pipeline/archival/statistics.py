"""Keeps the planner's statistics of the destination true while its tables grow.

A destination that starts empty gets plans for an empty table, and reading back is several times slower with them. Not
here: the origin, whose statistics are the engine's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

# Analyse again when a table has grown to this many times what was analysed last.
_GROWTH = 8


class Analyzer:
    """Counts rows as they arrive and analyses tables that outgrew their statistics.

    Args:
        connection: a session of the destination that is in no transaction.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        with connection.transaction():
            rows = connection.execute(load_sql("common/analyzed_rows")).fetchall()
        self._analyzed: dict[str, float] = dict(rows)
        self._present = dict(self._analyzed)

    def grew(self, rows: Mapping[str, int]) -> None:
        """Account for rows that were committed, and analyse where it is due."""
        due = []
        for table, number in rows.items():
            self._present[table] = self._present.get(table, 0) + number
            if self._present[table] > _GROWTH * max(self._analyzed.get(table, 0), 1):
                due.append(table)
                self._analyzed[table] = self._present[table]
        if due:
            names = sql.SQL(", ").join(map(sql.Identifier, sorted(due)))
            with self._connection.transaction():
                # A coarse picture is enough for look-ups by key, and costs a sixth of the usual one.
                self._connection.execute("SET LOCAL default_statistics_target = 10")
                self._connection.execute(sql.SQL("ANALYZE {}").format(names))
