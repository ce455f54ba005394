"""One transaction: whole hierarchies out of every table, or nothing.

Roots that somebody has locked are left for later. The rest is judged again under the lock, its members are gathered,
and the rows go in the engine's own order, byte arrays with the rows that own them. Another transaction never sees a
row of a hierarchy without its root. Not here: retries (``running.py``).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from psycopg import sql

from archival_pipeline.catalogue.camunda import BYTES_TABLE, ROOT, ROOTS_TABLE, RUNTIME_OWNERS
from archival_pipeline.database.sqlfiles import load_sql
from archival_pipeline.history.cleanup.selecting import NOT_RUNNING
from archival_pipeline.history.cleanup.snapshots import INSTANCES, forget, hold_still

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from archival_pipeline.catalogue.camunda import HistoryTable
    from archival_pipeline.history.cleanup.database import Engine, Session
    from archival_pipeline.history.cleanup.selecting import Due


@dataclass(slots=True)
class Removed:
    """What one or more transactions removed.

    Attributes:
        roots: hierarchies.
        rows: rows by table, without prefix.
        locked: roots that somebody else had locked.
        running: roots with a member that runs after all, or is on hold.
        refused: roots that cannot be archived, with the reason; they stay in the engine.
        snapshots: stored variable snapshots.
    """

    roots: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    locked: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    snapshots: int = 0

    def add(self, other: Removed) -> None:
        """Take another transaction's part in."""
        self.roots += other.roots
        self.rows.update(other.rows)
        self.locked += other.locked
        self.running += other.running
        self.refused |= other.refused
        self.snapshots += other.snapshots


def remove_hierarchies(session: Session, due: Due, wanted: Sequence[str]) -> Removed:
    """Remove these roots with everything that belongs to them, as far as they are still due; commits.

    Args:
        session: not in a transaction.
        due: when a root's time has come.
        wanted: ids of root instances.
    """
    removed = Removed()
    with due.removing() as due, session.transaction():  # noqa: PLR1704 - the same, as of now
        hold_still(session, due.engine)
        roots, removed.locked = lock_due(session, due, wanted)
        if roots:
            members, removed.running = members_of(session, due, roots)
            free = [root for root in roots if root not in set(removed.running)]
            keys = Keys.of(session, due.engine, free, [member for root in free for member in members[root]])
            removed.snapshots = forget(session, due.engine, INSTANCES, keys.members)
            removed.rows = _delete(session, due.engine, keys)
            removed.roots = len(free)
            due.require()
    return removed


def lock_due(session: Session, due: Due, wanted: Sequence[str]) -> tuple[list[str], list[str]]:
    """Lock the roots that are still due; the second list is there, but locked by others."""
    locked = sql.SQL("{} ORDER BY p.id_ FOR UPDATE OF p SKIP LOCKED").format(_still_due(due))
    taken = [row[0] for row in session.execute(locked, due.values | {"roots": list(wanted)})]
    if len(taken) == len(wanted):
        return taken, []
    return taken, sorted(set(due_among(session, due, wanted)) - set(taken))


def due_among(session: Session, due: Due, wanted: Sequence[str]) -> list[str]:
    """Those of the roots that are still due; reads only."""
    return [row[0] for row in session.execute(_still_due(due), due.values | {"roots": list(wanted)})]


def _still_due(due: Due) -> sql.Composed:
    return sql.SQL("SELECT p.id_ FROM {} AS p WHERE p.id_ = ANY(%(roots)s) AND {} AND {}").format(
        due.engine.name(ROOTS_TABLE), due.condition(), due.engine.names(NOT_RUNNING)
    )


