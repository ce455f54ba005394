"""The backup's copies of the engine's tables: made from the live primary, widened with it, never narrowed.

A copy has the primary's columns in the primary's order, with ``bytea`` where the primary keeps the number of a binary
large object, and after them one ``<column>_lo`` for each large-object column. What it does not have, and why:

* NOT NULL outside the primary key: the engine may relax a column later, and an archive that refuses a row for it holds
  up the whole run; that a value is there is the primary's promise, and the digests prove that it arrived.
* foreign keys, unique keys, sequences: a business key may be used again after its first owner is archived, and the
  order of rows is the catalogue's business.
* columns less than it once had: a column that the primary drops stays here, empty for new rows.

Nothing here drops or empties anything. Not here: ledger and audit, which the numbered migrations make.
"""

from __future__ import annotations

import hashlib
import re
from itertools import chain
from typing import TYPE_CHECKING, Any, LiteralString

from psycopg import sql

from archival_pipeline.catalogue.binding import LO_SUFFIX
from archival_pipeline.catalogue.indexes import is_served, read_indexes, searched_columns
from archival_pipeline.database.introspection import LiveSchema, read_schema
from archival_pipeline.errors import PreflightError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import psycopg

    from archival_pipeline.catalogue.indexes import Index
    from archival_pipeline.catalogue.model import Catalogue, Table

_LONGEST_NAME = 63
_LOCK_TIMEOUT_MS = 5_000
_INTEGERS = ("smallint", "integer", "bigint")
_PARAMETERS = re.compile(r"^(character varying|numeric)(?:\((\d+)(?:,(-?\d+))?\))?$")


def migrate_backup_tables(
    primary_connection: psycopg.Connection[Any], backup_connection: psycopg.Connection[Any], catalogue: Catalogue
) -> list[str]:
    """Bring the backup's tables up to the primary's in one transaction; safe to repeat.

    Sessions that are not in autocommit have begun a transaction by reading their schemas: commit the backup's.

    Returns:
        The statements that were executed; empty when nothing was left to do.

    Raises:
        PreflightError: a column cannot be brought up safely; nothing was changed.
    """
    primary = read_schema(primary_connection)
    backup = read_schema(backup_connection)
    findings = conflicts(catalogue, primary, backup)
    if findings:
        raise PreflightError(findings)
    statements = plan_backup_tables(catalogue, primary, backup, read_indexes(backup_connection))
    apply(backup_connection, statements)
    return statements


def plan_backup_tables(
    catalogue: Catalogue, primary: LiveSchema, backup: LiveSchema, backup_indexes: Sequence[Index]
) -> list[str]:
    """Return the statements that bring the backup's tables up to the primary's; what only ``conflicts`` says is left.

    Args:
        catalogue: the engine's catalogue.
        primary: what the primary looks like now.
        backup: what the backup looks like now.
        backup_indexes: the indexes that the backup has now.
    """
    tables = copied_tables(catalogue, primary)
    statements = chain(
        chain.from_iterable(_table_statements(table, primary, backup) for table in tables),
        chain.from_iterable(_index_statements(catalogue, table, primary, backup_indexes) for table in tables),
    )
    return [statement.as_string(None) for statement in statements]


def conflicts(catalogue: Catalogue, primary: LiveSchema, backup: LiveSchema) -> list[str]:
    """Return a finding for each difference that no safe statement can remove."""
    findings: list[str] = []
    for table in copied_tables(catalogue, primary):
        if table.name in backup.tables:
            findings += _column_conflicts(table, primary, backup)
            findings += _key_conflicts(table.name, primary, backup)
    return findings


def apply(connection: psycopg.Connection[Any], statements: Sequence[str]) -> None:
    """Execute the statements, all or none; a lock is waited for briefly, an index as long as it takes.

    Committed at the end unless the session is in a transaction already: then the caller commits.
    """
    if not statements:
        return
    with connection.transaction():
        connection.execute(
            "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', '0', true)",
            [str(_LOCK_TIMEOUT_MS)],
        )
        for statement in statements:
            connection.execute(_own(statement))


def copied_tables(catalogue: Catalogue, primary: LiveSchema) -> tuple[Table, ...]:
    """Return the tables that the backup copies: owned and shared ones that the primary has."""
    return tuple(table for table in (*catalogue.owned, *catalogue.shared) if table.name in primary.tables)


def wanted_columns(table: Table, primary: LiveSchema) -> dict[str, str]:
    """Return the columns of a backup's table and their types: the primary's, then the numbers of large objects."""
    columns = {column.name: column.sql_type for column in primary.columns[table.name]}
    lobs = [lob for lob in table.lobs if lob in columns]
    columns |= {lob: "bytea" if lob in table.blobs else "text" for lob in lobs}
    return columns | {lob + LO_SUFFIX: "bigint" for lob in lobs}


def fits(wanted: str, there: str) -> bool:
    """Whether a column of type ``there`` takes every value of ``wanted`` and sends it in the same binary form."""
    if wanted == there:
        return True
    wanted_type, there_type = _PARAMETERS.match(wanted), _PARAMETERS.match(there)
    if wanted_type is None or there_type is None or wanted_type[1] != there_type[1]:
        return False
    if there_type[2] is None:
        return True
    if wanted_type[2] is None or int(there_type[2]) < int(wanted_type[2]):
        return False
    # A numeric with another scale shows 1.0 as 1.00, which is another value to a digest.
    return (wanted_type[3] or "0") == (there_type[3] or "0")


