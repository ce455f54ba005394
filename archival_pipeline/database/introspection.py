"""Reads a live schema from the catalog of PostgreSQL: tables, columns, keys, references, triggers, rights.

Not here: what a schema should look like (``catalogue/``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg.rows import class_row

from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True, slots=True)
class Column:
    """One column, in physical order.

    Attributes:
        table: the table it belongs to.
        name: its name.
        sql_type: as ``format_type`` prints it, ``character varying(255)``.
        not_null: whether it refuses NULL.
        generated: whether its value is computed or assigned by the server.
    """

    table: str
    name: str
    sql_type: str
    not_null: bool
    generated: bool


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A declared reference; ``deletes`` is PostgreSQL's code of its ON DELETE action (``a`` = no action)."""

    name: str
    table: str
    references: str
    deletes: str


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What one table is and what the session's role may do with it."""

    name: str
    primary_key: tuple[str, ...]
    triggers: tuple[str, ...]
    pages: int
    may_select: bool
    may_insert: bool
    may_delete: bool


@dataclass(frozen=True, slots=True)
class LiveSchema:
    """Everything read about the first schema of the session's search path."""

    tables: dict[str, TableFacts]
    columns: dict[str, tuple[Column, ...]]
    foreign_keys: tuple[ForeignKey, ...]

    def column(self, table: str, name: str) -> Column | None:
        """Return the column, or None where the table or the column does not exist."""
        return next((c for c in self.columns.get(table, ()) if c.name == name), None)


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """Identity and state of the server and database behind a session."""

    system_identifier: str
    database_oid: int
    database: str
    schema: str | None
    version: int
    encoding: str
    in_recovery: bool
    read_only: bool
    synchronous_commit: str
    max_locks: int
    role: str


def read_schema(connection: psycopg.Connection[Any]) -> LiveSchema:
    """Read the tables of the session's schema."""
    with connection.cursor(row_factory=class_row(Column)) as cursor:
        columns = cursor.execute(load_sql("common/live_columns")).fetchall()
    with connection.cursor(row_factory=class_row(ForeignKey)) as cursor:
        foreign_keys = cursor.execute(load_sql("common/live_foreign_keys")).fetchall()
    with connection.cursor(row_factory=class_row(_TableRow)) as cursor:
        tables = cursor.execute(load_sql("common/live_tables")).fetchall()
    by_table: dict[str, list[Column]] = {row.name: [] for row in tables}
    for column in columns:
        by_table[column.table].append(column)
    return LiveSchema(
        tables={row.name: row.facts() for row in tables},
        columns={name: tuple(found) for name, found in by_table.items()},
        foreign_keys=tuple(foreign_keys),
    )


def read_server(connection: psycopg.Connection[Any]) -> ServerFacts:
    """Read who and where the server is."""
    with connection.cursor(row_factory=class_row(ServerFacts)) as cursor:
        row = cursor.execute(load_sql("common/live_server")).fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM returns one row
    return row


@dataclass(frozen=True, slots=True)
class _TableRow:
    name: str
    primary_key: list[str]
    triggers: list[str]
    pages: int
    may_select: bool
    may_insert: bool
    may_delete: bool

    def facts(self) -> TableFacts:
        return TableFacts(
            self.name,
            tuple(self.primary_key),
            tuple(self.triggers),
            self.pages,
            self.may_select,
            self.may_insert,
            self.may_delete,
        )
