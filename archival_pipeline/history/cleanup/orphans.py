"""Rows that no cleanup finds: children without their parent, byte arrays without an owner, history that never expires.

The first two may be removed; what never expires is only counted, because it needs a time to live and not a broom.
A row whose instance still runs is no orphan, even if the row of the instance is gone: that happens under the strategy
`start`. Not here: missing removal times (``backfill.py``).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from archival_pipeline import errors
from archival_pipeline.catalogue.camunda import BYTES_TABLE, CHILD_TABLES, REMOVAL, ROOT, HistoryTable
from archival_pipeline.history.cleanup.database import Engine, hold_alone, open_session
from archival_pipeline.history.cleanup.removal import delete_contents, of_history, run_delete
from archival_pipeline.history.cleanup.rootless import unowned

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from archival_pipeline.history.cleanup.database import Session
    from archival_pipeline.history.cleanup.running import Surroundings
    from archival_pipeline.settings_camunda import CamundaSettings

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Orphans:
    """What was found.

    Attributes:
        without_parent: rows by table whose instance or decision has no row.
        contents: byte arrays of the history that no row names.
        contents_size: their bytes.
        never_expiring: ended root instances without a removal time, by process definition key.
        never_expiring_rows: rows by table without removal time, root and instance.
    """

    without_parent: dict[str, int]
    contents: int
    contents_size: int
    never_expiring: dict[str, int]
    never_expiring_rows: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Rows that a removal would take."""
        return sum(self.without_parent.values()) + self.contents


def find_orphans(settings: CamundaSettings) -> Orphans:
    """Count orphans and history that never expires; reads only, scans whole tables."""
    try:
        with open_session(settings, "orphan report", autocommit=True) as session:
            session.read_only = True
            return _find(session, Engine.probe(settings, session))
    except psycopg.Error as error:
        raise errors.from_database(error, "looking for orphans") from error


def remove_orphans(settings: CamundaSettings, around: Surroundings, held: Sequence[str] = ()) -> Counter[str]:
    """Remove orphans chunk by chunk, until none is left or the window ends; return rows by table.

    Args:
        settings: the engine's database.
        around: time and the end of the window.
        held: ids of instances on hold.

    Raises:
        BusyError: a cleanup of ours is at work on the same tables.
        DatabaseError: PostgreSQL refused a statement; finished chunks stay finished.
    """
    rows: Counter[str] = Counter()
    try:
        with open_session(settings, "orphan removal", autocommit=True) as session:
            hold_alone(session, settings)
            engine = Engine.probe(settings, session)
            for table in children(engine):
                while not around.over and (count := _remove_some(session, engine, table, rows, held)):
                    rows[table.name] += count
            while not around.over and (count := _remove_contents(session, engine, held)):
                rows[BYTES_TABLE] += count
    except psycopg.Error as error:
        raise errors.from_database(error, "removing orphans") from error
    return rows


def children(engine: Engine) -> list[HistoryTable]:
    """The tables whose rows have a parent to lose."""
    tables = [table for table in CHILD_TABLES if engine.has(table.name, table.instance)]
    return tables + [t for t in engine.tables if t.decision and engine.has("act_hi_decinst")]


def _lost(engine: Engine, table: HistoryTable) -> sql.Composed:
    """The condition that a row ``r`` has lost its parent."""
    if table.decision:
        return sql.SQL("NOT EXISTS (SELECT 1 FROM {} AS d WHERE d.id_ = r.{})").format(
            engine.name("act_hi_decinst"), sql.Identifier(table.decision)
        )
    column = sql.Identifier(table.instance or "")
    return sql.SQL(
        "r.{column} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {parents} AS p WHERE p.id_ = r.{column})"
        " AND NOT EXISTS (SELECT 1 FROM {running} AS e WHERE e.proc_inst_id_ = r.{column})"
    ).format(column=column, parents=engine.name("act_hi_procinst"), running=engine.name("act_ru_execution"))


