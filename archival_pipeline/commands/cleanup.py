"""Commands for the history cleanup: report, run, backfill, orphans. Its archive's are in ``cleanup_archive.py``."""

from __future__ import annotations

import time
import uuid
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from pydantic.alias_generators import to_camel

from archival_pipeline.commands.output import ExitCode, JsonCommand, answer, table
from archival_pipeline.errors import ConfigurationError
from archival_pipeline.history.cleanup import metrics
from archival_pipeline.history.cleanup.archive.broom import archive_orphans
from archival_pipeline.history.cleanup.archive.opening import Target
from archival_pipeline.history.cleanup.backfill import backfill_removal_time
from archival_pipeline.history.cleanup.keeping import as_held
from archival_pipeline.history.cleanup.orphans import find_orphans, remove_orphans
from archival_pipeline.history.cleanup.report import forecast
from archival_pipeline.history.cleanup.running import Surroundings, clean
from archival_pipeline.history.cleanup.weekly import WeeklyWindows, deadline
from archival_pipeline.settings import load_backup
from archival_pipeline.settings_camunda import load_camunda
from archival_pipeline.settings_cleanup import load_archive, load_cleanup

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from rich.console import Console

    from archival_pipeline.settings_camunda import CamundaSettings
    from archival_pipeline.settings_cleanup import CleanupSettings

_YES = click.option("--yes", "agreed", is_flag=True, help="Do it; without this the command refuses.")
_IMMEDIATE = click.option("--immediate", is_flag=True, help="Run outside the window too, and past its end.")


@click.group()
def cleanup() -> None:
    """Remove expired history from a Camunda database, and what is wrong with it."""


@cleanup.command(cls=JsonCommand)
def report() -> None:
    """Say what a run would remove now, per process definition; reads only."""
    settings, own = configured()
    found = forecast(settings, as_held(own, load_backup()), _now())
    definitions = [{to_camel(name): value for name, value in asdict(one).items()} for one in found.definitions]

    def show(console: Console) -> None:
        names = ("key", "version", "historyTimeToLive", "finished", "cleanable")
        console.print(table("Cleanable", names, [[one[name] for name in names] for one in definitions]))
        show_rows(console, "Rows, estimated", found.rows)
        console.print(f"Hierarchies: {found.hierarchies}. Bytes, estimated: {found.size}.")

    document = {"hierarchies": found.hierarchies, "rowsPerTable": found.rows, "bytes": found.size}
    answer({**document, "definitions": definitions}, show)


@cleanup.command("run", cls=JsonCommand)
@_YES
@_IMMEDIATE
@click.option(
    "--mode",
    type=click.Choice(["hierarchical", "compatible"]),
    default="hierarchical",
    help="Whole hierarchies, or the engine's own rule: expired rows per table.",
)
@click.option("--archive", is_flag=True, help="Archive before removal, also where the setting does not say so.")
def run_now(*, agreed: bool, immediate: bool, mode: str, archive: bool) -> int:
    """Remove what is due until nothing is left or the window ends; `cleanup report` says first what that is.

    Exit code 4 if some hierarchies were locked all the time and wait for the next run.
    """
    _require(agreed=agreed)
    settings, own = configured()
    target = Target(load_archive(), str(uuid.uuid4())) if archive or own.archive_before_delete else None
    around = surroundings(settings, own, immediate=immediate)
    outcome = clean(settings, own, around, mode=mode, target=target, backup=load_backup())
    numbers = {_camel(name): value for name, value in metrics.numbers(outcome).items()}

    def show(console: Console) -> None:
        show_rows(console, "Rows per table", outcome.rows)
        console.print(table("Run", ("figure", "value"), [(name, str(value)) for name, value in numbers.items()]))

    rows = {name: count for name, count in outcome.rows.items() if count}
    document = {**numbers, "rowsPerTable": rows, "setAsideRoots": outcome.set_aside, "stopped": outcome.stopped}
    answer(document | {"archivedAs": target.run_id if target else None}, show)
    return ExitCode.QUARANTINED if outcome.set_aside else ExitCode.OK


@cleanup.command(cls=JsonCommand)
@_YES
@_IMMEDIATE
@click.option("--dry-run", is_flag=True, help="Only count the hierarchies without a removal time.")
def backfill(*, agreed: bool, immediate: bool, dry_run: bool) -> None:
    """Compute missing removal times of history that has ended, from its end and the time to live."""
    _require(agreed=agreed or dry_run)
    settings, own = configured()
    around = surroundings(settings, own, immediate=immediate or dry_run)
    done = backfill_removal_time(settings, own, around, dry_run=dry_run)
    document = {"hierarchies": done.roots, "rowsPerTable": dict(done.rows), "dryRun": dry_run, "stopped": done.stopped}

    def show(console: Console) -> None:
        show_rows(console, "Rows given a removal time", done.rows)
        console.print(f"Hierarchies: {done.roots}")

    answer(document, show)


@cleanup.command(cls=JsonCommand)
@_YES
@_IMMEDIATE
@click.option("--remove", is_flag=True, help="Remove them; without this they are only counted.")
def orphans(*, agreed: bool, immediate: bool, remove: bool) -> None:
    """Find rows without parent, byte arrays without owner and history that never expires; scans whole tables."""
    settings, own = configured()
    if remove:
        _require(agreed=agreed)
        around = surroundings(settings, own, immediate=immediate)
        kept = as_held(own, load_backup())
        if own.archive_before_delete:
            gone = archive_orphans(settings, kept, around, Target(load_archive(), str(uuid.uuid4())))
        else:
            gone = remove_orphans(settings, around, kept.holds.instances)
        answer({"removed": dict(gone)}, lambda console: show_rows(console, "Removed", gone))
        return
    found = find_orphans(settings)

    def show(console: Console) -> None:
        show_rows(console, "Rows without parent", found.without_parent)
        show_rows(console, "Ended instances that never expire", found.never_expiring)
        show_rows(console, "Rows that belong to nothing and never expire", found.never_expiring_rows)
        console.print(f"Byte arrays without owner: {found.contents} ({found.contents_size} bytes)")

    answer({to_camel(name): value for name, value in asdict(found).items()}, show)


def _now() -> datetime:
    return datetime.now(UTC)


def moment() -> datetime:
    """The present moment."""
    return _now()


def configured() -> tuple[CamundaSettings, CleanupSettings]:
    """The engine's database and the settings of its cleanup."""
    settings, own = load_camunda(), load_cleanup()
    if settings is None:
        raise ConfigurationError(
            "No Camunda database is configured.", resolve="Set CAMUNDA_DB_HOST and its companions."
        )
    return settings, own


def _require(*, agreed: bool) -> None:
    if not agreed:
        message = "This removes or changes rows: say --yes. `cleanup report` shows first what would go."
        raise click.UsageError(message)


def surroundings(settings: CamundaSettings, own: CleanupSettings, *, immediate: bool) -> Surroundings:
    """Real time, until the window's end."""
    closing = deadline(WeeklyWindows.of(own, settings.time_zone), _now(), immediate=immediate)
    return Surroundings(clock=_now, sleep=time.sleep, deadline=closing)


def _camel(name: str) -> str:
    return to_camel(name.replace(" ", "_").replace("-", "_"))


def show_rows(console: Console, title: str, rows: Mapping[str, Any] | Counter[str]) -> None:
    """Rows per table, without the empty ones."""
    console.print(table(title, ("", "rows"), [(name, count) for name, count in sorted(rows.items()) if count]))
