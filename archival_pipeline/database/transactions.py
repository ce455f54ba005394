"""The id of a transaction, by which its fate can be asked for later.

Not here: asking (the rooms that write the id down know what else tells them whether it committed).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg


def current_transaction(session: psycopg.Connection[Any]) -> str:
    """The id of the session's transaction, by which its fate can be asked for later."""
    row = session.execute("SELECT pg_current_xact_id()::text").fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM returns one row
    return str(row[0])
