"""The engine's own row rule: in one transaction, up to a batch of expired rows of each table.

Kept exactly, so that it can stand in for the engine's cleanup where somebody relies on its effects: no order, no look
at other tables, running instances not spared. Children without a parent between two transactions are normal here.
Not here: the hierarchical way, which is the default (``removal.py``).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from psycopg import sql

from archival_pipeline.catalogue.camunda import REMOVAL

if TYPE_CHECKING:
    from archival_pipeline.history.cleanup.database import Session
    from archival_pipeline.history.cleanup.selecting import Due


def remove_rows(session: Session, due: Due) -> Counter[str]:
    """One transaction of the rule; commits.

    Returns:
        Rows by table; the engine goes on at once if one of them is a full batch.
    """
    rows: Counter[str] = Counter()
    with session.transaction():
        for table in due.engine.tables:
            if due.engine.has(table.name, REMOVAL):
                statement = sql.SQL(
                    "DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE removal_time_ <= %s LIMIT %s)"
                ).format(table=due.engine.name(table.name), key=sql.Identifier(table.key))
                rows[table.name] = session.execute(statement, (due.now, due.cleanup.batch_size)).rowcount
    return rows
