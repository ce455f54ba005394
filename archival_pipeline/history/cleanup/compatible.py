"""The engine's own row rule: in one transaction, up to a batch of expired rows of each table.

Kept exactly, so that it can stand in for the engine's cleanup where somebody relies on its effects: no order, no look
at other tables, running instances not spared. Children without a parent between two transactions are normal here. The
one difference: byte arrays of deployments and of the runtime are never looked at, so that none of them, given a
removal time by mistake, can go or stop the rest by its foreign key.
Not here: the hierarchical way, which is the default (``removal.py``).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from psycopg import sql

from archival_pipeline.catalogue.camunda import BYTES_TABLE, METRICS_TABLE, REMOVAL
from archival_pipeline.history.cleanup.beside import expired_metrics
from archival_pipeline.history.cleanup.removal import of_history

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
                    "DELETE FROM {table} WHERE {key} IN"
                    " (SELECT b.{key} FROM {table} AS b WHERE b.removal_time_ <= %s AND {spared} LIMIT %s)"
                ).format(
                    table=due.engine.name(table.name),
                    key=sql.Identifier(table.key),
                    spared=of_history(due.engine) if table.name == BYTES_TABLE else sql.SQL("true"),
                )
                rows[table.name] = session.execute(statement, (due.now, due.cleanup.batch_size)).rowcount
        if metrics := expired_metrics(session, due):
            statement = sql.SQL("DELETE FROM {} WHERE id_ = ANY(%s)").format(due.engine.name(METRICS_TABLE))
            rows[METRICS_TABLE] = session.execute(statement, (metrics,)).rowcount
        due.require()
    return rows
