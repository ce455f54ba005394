"""After a run: what the deletions left behind in the origin, and the command that reclaims it.

Only advice. The operator decides when a vacuum suits the engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.rows import dict_row

from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    from archival_pipeline.archival.move import Move


def advise(move: Move) -> dict[str, Any]:
    """Dead rows and reclaimable bytes per table of the origin, most first, and the VACUUM that fits.

    Returns:
        ``tables``: list of ``{table, deadRows, reclaimableBytes}``; ``command``: SQL, empty where nothing is to gain.
    """
    names = [table.name for table in move.catalogue.tables]
    moved = move.ledger.moved_rows()
    parameters = {"tables": names, "moved_tables": list(moved), "moved": list(moved.values())}
    origin = move.control.session(move.direction.origin)
    with origin.transaction(), origin.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(load_sql("common/vacuum_advice"), parameters).fetchall()
    due = [row["table"] for row in rows if row["deadRows"]]
    command = sql.SQL("VACUUM (ANALYZE) {};").format(sql.SQL(", ").join(map(sql.Identifier, due))).as_string(origin)
    return {"tables": rows, "command": command if due else ""}
