"""Gets the rows of a batch into the destination's tables: by COPY, or by staging where large objects are made.

Not here: transactions, verification (``transfer.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

from archival_pipeline.archival.digests import EMPTY
from archival_pipeline.catalogue import statements
from archival_pipeline.catalogue.binding import Storage
from archival_pipeline.database import copying

if TYPE_CHECKING:
    import psycopg

    from archival_pipeline.archival.digests import Measure
    from archival_pipeline.archival.keys import Keys
    from archival_pipeline.archival.move import Move
    from archival_pipeline.catalogue.binding import BoundTable


def write_rows(
    origin: psycopg.Connection[Any], destination: psycopg.Connection[Any], move: Move, found: Keys, ours: Measure
) -> None:
    """Send every table that has rows, parents first, inside the destination's open transaction."""
    restoring = move.direction.destination == "primary"
    if restoring and move.engine_role:
        # Large objects belong to the role that makes them; only its members can read them.
        destination.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(move.engine_role)))
    for table in move.catalogue.tables:
        if not ours.digests.get(table.name, EMPTY).rows:
            continue
        move.signal.check()
        if not restoring:
            out, into = statements.copy_out(table, found.filled), statements.copy_in(table)
            copying.stream(origin, out, found.parameters, destination, into)
        elif any(lob.primary is Storage.POINTER for lob in table.lobs):
            _through_staging(origin, destination, table, found)
        else:
            out, into = statements.copy_back_out(table, found.filled), statements.copy_back_in(table)
            copying.stream(origin, out, found.parameters, destination, into)
    if restoring and move.engine_role:
        destination.execute("RESET ROLE")


def _through_staging(
    origin: psycopg.Connection[Any], destination: psycopg.Connection[Any], table: BoundTable, found: Keys
) -> None:
    """Restore a table whose large objects have to be made anew: COPY into a temporary table, then INSERT from it."""
    destination.execute(statements.create_staging(table))
    out, into = statements.copy_archived_out(table, found.filled), statements.copy_staging_in(table)
    copying.stream(origin, out, found.parameters, destination, into)
    destination.execute(statements.insert_from_staging(table))
    destination.execute(statements.drop_staging(table))
