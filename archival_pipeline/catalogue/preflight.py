"""The look before the first write: do the live databases, their rights and the catalogue fit together?

A *finding* stops the run, a *warning* is shown. Each is a sentence that names the table, column or right and the way
out. Everything is read, nothing is changed. What is looked at is in three parts: the servers
(``preflight_servers.py``), the tables (``preflight_tables.py``), and here what needs a statement of its own.

Not here: the pairing of a backup with its primary (``pairing.py``), which writes. Whether a pooler in transaction mode
stands between cannot be told from one session; the operation lock notices when its session is lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.rows import scalar_row

from archival_pipeline.catalogue import (
    backup_tables,
    indexes,
    key_statements,
    lob_modes,
    preflight_servers,
    preflight_tables,
)
from archival_pipeline.catalogue.binding import ClobMode, bind
from archival_pipeline.catalogue.preflight_rights import Operation, missing_lock_rights, missing_rights
from archival_pipeline.catalogue.preflight_tables import Side, read_side
from archival_pipeline.database.sqlfiles import load_sql
from archival_pipeline.errors import PreflightError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from archival_pipeline.catalogue.model import Catalogue

__all__ = ["Operation", "Report", "check", "fingerprint"]


@dataclass(slots=True)
class Report:
    """What a check found.

    Attributes:
        findings: each stops the run.
        warnings: each is worth an operator's look and stops nothing.
    """

    findings: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def raise_if_findings(self) -> None:
        """Stop here unless the run may go on.

        Raises:
            PreflightError: there is at least one finding; it lists them all.
        """
        if self.findings:
            raise PreflightError(self.findings)


def check(
    primary_connection: psycopg.Connection[Any],
    backup_connection: psycopg.Connection[Any],
    catalogue: Catalogue,
    *,
    clob_mode: ClobMode,
    operation: Operation,
) -> Report:
    """Look at both databases.

    Args:
        primary_connection: a session on the engine's database, as the operation will use it.
        backup_connection: a session on the backup.
        catalogue: the engine's catalogue.
        clob_mode: how the primary stores character large objects.
        operation: what is about to be done; decides which side is written and which rights are needed.
    """
    primary, backup = read_side("primary", primary_connection), read_side("backup", backup_connection)
    report = Report(findings=list(preflight_servers.findings(primary.server, backup.server, operation)))
    schemas = list(preflight_servers.missing_schemas(primary.server, backup.server))
    if schemas:
        # Without a schema every further check would say the same thing once per table.
        report.findings += schemas
        return report
    report.findings += preflight_tables.primary_findings(catalogue, primary.schema)
    backup_indexes = indexes.read_indexes(backup_connection)
    report.findings += _about_backup(catalogue, primary, backup, backup_indexes)
    report.warnings += preflight_tables.further_unique_keys(catalogue, backup_indexes)
    for side in (primary, backup):
        report.findings += preflight_tables.side_findings(catalogue, side)
        role = side.server.role
        report.findings += missing_rights(catalogue, side.name, role, side.schema, operation)
        report.findings += missing_lock_rights(side.name, role, side.schema, side.lockable, operation)
        report.warnings += preflight_tables.trigger_warnings(catalogue, side)
    report.findings += preflight_tables.generated_findings(catalogue, primary.schema, operation)
    report.findings += _about_owners(primary_connection, catalogue, primary, clob_mode, operation)
    if not report.findings:
        # Most findings make this statement fail too; saying so twice helps nobody.
        report.findings += _about_keys(primary_connection, catalogue, primary, clob_mode)
    report.warnings += preflight_tables.unknown_tables(catalogue, primary.schema)
    report.warnings += preflight_tables.missing_indexes(
        catalogue, primary.schema, indexes.read_indexes(primary_connection)
    )
    return report


def fingerprint(connection: psycopg.Connection[Any], tables: Collection[str]) -> str:
    """Hash what the tables look like now; a change between two batches means that somebody altered them.

    Args:
        connection: a session on either side.
        tables: names of the owned tables.
    """
    with connection.cursor(row_factory=scalar_row) as cursor:
        return str(cursor.execute(load_sql("common/preflight_fingerprint"), {"tables": list(tables)}).fetchone())


def _about_keys(
    connection: psycopg.Connection[Any],
    catalogue: Catalogue,
    primary: Side,
    clob_mode: ClobMode,
) -> Iterable[str]:
    """Let the server plan the statement that finds all keys: it names a column or a comparison that does not fit."""
    statement = key_statements.resolve_keys(bind(catalogue, primary.schema, clob_mode))
    try:
        with connection.transaction():
            connection.execute(sql.SQL("EXPLAIN {}").format(statement), {"process": [], "left_sessions": []})
    except psycopg.ProgrammingError as error:
        yield (
            f"the primary cannot look up the keys of an instance: {error.diag.message_primary}; this release of the "
            "archive does not fit this release of the engine's schema, or the role has no right to a table"
        )


def _about_backup(
    catalogue: Catalogue, primary: Side, backup: Side, backup_indexes: Sequence[indexes.Index]
) -> list[str]:
    """What keeps the backup's tables from taking the primary's rows."""
    found = backup_tables.conflicts(catalogue, primary.schema, backup.schema)
    plan = backup_tables.plan_backup_tables(catalogue, primary.schema, backup.schema, backup_indexes)
    if plan:
        first = " ".join(plan[0].split())
        found.append(
            f"the backup's tables are {len(plan)} statement(s) behind the primary's, the first being «{first}»; run "
            "`archival-pipeline migrate`"
        )
    return found


def _about_owners(
    connection: psycopg.Connection[Any], catalogue: Catalogue, primary: Side, clob_mode: ClobMode, operation: Operation
) -> Iterable[str]:
    """Only the owner of a large object, or a member of that role, may read and unlink it."""
    if not operation.reads_primary_objects:
        return
    with connection.cursor(row_factory=scalar_row) as cursor:
        strangers = cursor.execute(load_sql("primary/preflight_object_owners")).fetchall()
    role = primary.server.role
    for owner in sorted(lob_modes.owners_of_references(connection, catalogue, primary.schema, clob_mode, strangers)):
        yield (
            f"large objects of the primary belong to the role {owner}, of which {role} is not a member, so that it can "
            f"neither read nor unlink them; run GRANT {owner} TO {role} on the primary"
        )