def members_of(session: Session, due: Due, roots: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    """The instances of each hierarchy, and the roots of those that must stay because of one of them."""
    values = due.values | {"roots": list(roots)}
    found: dict[str, list[str]] = {root: [root] for root in roots}
    stay: set[str] = set()
    for root, member, kept in session.execute(due.engine.names(load_sql("cleanup/members")), values):
        found.setdefault(root, []).append(member)
        if kept:
            stay.add(root)
    return found, sorted(stay)


@dataclass(frozen=True, slots=True)
class Keys:
    """The ids by which rows of a batch are found."""

    roots: list[str]
    members: list[str]
    decisions: list[str]
    tasks: list[str]

    @classmethod
    def of(cls, session: Session, engine: Engine, roots: list[str], members: list[str]) -> Keys:
        """Gather what hangs on the instances under ids of its own.

        Links of tasks name no instance; they name their root since 7.10, so tasks are asked for older roots only.
        """
        values = {"roots": roots, "members": members}
        decisions = _ids(session, engine, "act_hi_decinst", values) if engine.has("act_hi_decinst") else []
        old = session.execute(engine.names(_OLD), values).fetchone()
        tasks = _ids(session, engine, "act_hi_taskinst", values) if old and old[0] else []
        return cls(roots, members, decisions, tasks)


_OLD = "SELECT EXISTS (SELECT 1 FROM {act_hi_procinst} WHERE id_ = ANY(%(roots)s) AND root_proc_inst_id_ IS NULL)"


def _ids(session: Session, engine: Engine, table: str, values: Mapping[str, Any]) -> list[str]:
    text = "SELECT id_ FROM {} WHERE root_proc_inst_id_ = ANY(%(roots)s) OR proc_inst_id_ = ANY(%(members)s)"
    return [row[0] for row in session.execute(sql.SQL(text).format(engine.name(table)), values)]


def _delete(session: Session, engine: Engine, keys: Keys) -> Counter[str]:
    rows: Counter[str] = Counter()
    contents: list[str] = []
    tables = [table for table in engine.tables if table.rooted and table.name != BYTES_TABLE]
    unrooted = _unrooted(session, engine, tables)
    # The byte arrays after every row that may own one.
    for table in tables:
        count, owned = delete_rows(session, engine, table, keys, by_root=table.name not in unrooted)
        rows[table.name] += count
        contents += owned
    rows[BYTES_TABLE] += delete_contents(session, engine, roots=keys.roots, ids=contents)
    return rows


def _unrooted(session: Session, engine: Engine, tables: Sequence[HistoryTable]) -> frozenset[str]:
    """Tables with a row that names no root, as all did before 7.10: its instance leads to it.

    Where every row names its root, a second path to the same rows costs a fifth of the deletion.
    """
    named = [table.name for table in tables if engine.has(table.name, ROOT)]
    exists = sql.SQL("EXISTS (SELECT 1 FROM {} WHERE {} IS NULL)")
    asked = sql.SQL(", ").join(exists.format(engine.name(name), sql.Identifier(ROOT)) for name in named)
    found = session.execute(sql.SQL("SELECT {}").format(asked)).fetchone() or ()
    return frozenset(name for name, is_there in zip(named, found, strict=True) if is_there)


def delete_rows(
    session: Session, engine: Engine, table: HistoryTable, keys: Keys, *, by_root: bool = False
) -> tuple[int, list[str]]:
    """Delete the rows of one table; return how many, and the ids of the byte arrays that they owned.

    Args:
        session: in a transaction.
        engine: whose table.
        table: which.
        keys: of the batch.
        by_root: every row of the table names its root, if the table has that column at all.
    """
    paths = [
        (ROOT, keys.roots),
        (table.instance, keys.members),
        (table.decision, keys.decisions),
        (table.task, keys.tasks),
    ]
    if by_root and engine.has(table.name, ROOT):
        del paths[1:]
    live = [(column, ids) for column, ids in paths if column and ids and engine.has(table.name, column)]
    if not live:
        return 0, []
    where = sql.SQL(" OR ").join(sql.SQL("{} = ANY(%s)").format(sql.Identifier(column)) for column, _ in live)
    return run_delete(session, engine, table, where, [ids for _, ids in live])


def run_delete(
    session: Session, engine: Engine, table: HistoryTable, where: sql.Composable, values: Sequence[Any]
) -> tuple[int, list[str]]:
    """Delete the rows of a condition; return how many, and the ids of the byte arrays that they owned."""
    statement = sql.SQL("DELETE FROM {} WHERE {}").format(engine.name(table.name), where)
    if table.content is None:
        return session.execute(statement, values).rowcount, []
    statement = sql.SQL(
        "WITH gone AS ({delete} RETURNING {content} AS content_)"
        " SELECT count(*), coalesce(array_agg(content_) FILTER (WHERE content_ IS NOT NULL), '{{}}') FROM gone"
    ).format(delete=statement, content=sql.Identifier(table.content))
    row = session.execute(statement, values).fetchone()
    assert row is not None  # noqa: S101 - an aggregate without groups returns one row
    return int(row[0]), list(row[1])


def delete_contents(session: Session, engine: Engine, *, roots: Sequence[str], ids: Sequence[str]) -> int:
    """Delete byte arrays of the history; never one of a deployment or of the runtime."""
    gone: set[str] = set()
    # Two statements: with an OR over thousands of ids PostgreSQL would rather scan the table.
    for column, values in ((ROOT, roots), ("id_", ids)):
        # Those of a younger engine name their root, and went with it.
        left = [value for value in values if value not in gone]
        if left:
            statement = sql.SQL("DELETE FROM {} AS b WHERE b.{} = ANY(%s) AND {} RETURNING b.id_").format(
                engine.name(BYTES_TABLE), sql.Identifier(column), of_history(engine)
            )
            gone.update(row[0] for row in session.execute(statement, (left,)))
    return len(gone)


def of_history(engine: Engine) -> sql.Composed:
    """The condition that a byte array ``b`` is one of the history.

    Rows of before 7.10 carry no type: of them only what neither a deployment nor a runtime row refers to.
    """
    free = [sql.SQL("b.type_ IS NULL AND b.deployment_id_ IS NULL")]
    parts: list[sql.Composable] = list(free)
    for table, column in RUNTIME_OWNERS:
        if engine.has(table, column):
            parts.append(
                sql.SQL("NOT EXISTS (SELECT 1 FROM {} AS r WHERE r.{} = b.id_)").format(
                    engine.name(table), sql.Identifier(column)
                )
            )
    return sql.SQL("(b.type_ = 3 OR ({}))").format(sql.SQL(" AND ").join(parts))
