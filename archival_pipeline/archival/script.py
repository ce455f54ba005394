"""The script of a batch: the statements of a move as text, in the order in which they run.

Two forms. ``statements_of`` is what is executed: COPY and digests with the keys as parameters. ``insert_script`` is for
people: a transaction of INSERT statements with every value written out, large objects as content. Not here: execution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

from archival_pipeline.archival.direction import is_archive
from archival_pipeline.catalogue import statements
from archival_pipeline.catalogue.binding import Storage

if TYPE_CHECKING:
    import psycopg

    from archival_pipeline.archival.direction import Direction
    from archival_pipeline.archival.keys import Keys
    from archival_pipeline.catalogue.binding import BoundCatalogue, BoundTable


def statements_of(catalogue: BoundCatalogue, found: Keys, direction: Direction, *, compares: bool = True) -> list[str]:
    """Every statement of copying and deleting instances with these key sets, each preceded by where it runs.

    Args:
        catalogue: what belongs to an instance.
        found: key sets of the instances.
        direction: which way.
        compares: whether what is deleted must stand at the destination.
    """
    here, there = f"-- {direction.origin}:", f"-- {direction.destination}:"
    from_archive, into_archive = is_archive(direction.origin), is_archive(direction.destination)
    reached = [t for t in catalogue.tables if statements.owned_rows(t, found.filled) is not None]
    lines = []
    if compares:
        lines.append(f"{here} BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;")
        lines += [f"{here} {_text(statements.digest(t, found.filled, archive=from_archive))};" for t in reached]
    if direction.copies:
        lines.append(f"{there} BEGIN;")
        for table in reached:
            lines += [
                f"{here if on_origin else there} {_text(s)};" for on_origin, s in _copying(table, found, direction)
            ]
        lines += [f"{there} {_text(statements.digest(t, found.filled, archive=into_archive))};" for t in reached]
        lines.append(f"{there} COMMIT;")
    if compares:
        lines.append(f"{here} COMMIT;")
    removals = (statements.delete(t, found.filled, archive=from_archive, hashed=compares) for t in reversed(reached))
    lines += [f"{here} BEGIN;", *(f"{here} {_text(removal)};" for removal in removals), f"{here} COMMIT;"]
    return lines


def _copying(table: BoundTable, found: Keys, direction: Direction) -> list[tuple[bool, sql.Composed]]:
    """The statements that carry one table over; whether each runs at the origin."""
    if direction.destination == "backup":
        return [(True, statements.copy_out(table, found.filled)), (False, statements.copy_in(table))]
    if any(lob.primary is Storage.POINTER for lob in table.lobs):
        return [
            (False, statements.create_staging(table)),
            (True, statements.copy_archived_out(table, found.filled)),
            (False, statements.copy_staging_in(table)),
            (False, statements.insert_from_staging(table)),
            (False, statements.drop_staging(table)),
        ]
    return [(True, statements.copy_back_out(table, found.filled)), (False, statements.copy_back_in(table))]


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
