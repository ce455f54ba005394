"""The two sides of one engine's archive: opening the backup, checking that both fit, making the backup's tables.

Nothing is removed from the engine unless this has found nothing: same layout, durable commits, one engine to one
backup. Not here: rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from psycopg import sql

from archival_pipeline.catalogue import backup_tables, preflight_servers
from archival_pipeline.catalogue.camunda_archive import CAMUNDA, Twin, kept_tables, renamed, twins
from archival_pipeline.catalogue.indexes import read_indexes
from archival_pipeline.catalogue.preflight_rights import Operation
from archival_pipeline.database import migrations
from archival_pipeline.database.connections import Limits, connect
from archival_pipeline.database.introspection import read_schema, read_server
from archival_pipeline.database.sqlfiles import load_sql
from archival_pipeline.errors import PreflightError
from archival_pipeline.history.cleanup.database import Engine, open_session
from archival_pipeline.history.cleanup.removal import of_history

if TYPE_CHECKING:
    from archival_pipeline.catalogue.binding import BoundTable
    from archival_pipeline.database.introspection import LiveSchema, ServerFacts
    from archival_pipeline.history.cleanup.database import Session
    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline.settings_camunda import CamundaSettings

_LIMITS = Limits(lock_timeout=5_000, statement_timeout=300_000, idle_in_transaction=120_000)
# Only byte arrays of the history ever came to the backup.
_KEPT = sql.SQL("true")
_MIGRATE = "run `archival-pipeline cleanup migrate`"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a run archives, and under which id.

    Attributes:
        backup: the database.
        run_id: shown in the ledger; a restore may ask for it.
    """

    backup: DatabaseSettings
    run_id: str


@dataclass(frozen=True, slots=True)
class Side:
    """The tables of the history on one side.

    Attributes:
        tables: by their plain name, in the order in which rows are removed.
        archive: whether it is the backup.
        spared: the condition that a byte array ``b`` may be touched.
    """

    tables: dict[str, BoundTable]
    archive: bool
    spared: sql.Composable

    def plain(self, found: dict[str, Any]) -> dict[str, Any]:
        """The same by plain names instead of this side's."""
        names = {bound.name: plain for plain, bound in self.tables.items()}
        return {names[name]: value for name, value in found.items()}


@dataclass(frozen=True, slots=True)
class Archive:
    """One engine's archive, checked.

    Attributes:
        twins: the tables of the history on both sides.
        run_id: of the run at work.
        engine: the engine's side.
        backup: the backup's side.
    """

    twins: tuple[Twin, ...]
    run_id: str
    engine: Side = field(repr=False)
    backup: Side = field(repr=False)


def open_backup(settings: DatabaseSettings, purpose: str) -> Session:
    """A session on the backup that reads back by index: tables that were empty a moment ago have no statistics yet."""
    session = connect(settings, purpose=purpose, limits=_LIMITS, autocommit=True)
    session.execute("SET enable_seqscan = off")
    return session


def check(
    engine: Engine, engine_session: Session, backup_session: Session, target: Target, operation: str = "backup"
) -> Archive:
    """Look at both sides and return them bound.

    Args:
        engine: the live tables.
        engine_session: a session on the engine's database, in autocommit.
        backup_session: a session on the backup, in autocommit.
        target: where and under which id.
        operation: ``backup`` or ``restore``: the side that receives has to commit durably.

    Raises:
        PreflightError: the sides do not fit; everything that is wrong is listed, and nothing was written.
    """
    servers = read_server(engine_session), read_server(backup_session)
    findings = list(preflight_servers.findings(*servers, Operation(operation)))
    if not migrations.is_current(target.backup, "backup"):
        raise PreflightError([*findings, f"the backup database is not at the newest migration: {_MIGRATE}"])
    live, kept = read_schema(engine_session), read_schema(backup_session)
    findings += _layout(renamed(live, engine.settings.table_prefix), kept, backup_session)
    if operation == "backup":
        backup_session.execute(load_sql("cleanup/archive_engine_record"), _identity(engine.settings, servers[0]))
    findings += _pairing(_identity(engine.settings, servers[0]), backup_session)
    if operation == "restore":
        findings += _narrower(renamed(live, engine.settings.table_prefix), kept, backup_session)
    if findings:
        raise PreflightError(findings)
    return bound(engine, live, target.run_id)


