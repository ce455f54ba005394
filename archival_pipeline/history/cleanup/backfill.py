"""Computes missing removal times, so that history without one expires after all.

For root instances that have ended, have no removal time, and nothing of which runs: base time plus the time to live of
the root's definition goes into every row of the hierarchy that has none, byte arrays included, chunk by chunk. Rows
that have a removal time keep it. Not here: the removal.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from archival_pipeline import errors
from archival_pipeline.catalogue.camunda import BYTES_TABLE, REMOVAL, ROOT, HistoryTable
from archival_pipeline.history.cleanup.database import Engine, hold_alone, open_session
from archival_pipeline.history.cleanup.removal import members_of, of_history
from archival_pipeline.history.cleanup.selecting import DAYS, NOT_RUNNING, ROOT_CONDITION, Due

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from archival_pipeline.history.cleanup.database import Session
    from archival_pipeline.history.cleanup.running import Surroundings
    from archival_pipeline.settings_camunda import CamundaSettings
    from archival_pipeline.settings_cleanup import CleanupSettings


@dataclass(slots=True)
class Backfilled:
    """What was given a removal time."""

    roots: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    stopped: bool = False


def backfill_removal_time(
    settings: CamundaSettings, cleanup: CleanupSettings, around: Surroundings, *, dry_run: bool = False
) -> Backfilled:
    """Give ended hierarchies without a removal time one; safe to stop and to repeat.

    Raises:
        BusyError: a cleanup of ours is at work on the same tables.
        DatabaseError: PostgreSQL refused a statement; finished chunks stay finished.
    """
    done = Backfilled()
    try:
        with open_session(settings, "backfill of removal times", autocommit=True) as session:
            hold_alone(session, settings)
            engine = Engine.probe(settings, session)
            due = Due(engine, engine.wall(around.clock()), cleanup)
            for chunk in _chunks(session, due):
                if around.over:
                    done.stopped = True
                    break
                done.roots += len(chunk)
                if not dry_run:
                    with session.transaction():
                        done.rows.update(_fill(session, due, chunk))
    except psycopg.Error as error:
        raise errors.from_database(error, "computing removal times") from error
    return done


def _chunks(session: Session, due: Due) -> Iterator[dict[str, datetime]]:
    """Removal times by root, in pages along the primary key."""
    base = "start_time_" if due.cleanup.removal_time_strategy == "start" else "end_time_"
    text = (
        f"SELECT p.id_, p.{base} + make_interval(days => {DAYS})"  # noqa: S608 - made of this package's own texts
        " FROM {act_hi_procinst} AS p"
        f" WHERE {ROOT_CONDITION} AND p.removal_time_ IS NULL AND p.end_time_ IS NOT NULL AND {NOT_RUNNING}"
        " AND p.id_ > %(after)s ORDER BY p.id_ LIMIT %(size)s"
    )
    after = ""
    while True:
        values = due.values | {"after": after, "size": due.cleanup.batch_size}
        chunk: dict[str, datetime] = dict(session.execute(due.engine.names(text), values).fetchall())
        if not chunk:
            return
        after = max(chunk)
        yield chunk


def _fill(session: Session, due: Due, chunk: dict[str, datetime]) -> Counter[str]:
    rows: Counter[str] = Counter()
    members, _ = members_of(session, due, list(chunk))
    pairs = [(member, chunk[root]) for root, found in members.items() for member in found]
    values: dict[str, Any] = {
        "roots": list(chunk),
        "root_times": list(chunk.values()),
        "members": [member for member, _ in pairs],
        "member_times": [moment for _, moment in pairs],
    }
    for table in due.engine.tables:
        if due.engine.has(table.name, REMOVAL) and table.rooted and table.name != BYTES_TABLE:
            rows[table.name] += _table(session, due.engine, table, values)
    rows[BYTES_TABLE] += _contents(session, due.engine, values)
    return rows


def _table(session: Session, engine: Engine, table: HistoryTable, values: dict[str, Any]) -> int:
    count = 0
    for column, keys, times in ((ROOT, "roots", "root_times"), (table.instance, "members", "member_times")):
        if column is None or not engine.has(table.name, column):
            continue
        statement = sql.SQL(
            "UPDATE {table} AS t SET removal_time_ = g.moment"
            " FROM unnest(%({keys})s::text[], %({times})s::timestamp[]) AS g (id_, moment)"
            " WHERE t.{column} = g.id_ AND t.removal_time_ IS NULL"
        ).format(table=engine.name(table.name), column=sql.Identifier(column), keys=sql.SQL(keys), times=sql.SQL(times))
        count += session.execute(statement, values).rowcount
    return count


def _contents(session: Session, engine: Engine, values: dict[str, Any]) -> int:
    """Byte arrays by root; those of rows of before 7.10, which name none, follow the row that owns them."""
    statement = sql.SQL(
        "UPDATE {} AS b SET removal_time_ = g.moment"
        " FROM unnest(%(roots)s::text[], %(root_times)s::timestamp[]) AS g (id_, moment)"
        " WHERE b.root_proc_inst_id_ = g.id_ AND b.removal_time_ IS NULL AND {}"
    ).format(engine.name(BYTES_TABLE), of_history(engine))
    count = session.execute(statement, values).rowcount
    for table in engine.tables:
        if table.content is None or table.instance is None or not engine.has(table.name, table.content, table.instance):
            continue
        owned = sql.SQL(
            "UPDATE {} AS b SET removal_time_ = g.moment FROM {} AS o"
            " INNER JOIN unnest(%(members)s::text[], %(member_times)s::timestamp[]) AS g (id_, moment) ON o.{} = g.id_"
            " WHERE b.id_ = o.{} AND b.removal_time_ IS NULL AND {}"
        ).format(
            engine.name(BYTES_TABLE),
            engine.name(table.name),
            sql.Identifier(table.instance),
            sql.Identifier(table.content),
            of_history(engine),
        )
        count += session.execute(owned, values).rowcount
    return count
