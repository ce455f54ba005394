"""Commands for history that was archived before it was removed: migrate, archived, restore, expire."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click
from pydantic.alias_generators import to_camel

from archival_pipeline.commands import cleanup as shared
from archival_pipeline.commands.output import ExitCode, JsonCommand, answer, table
from archival_pipeline.errors import ConfigurationError
from archival_pipeline.history.cleanup.archive import expiring, opening, service
from archival_pipeline.history.cleanup.archive.opening import Target
from archival_pipeline.history.cleanup.running import Surroundings
from archival_pipeline.settings_cleanup import load_archive

if TYPE_CHECKING:
    from rich.console import Console


@click.command(cls=JsonCommand)
@click.option(
    "--adopt",
    is_flag=True,
    help="Say that the configured engine is the one whose history the backup holds; nothing can check it.",
)
def migrate(*, adopt: bool) -> None:
    """Bring the backup to this release, and its tables of the history up to the live engine's; safe to repeat."""
    settings, _ = shared.configured()
    statements = opening.migrate(settings, load_archive(), adopt=adopt)

    def show(console: Console) -> None:
        for statement in statements:
            console.print(f"{statement};", markup=False, soft_wrap=True)
        console.print(f"Up to date. Statements on the backup's tables: {len(statements)}.")

    answer({"backupTableStatements": statements}, show)


@click.command(cls=JsonCommand)
def archived() -> int:
    """Say how many hierarchies, and sets of rows without one, stand where; exit code 4 if one has a problem."""
    found = service.totals(load_archive())
    units = [{to_camel(name): value for name, value in row.items()} for row in found]
    columns = ("kind", "operation", "state", "units", "withProblem")

    def show(console: Console) -> None:
        console.print(table("Archive", columns, [[str(unit[name]) for name in columns] for unit in units]))

    answer({"units": units}, show)
    return ExitCode.QUARANTINED if any(unit["withProblem"] for unit in units) else ExitCode.OK


@click.command(cls=JsonCommand)
@click.option("--instance", "instances", multiple=True, help="A process instance; its whole hierarchy comes back.")
@click.option("--business-key", "business_keys", multiple=True, help="Of any instance of a hierarchy.")
@click.option("--definition", "definitions", multiple=True, help="Process definition key of any instance.")
@click.option("--run", "runs", multiple=True, help="All that one run archived, rows without a hierarchy included.")
@click.option("--all", "everything", is_flag=True, help="All that is archived.")
@click.option("--dry-run", is_flag=True, help="Only count what would come back.")
@click.option("--yes", "agreed", is_flag=True, help="Do it; without this the command refuses.")
def restore(
    *,
    instances: tuple[str, ...],
    business_keys: tuple[str, ...],
    definitions: tuple[str, ...],
    runs: tuple[str, ...],
    everything: bool,
    dry_run: bool,
    agreed: bool,
) -> int:
    """Bring archived history back into the engine's tables, verified, and remove it from the backup.

    Exit code 4 if something was refused: it stays in the backup as it was.
    """
    if not (agreed or dry_run):
        message = "This writes into the engine's history: say --yes. With --dry-run it only counts."
        raise click.UsageError(message)
    settings, own = shared.configured()
    wanted = service.Wanted(list(instances), list(business_keys), list(definitions), list(runs), everything)
    around = Surroundings(clock=shared.moment, sleep=time.sleep)
    done = service.restore(settings, own, around, Target(load_archive(), ""), wanted, dry_run=dry_run)
    document = {
        "dryRun": dry_run,
        "hierarchies": done.hierarchies,
        "setsOfRows": done.loose,
        "rowsPerTable": dict(done.rows),
        "refused": done.refused,
        "dueAgain": done.due,
    }

    def show(console: Console) -> None:
        shared.show_rows(console, "Rows that come back" if dry_run else "Rows that came back", done.rows)
        console.print(f"Hierarchies: {done.hierarchies}. Due for the next cleanup: {done.due}.")
        for unit, reason in done.refused.items():
            console.print(f"refused: {unit}: {reason}", markup=False, soft_wrap=True)

    answer(document, show)
    return ExitCode.QUARANTINED if done.refused else ExitCode.OK


@click.command(cls=JsonCommand)
@click.option("--dry-run", is_flag=True, help="Only count what would go.")
@click.option("--yes", "agreed", is_flag=True, help="Do it; without this the command refuses.")
@click.option("--immediate", is_flag=True, help="Run outside the window too, and past its end.")
def expire(*, dry_run: bool, agreed: bool, immediate: bool) -> int:
    """Remove archived history for good that has outlived `historyArchiveTimeToLive`; `--dry-run` counts it.

    Exit code 4 if some has outlived it and waits for a person.
    """
    if not (agreed or dry_run):
        message = "This removes archived history for good: say --yes. With --dry-run it only counts."
        raise click.UsageError(message)
    settings, own = shared.configured()
    if own.archive_days is None:
        raise ConfigurationError(
            "Archived history has no time to live, so it never expires.", resolve="Set historyArchiveTimeToLive."
        )
    around = shared.surroundings(settings, own, immediate=immediate or dry_run)
    done = expiring.expire(settings, own, around, Target(load_archive(), ""), dry_run=dry_run)

    def show(console: Console) -> None:
        shared.show_rows(console, "Rows that would go" if dry_run else "Rows that went", done.rows)
        console.print(f"Hierarchies: {done.hierarchies}. Sets of rows: {done.loose}. On hold: {done.held}.")
        console.print(f"With a problem: {done.problems}. Left over: {done.left}.")

    document = {
        "dryRun": dry_run,
        "hierarchies": done.hierarchies,
        "setsOfRows": done.loose,
        "rowsPerTable": dict(done.rows),
        "onHold": done.held,
        "withProblem": done.problems,
        "leftOver": done.left,
        "stopped": done.stopped,
    }
    answer(document, show)
    return ExitCode.QUARANTINED if done.problems else ExitCode.OK
