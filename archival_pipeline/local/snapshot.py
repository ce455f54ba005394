"""Every row of an engine's database, large-object content included, hashed here and compared here.

A second opinion on a move: it shares no statement and no digest with the code that moves, so that a mistake there
cannot hide here. Meant for sample data: every hash is held in memory. Not here: what may move (``sample_data`` knows).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from psycopg import sql

from archival_pipeline.catalogue import facts

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

Rows: TypeAlias = dict[str, Counter[bytes]]
"""Table -> multiset of row hashes."""

_NUMBER = "^[0-9]{1,10}$"
_PAGE = 5_000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The content of one side.

    Attributes:
        columns: columns of each table, as the primary has them.
        rows: the rows of each table.
        objects: number of each large object -> hash of its content; the backup has none.
        referred: the numbers that rows refer to, whether or not the object exists.
    """

    columns: dict[str, tuple[str, ...]]
    rows: Rows
    objects: dict[int, bytes]
    referred: frozenset[int]


def of_primary(session: psycopg.Connection[Any], tables: Iterable[str]) -> Snapshot:
    """Read the engine's side.

    Args:
        session: of a role that may read all tables and large objects.
        tables: which ones; those that do not exist are left out.
    """
    columns = {table: found for table in tables if (found := _columns(session, table))}
    kinds = _kinds()
    rows: Rows = {}
    referred: set[int] = set()
    for table, names in columns.items():
        lobs = [name for name in names if (table, name) in kinds]
        types = _types(session, table)
        parts = [sql.SQL("t.{}::text").format(sql.Identifier(name)) for name in names if name not in lobs]
        for name in lobs:
            parts += _primary_object(name, binary=kinds[table, name] == "blob", pointer=types[name] != "bytea")
        rows[table] = _hashes(session, table, parts, 2 * len(lobs), referred)
    return Snapshot(columns, rows, _objects(session), frozenset(referred))


def of_backup(session: psycopg.Connection[Any], primary: Snapshot) -> Snapshot:
    """Read the same tables and columns on the backup's side, so that equal rows have equal hashes."""
    kinds = _kinds()
    rows: Rows = {}
    referred: set[int] = set()
    for table, names in primary.columns.items():
        lobs = [name for name in names if (table, name) in kinds]
        parts = [sql.SQL("t.{}::text").format(sql.Identifier(name)) for name in names if name not in lobs]
        for name in lobs:
            parts += _archived_object(name, binary=kinds[table, name] == "blob")
        rows[table] = _hashes(session, table, parts, 2 * len(lobs), referred)
    return Snapshot(primary.columns, rows, {}, frozenset(referred))


def lost_or_new(before: Snapshot, after: Snapshot, moved: Snapshot) -> list[str]:
    """Compare the primary before with both sides after; a sentence for each thing that does not add up."""
    problems = [
        f"{table}: {(rows - together).total()} row(s) lost, {(together - rows).total()} row(s) new"
        for table, rows in before.rows.items()
        if (together := after.rows[table] + moved.rows[table]) != rows
    ]
    gone = moved.referred - after.referred
    wanted = {number: content for number, content in before.objects.items() if number not in gone}
    if after.objects != wanted:
        left = sorted(after.objects.keys() - wanted.keys())
        missing = sorted(wanted.keys() - after.objects.keys())
        problems.append(f"large objects: {len(left)} left behind {left[:5]}, {len(missing)} missing {missing[:5]}")
    return problems


def _primary_object(name: str, *, binary: bool, pointer: bool) -> list[sql.Composed]:
    """Number and content of a large-object column; a text without digits is its own content."""
    column = sql.SQL("t.{}").format(sql.Identifier(name))
    if not pointer:
        return [sql.SQL("NULL::text"), sql.SQL("encode({}, 'hex')").format(column)]  # type: ignore[list-item]
    number = sql.SQL("substring({column}::text FROM {pattern})").format(column=column, pattern=sql.Literal(_NUMBER))
    # Compared as oid, so that the index serves; digits beyond its range are the number of nothing.
    stored = sql.SQL(
        "CASE WHEN {number}::bigint <= 4294967295 THEN"
        " (SELECT encode(lo_get(m.oid), 'hex') FROM pg_largeobject_metadata AS m WHERE m.oid = {number}::oid) END"
    ).format(number=number)
    if binary:
        return [number, stored]
    own = sql.SQL("CASE WHEN {number} IS NULL THEN encode(convert_to({column}, 'UTF8'), 'hex') ELSE {stored} END")
    return [number, own.format(number=number, column=column, stored=stored)]


def _archived_object(name: str, *, binary: bool) -> list[sql.Composed]:
    column = sql.SQL("t.{}").format(sql.Identifier(name))
    content = column if binary else sql.SQL("convert_to({}, 'UTF8')").format(column)
    return [
        sql.SQL("t.{}::text").format(sql.Identifier(f"{name}_lo")),
        sql.SQL("encode({}, 'hex')").format(content),
    ]


def _hashes(
    session: psycopg.Connection[Any], table: str, parts: list[sql.Composed], objects: int, referred: set[int]
) -> Counter[bytes]:
    """Hash the rows of a table; the last ``objects`` values are pairs of number and content."""
    query = sql.SQL("SELECT {} FROM {} AS t").format(sql.SQL(", ").join(parts), sql.Identifier(table))
    found: Counter[bytes] = Counter()
    with session.cursor(name=f"snapshot_{table}") as cursor:
        cursor.itersize = _PAGE
        for row in cursor.execute(query):
            found[hashlib.sha256(repr(row).encode()).digest()] += 1
            referred.update(int(number) for number in row[len(row) - objects :: 2] if number is not None)
    return found


def _objects(session: psycopg.Connection[Any]) -> dict[int, bytes]:
    query = "SELECT m.oid::bigint, sha256(lo_get(m.oid)) FROM pg_largeobject_metadata AS m"
    return dict(session.execute(query).fetchall())


def _kinds() -> dict[tuple[str, str], str]:
    return {(lob.table, lob.column): lob.kind for lob in facts.large_object_columns()}


def _columns(session: psycopg.Connection[Any], table: str) -> tuple[str, ...]:
    return tuple(_types(session, table))


def _types(session: psycopg.Connection[Any], table: str) -> dict[str, str]:
    query = (
        "SELECT column_name::text, data_type::text FROM information_schema.columns"
        " WHERE table_schema = current_schema() AND table_name = %s ORDER BY ordinal_position"
    )
    return dict(session.execute(query, [table]).fetchall())