def _find(session: Session, engine: Engine) -> Orphans:
    lost = {table.name: _count(session, engine, table, _lost(engine, table)) for table in children(engine)}
    statement = sql.SQL("SELECT count(*), coalesce(sum(length(b.bytes_)), 0) FROM {} AS b WHERE {} AND {}").format(
        engine.name(BYTES_TABLE), of_history(engine), unowned(engine)
    )
    contents = session.execute(statement).fetchone() or (0, 0)
    text = (
        "SELECT coalesce(p.proc_def_key_, ''), count(*) FROM {act_hi_procinst} AS p WHERE p.removal_time_ IS NULL"
        " AND p.end_time_ IS NOT NULL AND (p.root_proc_inst_id_ = p.id_ OR p.root_proc_inst_id_ IS NULL)"
        " GROUP BY 1 ORDER BY 1"
    )
    roots: dict[str, int] = dict(session.execute(engine.names(text)).fetchall())
    return Orphans(
        without_parent={table: count for table, count in lost.items() if count},
        contents=int(contents[0]),
        contents_size=int(contents[1]),
        never_expiring=roots,
        never_expiring_rows=_never(session, engine),
    )


def _never(session: Session, engine: Engine) -> dict[str, int]:
    found = {}
    for table in CHILD_TABLES:
        if engine.has(table.name, REMOVAL, table.instance):
            condition = sql.SQL("r.removal_time_ IS NULL AND r.{} IS NULL").format(sql.Identifier(table.instance or ""))
            found[table.name] = _count(session, engine, table, condition)
    return {name: count for name, count in found.items() if count}


def _count(session: Session, engine: Engine, table: HistoryTable, condition: sql.Composable) -> int:
    statement = sql.SQL("SELECT count(*) FROM {} AS r WHERE {}").format(engine.name(table.name), condition)
    row = session.execute(statement).fetchone()
    return int(row[0]) if row else 0


def lost_ids(session: Session, engine: Engine, table: HistoryTable, held: Sequence[str]) -> list[str]:
    """A chunk of rows without parent, locked for as long as the session's transaction lasts."""
    select = sql.SQL("SELECT r.id_ FROM {} AS r WHERE {} AND {} LIMIT %(size)s FOR UPDATE OF r SKIP LOCKED").format(
        engine.name(table.name), _lost(engine, table), _free(engine, "r", table.name, (ROOT, table.instance))
    )
    return [row[0] for row in session.execute(select, {"held": list(held), "size": _CHUNK})]


def _remove_some(session: Session, engine: Engine, table: HistoryTable, rows: Counter[str], held: Sequence[str]) -> int:
    with session.transaction():
        ids = lost_ids(session, engine, table, held)
        count, owned = run_delete(session, engine, table, sql.SQL("id_ = ANY(%s)"), [ids])
        rows[BYTES_TABLE] += delete_contents(session, engine, roots=[], ids=owned) if owned else 0
    return count


def _free(engine: Engine, alias: str, table: str, columns: Iterable[str | None]) -> sql.Composable:
    """The condition that a row belongs to no instance on hold."""
    live = [column for column in columns if column and engine.has(table, column)]
    parts: list[sql.Composable] = [
        sql.SQL("coalesce({} <> ALL(%(held)s), true)").format(sql.Identifier(alias, column)) for column in live
    ]
    return sql.SQL(" AND ").join(parts or [sql.SQL("true")])


def _remove_contents(session: Session, engine: Engine, held: Sequence[str]) -> int:
    with session.transaction():
        return delete_contents(session, engine, roots=[], ids=unowned_ids(session, engine, held))


def unowned_ids(session: Session, engine: Engine, held: Sequence[str]) -> list[str]:
    """A chunk of byte arrays without owner, locked for as long as the session's transaction lasts."""
    select = sql.SQL(
        "SELECT b.id_ FROM {table} AS b WHERE {history} AND {unowned} AND {free} LIMIT %(size)s"
        " FOR UPDATE OF b SKIP LOCKED"
    ).format(
        table=engine.name(BYTES_TABLE),
        history=of_history(engine),
        unowned=unowned(engine),
        free=_free(engine, "b", BYTES_TABLE, (ROOT,)),
    )
    return [row[0] for row in session.execute(select, {"held": list(held), "size": _CHUNK})]
