"""Commands that keep the two databases fit: migrate, check, pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from archival_pipeline.archival import service
from archival_pipeline.commands.output import ExitCode, JsonCommand, answer
from archival_pipeline.settings import load_settings

if TYPE_CHECKING:
    from rich.console import Console

    from archival_pipeline.archival.service import Which


@click.command(cls=JsonCommand)
@click.option("--sql", "as_sql", is_flag=True, help="Print the statements for a DBA instead of executing them.")
@click.option("--primary-only", "only", flag_value="primary", default=None, help="Leave the backup as it is.")
@click.option("--backup-only", "only", flag_value="backup", default=None, help="Leave the primary as it is.")
def migrate(*, as_sql: bool, only: Which | None) -> None:
    """Bring both databases to this release; the backup's tables follow the live primary.

    Safe to repeat, and to run from several places at once. Nothing is dropped and no row is changed. The primary gets
    functions that select instances, and nothing else.
    """
    settings = load_settings()
    which: tuple[Which, ...] = (only,) if only else service.BOTH
    if as_sql:
        script = service.migration_script(settings, which)
        answer({"sql": script}, lambda console: console.print(script, markup=False, soft_wrap=True))
        return
    statements = service.migrate(settings, which)

    def show(console: Console) -> None:
        for statement in statements:
            console.print(f"{statement};", markup=False, soft_wrap=True)
        console.print(f"Up to date: {', '.join(which)}. Statements on the backup's tables: {len(statements)}.")

    answer({"migrated": list(which), "backupTableStatements": statements}, show)


@click.command(cls=JsonCommand)
def check() -> int:
    """Look at both databases as a backup would before it writes; exit code 1 if something would stop it."""
    report = service.check(load_settings())

    def show(console: Console) -> None:
        for kind, lines in (("finding", report.findings), ("warning", report.warnings)):
            for line in lines:
                console.print(f"{kind}: {line}", markup=False, soft_wrap=True)
        console.print(f"{len(report.findings)} finding(s), {len(report.warnings)} warning(s)")

    answer({"findings": report.findings, "warnings": report.warnings}, show)
    return ExitCode.FAILED if report.findings else ExitCode.OK


@click.command(cls=JsonCommand)
@click.option(
    "--force",
    is_flag=True,
    help="Say that the configured primary is the engine whose instances the backup holds; nothing can check it.",
)
def pair(*, force: bool) -> None:
    """Pair the backup with the configured primary anew, after the engine's database was rebuilt or upgraded."""
    if not force:
        message = "The backup keeps its pairing unless you say --force; read what it means in --help first."
        raise click.UsageError(message)
    settings = load_settings()
    service.pair(settings)
    message = f"The backup now serves {settings.primary.database} on {settings.primary.host}:{settings.primary.port}."
    answer({"message": message}, lambda console: console.print(message, markup=False))
