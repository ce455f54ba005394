"""The tables of a Camunda 7 engine, as DDL that a DBA can read.

Built from the facts in ``catalogue/camunda_facts``, so that what the tests run against and what the cleanup believes
come from one source. An engine's own tables are never created by the product: this serves the demo, the development
stack and the tests. Not here: rows (``camunda_data``).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from psycopg import sql

from archival_pipeline.catalogue import camunda_facts

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

    from archival_pipeline.catalogue.facts import Column, Index

# PostgreSQL cuts longer names, and two that were cut may be equal.
_LONGEST = 63
SCHEMA_VERSION = "7.24.0"


def ddl(prefix: str = "") -> str:
    """Return the script that makes an empty engine schema.

    Args:
        prefix: what the engine's ``databaseTablePrefix`` puts before each table name.
    """
    tables = camunda_facts.columns()
    indexes = camunda_facts.indexes()
    parts: list[Iterable[str]] = [
        (_table(prefix, name, found) for name, found in tables.items()),
        (_key(prefix, index) for index in indexes if index.unique),
        (_foreign_key(prefix, column) for found in tables.values() for column in found if column.references),
        (_index(prefix, index) for index in indexes if not index.unique),
    ]
    return "\n\n".join("\n".join(part) for part in parts).rstrip() + "\n"


def create(connection: psycopg.Connection[Any], prefix: str = "", *, history_level: int = 3) -> None:
    """Run the DDL in the first schema of the session's search path; the caller owns the transaction.

    Args:
        connection: a session with the right to create tables.
        prefix: put before each table name.
        history_level: as the engine stores it: 0 none, 1 activity, 2 audit, 3 full.
    """
    connection.execute(sql.SQL(ddl(prefix)))
    connection.execute(
        sql.SQL(
            "INSERT INTO {} (name_, value_, rev_) VALUES ('historyLevel', %s, 1), ('history.cleanup.job.lock', '0', 1)"
        ).format(sql.Identifier(f"{prefix}act_ge_property")),
        (str(history_level),),
    )
    connection.execute(
        sql.SQL("INSERT INTO {} (id_, timestamp_, version_) VALUES ('0', '2025-10-01', %s)").format(
            sql.Identifier(f"{prefix}act_ge_schema_log")
        ),
        (SCHEMA_VERSION,),
    )


def _table(prefix: str, name: str, columns: tuple[Column, ...]) -> str:
    lines = (f"    {column.name} {column.pg_type}{'' if column.nullable else ' NOT NULL'}" for column in columns)
    return f"CREATE TABLE {prefix}{name} (\n" + ",\n".join(lines) + "\n);"


def _key(prefix: str, index: Index) -> str:
    kind, ending = ("PRIMARY KEY", "pkey") if index.primary_key else ("UNIQUE", f"{'_'.join(index.columns)}_key")
    name = _short(f"{prefix}{index.table}_{ending}")
    return f"ALTER TABLE {prefix}{index.table} ADD CONSTRAINT {name} {kind} ({', '.join(index.columns)});"


def _foreign_key(prefix: str, column: Column) -> str:
    target, target_column = column.references or ("", "")
    return (
        f"ALTER TABLE {prefix}{column.table} ADD CONSTRAINT {_short(f'{prefix}{column.table}_{column.name}_fkey')} "
        f"FOREIGN KEY ({column.name}) REFERENCES {prefix}{target} ({target_column});"
    )


def _index(prefix: str, index: Index) -> str:
    name = _short(f"{prefix}{index.table}_{'_'.join(index.columns)}_idx")
    return f"CREATE INDEX {name} ON {prefix}{index.table} ({', '.join(index.columns)});"


def _short(name: str) -> str:
    if len(name) <= _LONGEST:
        return name
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: _LONGEST - len(mark) - 1]}_{mark}"