def check_kept(engine: Engine, engine_session: Session, backup_session: Session, target: Target) -> Side:
    """Look at the backup alone, and return all that it keeps, also of tables that the engine has no more.

    Raises:
        PreflightError: the backup is behind this release, or keeps the history of another engine.
    """
    if not migrations.is_current(target.backup, "backup"):
        raise PreflightError([f"the backup database is not at the newest migration: {_MIGRATE}"])
    findings = _pairing(_identity(engine.settings, read_server(engine_session)), backup_session)
    if findings:
        raise PreflightError(findings)
    return Side(kept_tables(read_schema(backup_session)), archive=True, spared=_KEPT)


def bound(engine: Engine, live: LiveSchema, run_id: str) -> Archive:
    """Both sides with the columns that the engine has."""
    found = twins(live, engine.settings.table_prefix)
    return Archive(
        twins=found,
        run_id=run_id,
        engine=Side({twin.history.name: twin.engine for twin in found}, archive=False, spared=of_history(engine)),
        backup=Side({twin.history.name: twin.backup for twin in found}, archive=True, spared=_KEPT),
    )


def migrate(settings: CamundaSettings, backup: DatabaseSettings, *, adopt: bool = False) -> list[str]:
    """Bring the backup to this release and its tables of the history up to the live engine's; safe to repeat.

    Args:
        settings: the engine's database.
        backup: the backup.
        adopt: take the engine for the one whose history the backup holds; nothing can check it.

    Returns:
        The statements that were executed on the tables.

    Raises:
        PreflightError: a column cannot be brought up safely; the tables were left as they are.
    """
    migrations.upgrade(backup, "backup")
    with (
        open_session(settings, "reading the history's tables", autocommit=True) as engine_session,
        connect(backup, purpose="migrating the history's archive", limits=_LIMITS, autocommit=True) as session,
    ):
        Engine.probe(settings, engine_session)
        live = renamed(read_schema(engine_session), settings.table_prefix)
        kept = read_schema(session)
        findings = backup_tables.conflicts(CAMUNDA, live, kept)
        if findings:
            raise PreflightError(findings)
        statements = backup_tables.plan_backup_tables(CAMUNDA, live, kept, read_indexes(session))
        backup_tables.apply(session, statements)
        if adopt:
            session.execute(
                load_sql("cleanup/archive_engine_replace"), _identity(settings, read_server(engine_session))
            )
        return statements


def _layout(live: LiveSchema, kept: LiveSchema, session: Session) -> list[str]:
    findings = backup_tables.conflicts(CAMUNDA, live, kept)
    if not findings and backup_tables.plan_backup_tables(CAMUNDA, live, kept, read_indexes(session)):
        findings = [f"the backup's tables of the history are behind the engine's: {_MIGRATE}"]
    return findings


def _identity(settings: CamundaSettings, server: ServerFacts) -> dict[str, Any]:
    return {
        "system_identifier": server.system_identifier,
        "database_oid": server.database_oid,
        "schema": settings.schema_name,
        "table_prefix": settings.table_prefix,
        "database": server.database,
    }


def _pairing(wanted: dict[str, Any], session: Session) -> list[str]:
    """One backup serves one engine: ids are unique within one only. A database may be renamed and stays the same."""
    row = session.execute(load_sql("cleanup/archive_engine_read")).fetchone()
    if row is None or row[:4] == tuple(wanted.values())[:4]:
        return []
    finding = (
        f"this backup holds the history of the engine in {row[4]}, schema {row[2]}, prefix {row[3] or '(none)'}, and "
        f"not of the one in {wanted['database']}, schema {wanted['schema']}; set BPM_BACKUP_DB_SCHEMA_NAME to another "
        f"schema, or, if this is the same engine on a rebuilt server, {_MIGRATE} with --adopt"
    )
    return [finding]


def _narrower(live: LiveSchema, kept: LiveSchema, session: Session) -> list[str]:
    """What the backup holds and the engine has no place for."""
    findings = []
    for table in CAMUNDA.tables:
        columns = [c.name for c in kept.columns.get(table.name, ()) if live.column(table.name, c.name) is None]
        lost = columns if table.name in live.tables else columns[:1]
        for column in lost:
            query = sql.SQL("SELECT EXISTS (SELECT 1 FROM {} AS t WHERE t.{} IS NOT NULL)").format(
                sql.Identifier(table.name), sql.Identifier(column)
            )
            row = session.execute(query).fetchone()
            if row is not None and row[0]:
                findings.append(
                    f"the backup holds values of {table.name}.{column}, for which the engine has no column any more: "
                    "restore to an engine of the release that wrote them"
                )
    return findings
