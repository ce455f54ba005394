"""The ids through which the rows of units are found on one side.

Roots and members come with the units. Decisions, the tasks of hierarchies from before 7.10 and byte arrays are asked
from the side itself: what a row names goes with it, and what names a root goes with the root. Not here: the statements
that use the ids (``catalogue/statements.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg import sql

from archival_pipeline.catalogue import digests, statements
from archival_pipeline.catalogue.camunda import BYTES_TABLE, HISTORY_TABLES, ROOT, ROOTS_TABLE
from archival_pipeline.catalogue.camunda_archive import DECISIONS, MEMBERS, ROOTS, TASKS
from archival_pipeline.catalogue.digests import Digest
from archival_pipeline.history.cleanup.archive.units import seeds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from archival_pipeline.history.cleanup.archive.opening import Side
    from archival_pipeline.history.cleanup.archive.units import Unit
    from archival_pipeline.history.cleanup.database import Session


@dataclass(frozen=True, slots=True)
class Keys:
    """Ids by key set; sets without ids are left out."""

    parameters: Mapping[str, list[str]]

    @classmethod
    def of(cls, found: Mapping[str, Iterable[str]]) -> Keys:
        """Each id once, in order."""
        return cls({name: sorted(set(ids)) for name, ids in found.items() if ids})

    @property
    def filled(self) -> frozenset[str]:
        """Names of the sets that hold an id."""
        return frozenset(self.parameters)

    def joined(self, other: Keys) -> Keys:
        """The ids of both."""
        names = self.filled | other.filled
        return Keys.of({name: [*self.parameters.get(name, ()), *other.parameters.get(name, ())] for name in names})


def resolve(session: Session, side: Side, units: Iterable[Unit]) -> Keys:
    """Every id through which rows of the units are found on this side, in the session's snapshot."""
    keys = Keys.of(seeds(units))
    further = {DECISIONS: _own(session, side, keys, "act_hi_decinst")}
    if _some_are_old(session, side, keys):
        further[TASKS] = _own(session, side, keys, "act_hi_taskinst")
    keys = keys.joined(Keys.of(further))
    return keys.joined(Keys.of({BYTES_TABLE: _contents(session, side, keys)}))


def measure(session: Session, side: Side, keys: Keys) -> dict[str, Digest]:
    """Digests by plain table name, of tables that have rows."""
    found = digests.measure(session, side.tables.values(), keys.filled, keys.parameters, archive=side.archive)
    return side.plain(found.filled())


def delete(session: Session, side: Side, keys: Keys) -> dict[str, Digest]:
    """Delete the rows, byte arrays last; return the digests of what was really deleted, by plain table name."""
    cursors = {}
    with session.pipeline():
        for name, table in side.tables.items():
            statement = statements.delete(table, keys.filled, archive=side.archive)
            if statement is not None:
                cursors[name] = session.execute(statement, keys.parameters)
    found = {}
    for name, cursor in cursors.items():
        row = cursor.fetchone()
        assert row is not None  # noqa: S101 - an aggregate returns one row
        if row[0]:
            found[name] = Digest.from_sums(row[0], row[1], row[2])
    return found


def _own(session: Session, side: Side, keys: Keys, name: str) -> list[str]:
    """Ids of the rows of one table."""
    table = side.tables.get(name)
    condition = statements.owned_rows(table, keys.filled) if table else None
    if table is None or condition is None:
        return []
    query = sql.SQL("SELECT t.id_ FROM {} AS t WHERE {}").format(sql.Identifier(table.name), condition)
    return [row[0] for row in session.execute(query, keys.parameters)]


def _some_are_old(session: Session, side: Side, keys: Keys) -> bool:
    """Whether an instance is from before 7.10: then identity links are found through tasks, which no index helps."""
    query = sql.SQL("SELECT EXISTS (SELECT 1 FROM {} WHERE id_ = ANY(%(members)s::text[]) AND {} IS NULL)").format(
        sql.Identifier(side.tables[ROOTS_TABLE].name), sql.Identifier(ROOT)
    )
    row = session.execute(query, {MEMBERS: keys.parameters.get(MEMBERS, [])}).fetchone()
    return bool(row and row[0])


def _contents(session: Session, side: Side, keys: Keys) -> list[str]:
    """Byte arrays of the history: what rows of the units name, what names a root, what is asked for."""
    parts = []
    for history in HISTORY_TABLES:
        table = side.tables.get(history.name)
        condition = statements.owned_rows(table, keys.filled) if table else None
        if table and condition and history.content in table.columns:
            parts.append(
                sql.SQL("SELECT t.{content} FROM {table} AS t WHERE {condition} AND t.{content} IS NOT NULL").format(
                    content=sql.Identifier(history.content or ""),
                    table=sql.Identifier(table.name),
                    condition=condition,
                )
            )
    named = session.execute(sql.SQL(" UNION ALL ").join(parts), keys.parameters).fetchall() if parts else []
    ids = [row[0] for row in named] + list(keys.parameters.get(BYTES_TABLE, ()))
    # Two statements: with an OR over thousands of ids PostgreSQL would rather scan the table.
    found: list[str] = []
    for column, values in (("id_", ids), (ROOT, keys.parameters.get(ROOTS, []))):
        if values:
            query = sql.SQL("SELECT b.id_ FROM {} AS b WHERE b.{} = ANY(%s::text[]) AND {}").format(
                sql.Identifier(side.tables[BYTES_TABLE].name), sql.Identifier(column), side.spared
            )
            found += [row[0] for row in session.execute(query, (values,))]
    return found
