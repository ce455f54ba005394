"""Expired rows that no root instance owns: standalone decisions, batch operations, logs of jobs and operations.

A decision goes with its inputs and outputs, a batch operation with the log of its jobs. Byte arrays go with the rows
that own them. Not here: hierarchies (``removal.py``), and rows that lost their parent (``orphans.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

from archival_pipeline.catalogue.camunda import BYTES_TABLE, REMOVAL, ROOT, ROOTS_TABLE, HistoryTable
from archival_pipeline.history.cleanup.beside import expired_beside
from archival_pipeline.history.cleanup.removal import (
    Keys,
    Removed,
    delete_contents,
    delete_rows,
    of_history,
    run_delete,
)

if TYPE_CHECKING:
    from archival_pipeline.history.cleanup.database import Engine, Session
    from archival_pipeline.history.cleanup.selecting import Due

_DECISIONS = ("act_hi_dec_in", "act_hi_dec_out", "act_hi_decinst")


def remove_rootless(session: Session, due: Due) -> Removed:
    """Remove up to a batch of each kind in one transaction; commits."""
    removed = Removed()
    engine = due.engine
    contents: list[str] = []
    with due.removing() as due, session.transaction():  # noqa: PLR1704 - the same, as of now
        for table in engine.tables:
            if table.name in {BYTES_TABLE, ROOTS_TABLE, *_DECISIONS} or not engine.has(table.name, REMOVAL):
                continue
            count, owned = _expired(session, due, table)
            removed.rows[table.name] += count
            contents += owned
        contents += _decisions(session, due, removed)
        contents += _beside(session, due, removed)
        removed.rows[BYTES_TABLE] += delete_contents(session, engine, roots=[], ids=contents)
        removed.rows[BYTES_TABLE] += _unowned(session, due)
        due.require()
    return removed


def expired_ids(session: Session, due: Due) -> dict[str, list[str]]:
    """Up to a batch of each kind, by table, for whoever removes them in a transaction of its own; takes no lock.

    Of decisions only the decisions themselves, with which their inputs and outputs go.
    """
    found = {
        table.name: _ids(session, due, table)
        for table in due.engine.tables
        if table.name not in {BYTES_TABLE, ROOTS_TABLE, *_DECISIONS[:2]} and due.engine.has(table.name, REMOVAL)
    }
    contents = session.execute(_without_owner(due), (due.now, due.cleanup.batch_size))
    found[BYTES_TABLE] = [row[0] for row in contents]
    for table, ids in expired_beside(session, due).items():
        found[table] = sorted({*found.get(table, ()), *ids})
    return found


def _conditions(engine: Engine, table: HistoryTable) -> list[sql.Composable]:
    parts: list[sql.Composable] = [sql.SQL("r.removal_time_ <= %(now)s")]
    if table.rooted:
        columns = [name for name in (ROOT, table.instance) if name and engine.has(table.name, name)]
        parts += [sql.SQL("r.{} IS NULL").format(sql.Identifier(name)) for name in columns]
    if table.name == "act_hi_batch" and engine.has("act_ru_batch"):
        parts.append(engine.names("NOT EXISTS (SELECT 1 FROM {act_ru_batch} AS b WHERE b.id_ = r.id_)"))
    return parts


def _select(due: Due, table: HistoryTable) -> sql.Composed:
    return sql.SQL("SELECT r.id_ FROM {} AS r WHERE {} LIMIT %(size)s FOR UPDATE SKIP LOCKED").format(
        due.engine.name(table.name), sql.SQL(" AND ").join(_conditions(due.engine, table))
    )


def _ids(session: Session, due: Due, table: HistoryTable) -> list[str]:
    values: dict[str, Any] = {"now": due.now, "size": due.cleanup.batch_size}
    return [row[0] for row in session.execute(_select(due, table), values)]


def _expired(session: Session, due: Due, table: HistoryTable) -> tuple[int, list[str]]:
    return run_delete(session, due.engine, table, sql.SQL("id_ = ANY(%s)"), [_ids(session, due, table)])


def _decisions(session: Session, due: Due, removed: Removed) -> list[str]:
    """Decisions whole: inputs and outputs in the transaction of their decision."""
    engine = due.engine
    tables = {table.name: table for table in engine.tables if table.name in _DECISIONS}
    if len(tables) < len(_DECISIONS):
        return []
    ids = _ids(session, due, tables["act_hi_decinst"])
    return _whole_decisions(session, due, removed, ids) if ids else []


def _whole_decisions(session: Session, due: Due, removed: Removed, ids: list[str]) -> list[str]:
    engine = due.engine
    tables = {table.name: table for table in engine.tables}
    contents: list[str] = []
    for name in _DECISIONS[:2]:
        count, owned = delete_rows(session, engine, tables[name], Keys([], [], ids, []))
        removed.rows[name] += count
        contents += owned
    removed.rows["act_hi_decinst"] += run_delete(
        session, engine, tables["act_hi_decinst"], sql.SQL("id_ = ANY(%s)"), [ids]
    )[0]
    return contents


def _beside(session: Session, due: Due, removed: Removed) -> list[str]:
    """Cases whole, decisions whole, and metrics, where these go by their age."""
    contents: list[str] = []
    tables = {table.name: table for table in due.engine.tables}
    for name, ids in expired_beside(session, due).items():
        if name == _DECISIONS[2]:
            contents += _whole_decisions(session, due, removed, ids)
            continue
        count, owned = run_delete(session, due.engine, tables[name], sql.SQL("id_ = ANY(%s)"), [ids])
        removed.rows[name] += count
        contents += owned
    return contents


def _unowned(session: Session, due: Due) -> int:
    statement = sql.SQL("DELETE FROM {} WHERE id_ IN ({})").format(due.engine.name(BYTES_TABLE), _without_owner(due))
    return session.execute(statement, (due.now, due.cleanup.batch_size)).rowcount


def _without_owner(due: Due) -> sql.Composed:
    """Expired byte arrays without a root; those with an owner that has not expired stay with it."""
    return sql.SQL(
        "SELECT b.id_ FROM {table} AS b WHERE b.removal_time_ <= %s AND b.root_proc_inst_id_ IS NULL"
        " AND {history} AND {unowned} LIMIT %s FOR UPDATE SKIP LOCKED"
    ).format(table=due.engine.name(BYTES_TABLE), history=of_history(due.engine), unowned=unowned(due.engine))


def unowned(engine: Engine) -> sql.Composed:
    """The condition that no row of the history names the byte array ``b``."""
    parts = [
        sql.SQL("NOT EXISTS (SELECT 1 FROM {} AS o WHERE o.{} = b.id_)").format(
            engine.name(table.name), sql.Identifier(table.content)
        )
        for table in engine.tables
        if table.content and engine.has(table.name, table.content)
    ]
    return sql.SQL(" AND ").join(parts)
