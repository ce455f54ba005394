"""The script of a batch: the statements of a move as text, in the order in which they run.

Two forms. ``statements_of`` is what is executed: COPY and digests with the keys as parameters. ``insert_script`` is for
people: a transaction of INSERT statements with every value written out, large objects as content. Not here: execution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

from archival_pipeline.catalogue import statements

if TYPE_CHECKING:
    import psycopg

    from archival_pipeline.archival.keys import Keys
    from archival_pipeline.catalogue.binding import BoundCatalogue, BoundTable


def statements_of(catalogue: BoundCatalogue, found: Keys) -> list[str]:
    """Every statement of copying and deleting instances with these key sets, each preceded by where it runs."""
    lines = ["-- primary: BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;", "-- backup: BEGIN;"]
    reached = [t for t in catalogue.tables if statements.owned_rows(t, found.filled) is not None]
    for table in reached:
        lines.append(f"-- primary: {_text(statements.digest(table, found.filled, archive=False))};")
    for table in reached:
        lines.append(f"-- primary: {_text(statements.copy_out(table, found.filled))};")
        lines.append(f"-- backup: {_text(statements.copy_in(table))};")
    for table in reached:
        lines.append(f"-- backup: {_text(statements.digest(table, found.filled, archive=True))};")
    lines += ["-- backup: COMMIT;", "-- primary: COMMIT;", "-- primary: BEGIN;"]
    for table in reversed(reached):
        lines.append(f"-- primary: {_text(statements.delete(table, found.filled, archive=False))};")
    lines.append("-- primary: COMMIT;")
    return lines


def insert_script(connection: psycopg.Connection[Any], catalogue: BoundCatalogue, found: Keys) -> list[str]:
    """A transaction of INSERT statements that writes the instances' rows into the backup's tables.

    Args:
        connection: a session of the primary.
        catalogue: what belongs to an instance.
        found: the instances' keys.
    """
    lines = ["BEGIN;"]
    for table in catalogue.tables:
        lines += _inserts(connection, table, found)
    lines.append("COMMIT;")
    return lines


def _inserts(connection: psycopg.Connection[Any], table: BoundTable, found: Keys) -> list[str]:
    query = statements.select_archived(table, found.filled)
    if query is None:
        return []
    head = sql.SQL("INSERT INTO {} ({}) VALUES ").format(
        sql.Identifier(table.name),
        sql.SQL(", ").join(map(sql.Identifier, statements.archived_columns(table))),
    )
    return [
        sql.SQL("{}({});").format(head, sql.SQL(", ").join(map(sql.Literal, row))).as_string(connection)
        for row in connection.execute(query, found.parameters)
    ]


def _text(statement: sql.Composed | None) -> str:
    return statement.as_string(None) if statement is not None else ""
