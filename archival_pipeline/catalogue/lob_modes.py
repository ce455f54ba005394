"""Finds out how the primary stores character large objects, and which large objects several rows point to.

A jBPM engine stores a character large object in a ``text`` column, either as the number of a large object or as the
text itself; nothing in the schema says which. Here the values are asked. Not here: reading, copying or unlinking an
object (``statements.py`` and the rooms above).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.rows import scalar_row

from archival_pipeline.catalogue.binding import ClobMode
from archival_pipeline.database.introspection import read_schema
from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    import psycopg

    from archival_pipeline.catalogue.binding import BoundCatalogue
    from archival_pipeline.catalogue.model import Catalogue
    from archival_pipeline.database.introspection import LiveSchema

GUARD_TABLE = "jbpm_active_clob"
"""The table of the engine's guard script, whose triggers cast every character large object to a number."""

AUTO = "auto"

# The length is looked at first, because it is known without fetching a long text from its TOAST table.
_CLOB_NUMBER = sql.SQL(
    "CASE WHEN octet_length(t.{column}) <= 10 THEN"
    " CASE WHEN t.{column} ~ '^[0-9]+$' THEN"
    " CASE WHEN t.{column}::bigint <= 4294967295 THEN t.{column}::bigint::oid END END END"
)
_IS_DIGITS = sql.SQL("CASE WHEN octet_length(t.{column}) <= 10 THEN t.{column} ~ '^[0-9]+$' ELSE false END")

# Since PostgreSQL 16 a member of a role need not have the right to become it.
_SET_ROLE_IS_A_RIGHT = 160_000


def detect_clob_mode(
    connection: psycopg.Connection[Any], catalogue: Catalogue, schema: LiveSchema, configured: str
) -> ClobMode:
    """Tell how the primary stores character large objects.

    The mode is a property of the engine, not of a column, so all columns are judged together. The values are read in
    one statement that scans the tables with such columns once.

    Args:
        connection: a session on the primary.
        catalogue: the engine's catalogue.
        schema: what the primary looks like now.
        configured: ``pointer`` or ``text`` where the operator knows; ``auto`` to find out.

    Returns:
        ``POINTER`` if the guard stands, or if every value is digits and at least one is the number of an existing
        object; a number that points nowhere does not count against it. ``TEXT`` if no value is the number of an
        existing object: this includes a primary without any value, where no stored number could be missed.
        ``MIXED`` otherwise.
    """
    if configured != AUTO:
        return ClobMode(configured)
    if GUARD_TABLE in schema.tables:
        return ClobMode.POINTER
    columns = _clob_columns(catalogue, schema)
    if not columns:
        return ClobMode.TEXT
    values, digits, existing = _count_values(connection, columns)
    if existing == 0:
        return ClobMode.TEXT
    return ClobMode.POINTER if digits == values else ClobMode.MIXED


def shared_objects(connection: psycopg.Connection[Any], bound: BoundCatalogue, catalogue: Catalogue) -> frozenset[int]:
    """Return the numbers of large objects that more than one value refers to.

    Such an object may be unlinked only with its last reference. One scan of every table with large-object columns,
    owned or left; ask once a run.

    Args:
        connection: a session on the primary.
        bound: the catalogue bound to it; says how character large objects are stored.
        catalogue: the engine's catalogue, for the tables that are left alone.
    """
    references = _references(catalogue, read_schema(connection), bound.clob_mode)
    if not references:
        return frozenset()
    query = sql.SQL("SELECT r.number FROM ({}) AS r GROUP BY r.number HAVING count(*) > 1").format(_union(references))
    return frozenset(int(number) for (number,) in connection.execute(query))


def references_left(
    connection: psycopg.Connection[Any], bound: BoundCatalogue, catalogue: Catalogue, numbers: Collection[int]
) -> set[int]:
    """Return which of the numbers some row refers to now, as the session's transaction sees it.

    Meant for the deleting transaction, after the rows are gone and before their objects are unlinked, and for shared
    objects only: no table has an index on these columns.

    Args:
        connection: a session on the primary.
        bound: the catalogue bound to it.
        catalogue: the engine's catalogue, for the tables that are left alone.
        numbers: the large objects about to be unlinked.
    """
    references = _references(catalogue, read_schema(connection), bound.clob_mode) if numbers else []
    if not references:
        return set()
    query = sql.SQL("SELECT DISTINCT r.number FROM ({}) AS r WHERE r.number = ANY(%(numbers)s::oid [])").format(
        _union(references)
    )
    return {int(number) for (number,) in connection.execute(query, {"numbers": list(numbers)})}


