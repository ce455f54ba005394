"""Gets the rows of a batch into the destination's tables: by COPY, or by staging where large objects are made.

Not here: transactions, verification (``transfer.py``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from psycopg import sql

from archival_pipeline.catalogue import statements
from archival_pipeline.catalogue.binding import Storage
from archival_pipeline.database import copying

if TYPE_CHECKING:
    import psycopg

    from archival_pipeline.archival.keys import Keys
    from archival_pipeline.archival.move import Move
    from archival_pipeline.catalogue.binding import BoundTable


@dataclass(slots=True)
class Written:
    """What was sent: rows by table, and the bytes they took on the wire."""

    rows: dict[str, int] = field(default_factory=dict)
    size: int = 0


def write_rows(
    origin: psycopg.Connection[Any], destination: psycopg.Connection[Any], move: Move, found: Keys
) -> Written:
    """Send every table that the keys reach, parents first, inside the destination's open transaction.

    Raises:
        VerificationError: the destination took another number of rows than it was sent.
    """
    restoring = move.direction.destination == "primary"
    written = Written()
    if restoring and move.engine_role:
        # Large objects belong to the role that makes them; only its members can read them.
        destination.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(move.engine_role)))
    for table in move.catalogue.tables:
        if statements.owned_rows(table, found.filled) is None:
            continue
        move.signal.check()
        rows, size = _send(origin, destination, table, found, restoring=restoring)
        if rows:
            written.rows[table.name] = rows
            written.size += size
    if restoring and move.engine_role:
        destination.execute("RESET ROLE")
    return written


def insert_missing(
    origin: psycopg.Connection[Any], destination: psycopg.Connection[Any], move: Move, found: Keys
) -> None:
    """Insert the users and groups that the rows name, where they are not there yet; never change or delete one.

    In a short transaction of its own: an engine or a lane that adds the same user must not wait for a whole batch.
    """
    for table in move.catalogue.shared:
        query = statements.select_shared(table, found.filled)
        if query is not None:
            rows = [json.loads(row[0]) for row in origin.execute(query, found.parameters)]
            with destination.transaction():
                destination.execute(statements.insert_missing(table), {"rows": json.dumps(rows)})


def _send(
    origin: psycopg.Connection[Any],
    destination: psycopg.Connection[Any],
    table: BoundTable,
    found: Keys,
    *,
    restoring: bool,
) -> tuple[int, int]:
    """Send one table; return its rows and bytes."""
    if not restoring:
        out, into = statements.copy_out(table, found.filled), statements.copy_in(table)
        return copying.stream(origin, out, found.parameters, destination, into)
    if any(lob.primary is Storage.POINTER for lob in table.lobs):
        return _through_staging(origin, destination, table, found)
    out, into = statements.copy_back_out(table, found.filled), statements.copy_back_in(table)
    return copying.stream(origin, out, found.parameters, destination, into)


def _through_staging(
    origin: psycopg.Connection[Any], destination: psycopg.Connection[Any], table: BoundTable, found: Keys
) -> tuple[int, int]:
    """Restore a table whose large objects have to be made anew: COPY into a temporary table, then INSERT from it."""
    destination.execute(statements.create_staging(table))
    out, into = statements.copy_archived_out(table, found.filled), statements.copy_staging_in(table)
    sent = copying.stream(origin, out, found.parameters, destination, into)
    if sent[0]:
        destination.execute(statements.insert_from_staging(table))
    destination.execute(statements.drop_staging(table))
    return sent