def widens(wanted: str, there: str) -> bool:
    """Whether a column of type ``there`` may be altered to ``wanted`` without changing what any row says."""
    if wanted in _INTEGERS and there in _INTEGERS:
        return _INTEGERS.index(there) < _INTEGERS.index(wanted)
    return fits(there, wanted) or (wanted == "text" and there.startswith("character varying"))


def _table_statements(table: Table, primary: LiveSchema, backup: LiveSchema) -> Iterator[sql.Composed]:
    if table.name not in backup.tables:
        yield _create(table, primary)
        return
    for name, sql_type in wanted_columns(table, primary).items():
        there = backup.column(table.name, name)
        if there is None:
            yield _alter(table.name, "ADD COLUMN IF NOT EXISTS {name} {type}", name, sql_type)
        elif not fits(sql_type, there.sql_type) and widens(sql_type, there.sql_type):
            yield _alter(table.name, "ALTER COLUMN {name} TYPE {type}", name, sql_type)


def _create(table: Table, primary: LiveSchema) -> sql.Composed:
    lines = [
        sql.SQL("    {} {}").format(sql.Identifier(name), sql.SQL(_own(sql_type)))
        for name, sql_type in wanted_columns(table, primary).items()
    ]
    key = primary.tables[table.name].primary_key
    if key:
        lines.append(sql.SQL("    PRIMARY KEY ({})").format(sql.SQL(", ").join(map(sql.Identifier, key))))
    return sql.SQL("CREATE TABLE IF NOT EXISTS {} (\n{}\n)").format(
        sql.Identifier(table.name), sql.SQL(",\n").join(lines)
    )


def _alter(table: str, action: LiteralString, name: str, sql_type: str) -> sql.Composed:
    return sql.SQL("ALTER TABLE {} {}").format(
        sql.Identifier(table), sql.SQL(action).format(name=sql.Identifier(name), type=sql.SQL(_own(sql_type)))
    )


def _index_statements(
    catalogue: Catalogue, table: Table, primary: LiveSchema, indexes: Iterable[Index]
) -> Iterator[sql.Composed]:
    leading = primary.tables[table.name].primary_key[:1]
    for name in searched_columns(catalogue, table.name):
        column = primary.column(table.name, name)
        if column is None or name in leading or is_served(indexes, table.name, name):
            continue
        # With several addresses a row is mostly reached through one: the others are NULL and need no entry.
        sparse = len(table.addresses) > 1 and not column.not_null
        yield sql.SQL("CREATE INDEX IF NOT EXISTS {index} ON {table} ({column}){condition}").format(
            index=sql.Identifier(_index_name(table.name, name)),
            table=sql.Identifier(table.name),
            column=sql.Identifier(name),
            condition=sql.SQL(" WHERE {} IS NOT NULL").format(sql.Identifier(name)) if sparse else sql.SQL(""),
        )


def _index_name(table: str, column: str) -> str:
    """A name that says what it is for; where PostgreSQL would cut it, a hash keeps it apart from its neighbours."""
    name = f"{table}_{column}_archived"
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    kept = name.encode()[: _LONGEST_NAME - len(digest) - 1].decode(errors="ignore")
    return f"{kept}_{digest}"


def _column_conflicts(table: Table, primary: LiveSchema, backup: LiveSchema) -> Iterator[str]:
    wanted = wanted_columns(table, primary)
    for name, sql_type in wanted.items():
        there = backup.column(table.name, name)
        if there is not None and not fits(sql_type, there.sql_type) and not widens(sql_type, there.sql_type):
            yield (
                f"column {table.name}.{name} is {there.sql_type} in the backup and {sql_type} is needed, which no safe "
                f"change leads to; restore what the backup's table holds, then rename that table and run "
                "`archival-pipeline migrate`"
            )
    key = primary.tables[table.name].primary_key
    for there in backup.columns[table.name]:
        if there.generated:
            yield (
                f"column {table.name}.{there.name} of the backup is generated by the server and could not take the "
                f"primary's value; make it an ordinary column"
            )
        if there.not_null and there.name not in key:
            yield (
                f"column {table.name}.{there.name} of the backup is NOT NULL and would refuse rows that the primary "
                f"may hold; run ALTER TABLE {table.name} ALTER COLUMN {there.name} DROP NOT NULL on the backup"
            )


def _key_conflicts(name: str, primary: LiveSchema, backup: LiveSchema) -> Iterator[str]:
    wanted, there = primary.tables[name].primary_key, backup.tables[name].primary_key
    if set(wanted) != set(there):
        yield (
            f"the primary key of {name} is ({', '.join(there) or 'none'}) in the backup and "
            f"({', '.join(wanted) or 'none'}) in the primary; give the backup's table the primary's key"
        )


def _own(text: str) -> LiteralString:
    """Vouch for text that PostgreSQL printed itself or that was composed here from quoted names."""
    return text