def engine_role(connection: psycopg.Connection[Any]) -> str | None:
    """The role that new large objects must belong to, or None where the session's own role is the right one.

    It is the role that owns most of the large objects there are, else the owner of the engine's root table.
    """
    with connection.cursor(row_factory=scalar_row) as cursor:
        role = cursor.execute(load_sql("primary/lob_engine_role")).fetchone()
    return None if role is None else str(role)


def may_become(connection: psycopg.Connection[Any], role: str) -> bool:
    """Whether the session's role may act as another one."""
    needed = "SET" if connection.info.server_version >= _SET_ROLE_IS_A_RIGHT else "MEMBER"
    with connection.cursor(row_factory=scalar_row) as cursor:
        return bool(cursor.execute("SELECT pg_has_role(%s, %s)", (role, needed)).fetchone())


def owners_of_references(
    connection: psycopg.Connection[Any],
    catalogue: Catalogue,
    schema: LiveSchema,
    clob_mode: ClobMode,
    owners: Collection[str],
) -> set[str]:
    """Return which of the roles own a large object that an engine's row refers to.

    A database may hold the large objects of other applications, whose owners are none of our business.
    """
    references = _references(catalogue, schema, clob_mode)
    if not references or not owners:
        return set()
    query = sql.SQL(
        "SELECT DISTINCT pg_get_userbyid(m.lomowner)::text FROM ({}) AS r"
        " INNER JOIN pg_largeobject_metadata AS m ON r.number = m.oid"
        " WHERE pg_get_userbyid(m.lomowner)::text = ANY(%(owners)s)"
    ).format(_union(references))
    return {owner for (owner,) in connection.execute(query, {"owners": list(owners)})}


def _clob_columns(catalogue: Catalogue, schema: LiveSchema) -> list[tuple[str, str]]:
    return [
        (table.name, column)
        for table in catalogue.tables
        for column in table.clobs
        if schema.column(table.name, column)
    ]


def _count_values(connection: psycopg.Connection[Any], columns: Iterable[tuple[str, str]]) -> tuple[int, int, int]:
    """Count the values, those of digits only, and those that are the number of an existing object."""
    arms = [
        sql.SQL("SELECT {digits} AS digits, {number} AS number FROM {table} AS t WHERE t.{column} IS NOT NULL").format(
            digits=_IS_DIGITS.format(column=sql.Identifier(column)),
            number=_CLOB_NUMBER.format(column=sql.Identifier(column)),
            table=sql.Identifier(table),
            column=sql.Identifier(column),
        )
        for table, column in columns
    ]
    query = sql.SQL(
        "SELECT count(*), count(*) FILTER (WHERE v.digits), count(m.oid) FROM ({}) AS v"
        " LEFT JOIN pg_largeobject_metadata AS m ON v.number = m.oid"
    ).format(_union(arms))
    row = connection.execute(query).fetchone()
    assert row is not None  # noqa: S101 - an aggregate without GROUP BY returns one row
    return row[0], row[1], row[2]


def _references(catalogue: Catalogue, schema: LiveSchema, clob_mode: ClobMode) -> list[sql.Composed]:
    """One SELECT of ``number`` for each column whose values may be numbers of large objects.

    In ``MIXED`` mode a text of digits may be a number, so it counts as a reference: an object too many is kept rather
    than one too few.
    """
    blobs = [
        (table.name, name, sql.SQL("t.{column}"))
        for table in catalogue.tables
        for name in table.blobs
        if (column := schema.column(table.name, name)) and column.sql_type == "oid"
    ]
    clobs = [] if clob_mode is ClobMode.TEXT else [(*found, _CLOB_NUMBER) for found in _clob_columns(catalogue, schema)]
    return [
        sql.SQL(
            "SELECT n.number FROM (SELECT {number} AS number FROM {table} AS t) AS n WHERE n.number IS NOT NULL"
        ).format(number=number.format(column=sql.Identifier(column)), table=sql.Identifier(table))
        for table, column, number in (*blobs, *clobs)
    ]


def _union(arms: Sequence[sql.Composed]) -> sql.Composed:
    return sql.SQL(" UNION ALL ").join(arms)
