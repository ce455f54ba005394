"""Keeps one backup schema to one primary: ids are unique within an engine's database, not across databases.

The primary is known by its system identifier (which survives a failover), the number of the database and the schema.
Not here: the table itself, which the backup's migrations create.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg.rows import class_row

from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

    from archival_pipeline.database.introspection import ServerFacts


@dataclass(frozen=True, slots=True)
class Pairing:
    """The primary that a backup schema serves, as it was when it was recorded."""

    system_identifier: str
    database_oid: int
    database: str
    schema: str
    recorded_at: datetime

    def is_of(self, primary: ServerFacts) -> bool:
        """Whether the given primary is the recorded one; a database may be renamed and stays the same."""
        return (self.system_identifier, self.database_oid, self.schema) == (
            primary.system_identifier,
            primary.database_oid,
            primary.schema,
        )


def record_or_check(backup_connection: psycopg.Connection[Any], primary: ServerFacts) -> str | None:
    """Record the primary on the first call; later calls compare.

    Args:
        backup_connection: a session on the backup; the record is committed unless a transaction is open.
        primary: the server behind the session on the primary.

    Returns:
        A finding where the backup serves another primary, else None.
    """
    with backup_connection.transaction():
        backup_connection.execute(load_sql("backup/pairing_record"), _values(primary))
        pairing = read_pairing(backup_connection)
    if pairing is None or pairing.is_of(primary):
        return None
    return (
        f"this backup serves the primary {_named(pairing)}, recorded on {pairing.recorded_at:%Y-%m-%d}, but the "
        f"settings name {_named(primary)}; point the settings at the recorded primary or at another backup schema, or, "
        "if this is the same engine on a rebuilt server, run `archival-pipeline pair --force`"
    )


def replace_pairing(backup_connection: psycopg.Connection[Any], primary: ServerFacts) -> None:
    """Pair the backup with this primary from now on: for the same engine after a dump and restore or an upgrade.

    Nothing checks that the archived rows came from it. An operator has to ask for this.
    """
    with backup_connection.transaction():
        backup_connection.execute(load_sql("backup/pairing_replace"), _values(primary))


def read_pairing(backup_connection: psycopg.Connection[Any]) -> Pairing | None:
    """Return the recorded primary, or None where none is recorded yet."""
    with backup_connection.cursor(row_factory=class_row(Pairing)) as cursor:
        return cursor.execute(load_sql("backup/pairing_read")).fetchone()


def _values(primary: ServerFacts) -> dict[str, str | int | None]:
    return {
        "system_identifier": primary.system_identifier,
        "database_oid": primary.database_oid,
        "database": primary.database,
        "schema": primary.schema,
    }


def _named(primary: Pairing | ServerFacts) -> str:
    return (
        f"{primary.database}, schema {primary.schema} (system {primary.system_identifier}, "
        f"database number {primary.database_oid})"
    )
