"""Whether two servers can be the two sides of a move: identity, state, version, encoding, durability.

Pure functions over what ``database/introspection.py`` read. Not here: tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archival_pipeline.settings import INVALID_DB_CONFIG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline.catalogue.preflight_rights import Operation, SideName
    from archival_pipeline.database.introspection import ServerFacts

OLDEST_VERSION = 130_000
"""PostgreSQL 13: the first that tells the fate of a transaction by a 64-bit id that never comes back."""

_NOT_DURABLE = ("off", "local")


def findings(primary: ServerFacts, backup: ServerFacts, operation: Operation) -> Iterator[str]:
    """Yield a finding for each reason why these servers cannot be the two sides."""
    sides: dict[SideName, ServerFacts] = {"primary": primary, "backup": backup}
    yield from _same_database(primary, backup)
    for name, server in sides.items():
        yield from _version(name, server)
    for name in operation.writes:
        yield from _writable(name, sides[name])
    if operation.destination is not None:
        yield from _durable(operation.destination, sides[operation.destination])
    yield from _encodings(primary, backup)


def missing_schemas(primary: ServerFacts, backup: ServerFacts) -> Iterator[str]:
    """Yield a finding for each side whose schema does not exist or is closed to the role."""
    for name, setting, server in (
        ("primary", "BPM_DB_SCHEMA_NAME", primary),
        ("backup", "BPM_BACKUP_DB_SCHEMA_NAME", backup),
    ):
        if server.schema is None or server.schema.startswith("pg_temp"):
            yield (
                f"the schema of the {name} does not exist in database {server.database}, or the role {server.role} "
                f"lacks USAGE on it; correct {setting} or grant the right"
            )


def _same_database(primary: ServerFacts, backup: ServerFacts) -> Iterator[str]:
    if (primary.system_identifier, primary.database_oid) == (backup.system_identifier, backup.database_oid):
        yield (
            f"{INVALID_DB_CONFIG}: primary and backup are the same physical database {primary.database} (system "
            f"{primary.system_identifier}), whatever the host names say; point BPM_BACKUP_DB_HOST, "
            "BPM_BACKUP_DB_PORT or BPM_BACKUP_DB_NAME at another database"
        )


def _version(name: SideName, server: ServerFacts) -> Iterator[str]:
    if server.version < OLDEST_VERSION:
        yield (
            f"the {name} runs PostgreSQL {server.version // 10_000}, older than {OLDEST_VERSION // 10_000}; "
            "upgrade the server"
        )


def _writable(name: SideName, server: ServerFacts) -> Iterator[str]:
    if server.in_recovery:
        yield f"the {name} is a standby in recovery and cannot be written; point the settings at the leading server"
    if server.read_only:
        yield (
            f"transactions of the {name} are read-only by default for role {server.role}; set "
            "default_transaction_read_only to off for it, or point the settings at a writable server"
        )


def _durable(name: SideName, server: ServerFacts) -> Iterator[str]:
    if server.synchronous_commit in _NOT_DURABLE:
        yield (
            f"synchronous_commit is {server.synchronous_commit} at the destination, the {name}: a crash there could "
            f"lose rows that are deleted at the origin; run ALTER ROLE {server.role} SET synchronous_commit = on"
        )


def _encodings(primary: ServerFacts, backup: ServerFacts) -> Iterator[str]:
    for name, server in (("primary", primary), ("backup", backup)):
        if server.encoding == "SQL_ASCII":
            yield (
                f"the {name} database has the encoding SQL_ASCII, which means that nobody knows what its bytes mean; "
                "move it to a database with the encoding of its contents"
            )
    if backup.encoding not in ("UTF8", "SQL_ASCII", primary.encoding):
        yield (
            f"the backup's encoding {backup.encoding} cannot hold every character of the primary's {primary.encoding}; "
            "create the backup database with ENCODING 'UTF8'"
        )
