"""What programs ask of the archive, one function per question: migrate, check, count, find, children, script, audits.

The command line and the REST interface call these and add nothing but their own form. Sessions are opened and closed
inside, PostgreSQL's errors come out as ours. Not here: running an operation (``operating.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import psycopg
from psycopg import sql

from archival_pipeline import errors
from archival_pipeline.archival import audit, keys, picking, script, selection, trees
from archival_pipeline.archival import filters as filtering
from archival_pipeline.catalogue import backup_tables, indexes, lob_modes, pairing, preflight
from archival_pipeline.catalogue.binding import bind
from archival_pipeline.catalogue.jbpm import JBPM
from archival_pipeline.catalogue.preflight_rights import Operation
from archival_pipeline.database import introspection, migrations
from archival_pipeline.database.connections import short_session

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from archival_pipeline.archival.audit import AuditCriteria, AuditRow
    from archival_pipeline.archival.filters import Filters
    from archival_pipeline.settings import DatabaseSettings, Settings

Which = Literal["primary", "backup"]
BOTH: tuple[Which, ...] = ("primary", "backup")


def migrate(settings: Settings, which: Collection[Which] = BOTH) -> list[str]:
    """Bring the databases to this release; the backup's tables follow the live primary. Safe to repeat.

    Args:
        settings: where the databases are.
        which: the databases to change. The primary is read in any case when the backup is among them.

    Returns:
        The statements that brought the backup's tables up to the primary's.

    Raises:
        PreflightError: a column of the backup cannot be brought up safely; its tables were left as they are.
    """
    for name in BOTH:
        if name in which:
            migrations.upgrade(_database(settings, name), name)
    if "backup" not in which:
        return []
    with (
        short_session(settings.primary, "reading the engine's tables") as primary,
        short_session(settings.backup, "migrating the backup's tables", read_only=False) as backup,
    ):
        return backup_tables.migrate_backup_tables(primary, backup, JBPM)


def migration_script(settings: Settings, which: Collection[Which] = BOTH) -> str:
    """What :func:`migrate` would execute, for a DBA; nothing is changed.

    A database that is at the newest version needs no script and gets none. The tables of the backup are compared with
    the live primary's, so both databases are read.
    """
    parts = [_revisions(_database(settings, name), name) for name in BOTH if name in which]
    if "backup" in which:
        parts.append(_table_statements(settings))
    return "\n".join(parts)


def _revisions(database: DatabaseSettings, name: Which) -> str:
    heading = (
        f"-- Database {name}: {database.database} on {database.host}:{database.port}, schema {database.schema_name}"
    )
    if migrations.is_current(database, name):
        return f"{heading}\n-- is at the newest version, {migrations.newest(name)}.\n"
    return f"{heading}\n{migrations.as_sql(name, database.schema_name)}"


def _table_statements(settings: Settings) -> str:
    with (
        short_session(settings.primary, "reading the engine's tables") as primary,
        short_session(settings.backup, "reading the backup's tables") as backup,
    ):
        schemas = introspection.read_schema(primary), introspection.read_schema(backup)
        conflicts = backup_tables.conflicts(JBPM, *schemas)
        if conflicts:
            raise errors.PreflightError(conflicts)
        statements = backup_tables.plan_backup_tables(JBPM, *schemas, indexes.read_indexes(backup))
    if not statements:
        return "-- The tables of the backup fit those of the primary.\n"
    schema = sql.SQL("SET search_path = {}, pg_temp;").format(sql.Identifier(settings.backup.schema_name))
    body = "\n".join(f"{statement};" for statement in statements)
    return f"-- The tables of the backup\nBEGIN;\n{schema.as_string(None)}\n{body}\nCOMMIT;\n"


def pending_migrations(settings: Settings) -> list[str]:
    """A finding for each database that is not at the version of this release."""
    return [
        f"the {name} database is not at the newest migration: run `archival-pipeline migrate`"
        for name in BOTH
        if not migrations.is_current(_database(settings, name), name)
    ]


def check(settings: Settings) -> preflight.Report:
    """Look at both databases as a backup would before it writes; reads only."""
    behind = pending_migrations(settings)
    with (
        short_session(settings.primary, "checking the primary") as primary,
        short_session(settings.backup, "checking the backup") as backup,
    ):
        schema = introspection.read_schema(primary)
        clob_mode = lob_modes.detect_clob_mode(primary, JBPM, schema, settings.engine.clob_mode)
        report = preflight.check(primary, backup, JBPM, clob_mode=clob_mode, operation=Operation.BACKUP)
        report.findings[:0] = behind
        if not behind:
            report.findings += _other_primary(primary, backup)
    return report


def _other_primary(primary: psycopg.Connection[Any], backup: psycopg.Connection[Any]) -> Iterator[str]:
    """As the run will find, without recording a primary where none is recorded yet."""
    recorded = pairing.read_pairing(backup)
    if recorded is not None and not recorded.is_of(introspection.read_server(primary)):
        yield (
            f"this backup serves another primary ({recorded.database}, schema {recorded.schema}, recorded on "
            f"{recorded.recorded_at:%Y-%m-%d}); point the settings at it or at another backup schema, or, if this is "
            "the same engine on a rebuilt server, run `archival-pipeline pair --force`"
        )


def pair(settings: Settings) -> None:
    """Pair the backup with the configured primary from now on, whatever it was paired with before."""
    with (
        short_session(settings.primary, "reading the primary's identity") as primary,
        short_session(settings.backup, "pairing the backup", read_only=False) as backup,
    ):
        pairing.replace_pairing(backup, introspection.read_server(primary))


def count(settings: Settings, filters: Filters, database: Which = "primary") -> int:
    """How many process instances the filters pick now."""
    with short_session(_database(settings, database), "counting process instances") as session:
        return selection.count(session, _bound(settings, session, filters))


def count_moved(settings: Settings, audit_id: str, filters: Filters, database: Which) -> int:
    """How many trees that an operation moved the filters pick of a database; without filters all of them.

    Raises:
        RequestError: the ledger has no such operation.
    """
    with short_session(settings.backup, "looking up an operation") as session:
        moved = picking.moved_by(session, audit_id)
    with short_session(_database(settings, database), "counting process instances") as session:
        return len(picking.narrowed(session, moved, filters, _bound(settings, session, filters)))


def find(
    settings: Settings, filters: Filters, *, page_size: int, page_number: int = 1, database: Which = "primary"
) -> list[int]:
    """One page of the process instances that the filters pick, in order; pages count from 1."""
    with short_session(_database(settings, database), "finding process instances") as session:
        return selection.find(session, _bound(settings, session, filters), page_size, page_number)


def children(settings: Settings, process_instance_ids: Sequence[int], database: Which = "primary") -> list[int]:
    """All descendants of the given instances, the given ones left out, in order."""
    with short_session(_database(settings, database), "finding children") as session:
        return selection.children(session, process_instance_ids)


def generate_sql(settings: Settings, process_instance_ids: Sequence[int]) -> list[str]:
    """The transaction of INSERT statements that puts the instances and their descendants into the backup.

    For people and for rehearsals: the script holds every value. Nothing checks whether the instances have ended.
    """
    with short_session(settings.primary, "generating the script") as session:
        schema = introspection.read_schema(session)
        clob_mode = lob_modes.detect_clob_mode(session, JBPM, schema, settings.engine.clob_mode)
        catalogue = bind(JBPM, schema, clob_mode)
        found = trees.closure(session, sorted(set(process_instance_ids)))
        members = sorted({member for members in found.values() for member in members})
        return script.insert_script(session, catalogue, keys.resolve(session, catalogue, members))


def audits(
    settings: Settings, criteria: AuditCriteria, *, page_size: int, page_number: int = 1
) -> tuple[list[AuditRow], int]:
    """The newest row of each audit that matches, newest audit first, and how many match in all."""
    with short_session(settings.backup, "listing audits") as session:
        return audit.discover(session, criteria, page_number, page_size)


def audit_count(settings: Settings, criteria: AuditCriteria) -> int:
    """How many audits match."""
    with short_session(settings.backup, "counting audits") as session:
        return audit.discover_count(session, criteria)


def audit_latest(settings: Settings, audit_id: str) -> AuditRow:
    """The newest row of one audit.

    Raises:
        NotFoundError: there is no such audit.
    """
    with short_session(settings.backup, "reading an audit") as session:
        row = audit.latest(session, audit_id)
    if row is None:
        raise _no_audit(audit_id)
    return row


def audit_timeline(
    settings: Settings, audit_id: str, *, page_size: int, page_number: int = 1
) -> tuple[list[AuditRow], int]:
    """One page of the rows of one audit, oldest first, and how many rows it has in all.

    Raises:
        NotFoundError: there is no such audit.
    """
    with short_session(settings.backup, "reading an audit") as session:
        rows, total = audit.timeline(session, audit_id, page_number, page_size), audit.summary(session, audit_id)
    if total == 0:
        raise _no_audit(audit_id)
    return rows, total


def _no_audit(audit_id: str) -> errors.NotFoundError:
    return errors.NotFoundError(
        f"There is no audit {audit_id}.",
        resolve="List the audits there are with `archival-pipeline audits list`.",
        field="auditId",
        value=audit_id,
    )


def _bound(settings: Settings, session: psycopg.Connection[Any], filters: Filters) -> filtering.SqlFilters:
    return filtering.resolve(filters, now=selection.server_now(session), time_zone=settings.engine.time_zone)


def _database(settings: Settings, which: Which) -> DatabaseSettings:
    return settings.primary if which == "primary" else settings.backup
