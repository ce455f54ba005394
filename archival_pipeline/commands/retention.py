"""Commands for times to live: what has expired in the primary or the backup, and its removal."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import click
from pydantic.alias_generators import to_camel

from archival_pipeline.archival import retention as retaining
from archival_pipeline.commands.moving import GO_ON, Stopped, stoppable
from archival_pipeline.commands.output import ExitCode, JsonCommand, answer, complain, form_of_call, table
from archival_pipeline.errors import CancelledError
from archival_pipeline.settings import load_settings
from archival_pipeline.settings_retention import load_backup_retention, load_process_cleanup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from archival_pipeline.archival.direction import Side
    from archival_pipeline.settings_retention import Retention

_SIDE = click.argument("database", type=click.Choice(("primary", "backup")))


@click.group()
def retention() -> None:
    """Remove process trees for good that have outlived their time, from the primary or the backup."""


@retention.command(cls=JsonCommand)
@_SIDE
def report(database: str) -> None:
    """Say what a run would remove now, per process definition; reads only."""
    told = retaining.forecast(load_settings(), cast("Side", database), retaining.expiry_of(_part(database)))
    definitions = [_camel(asdict(one)) for one in told.definitions]

    def show(console: Console) -> None:
        names = ("processName", "processId", "days", "ended", "cleanable")
        console.print(table("Cleanable", names, [[one[name] for name in names] for one in definitions]))
        _show(console, "Rows, estimated", told.rows)
        _show(console, "Trees that stay", told.stayed)
        console.print(f"Trees: {told.trees}. Instances: {told.instances}. Bytes, estimated: {told.size}.")

    answer(
        {
            "trees": told.trees,
            "instances": told.instances,
            "rowsPerTable": dict(told.rows),
            "bytes": told.size,
            "stayed": dict(told.stayed),
            "definitions": definitions,
        },
        show,
    )


@retention.command("run", cls=JsonCommand)
@_SIDE
@click.option("--yes", "agreed", is_flag=True, help="Do it; without this the command refuses.")
@click.option("--immediate", is_flag=True, help="Run outside the window too, and past its end.")
def run_now(database: str, *, agreed: bool, immediate: bool) -> int:
    """Remove what has expired until nothing is left or the window ends; `retention report` says first what that is."""
    if not agreed:
        message = "This removes rows for good: say --yes. `retention report` shows first what would go."
        raise click.UsageError(message)
    settings, part = load_settings(), _part(database)
    closing = retaining.deadline(part, settings.engine.time_zone, datetime.now(UTC), immediate=immediate)
    form = form_of_call()
    form.audit_id = str(uuid.uuid4())
    side, expiry = cast("Side", database), retaining.expiry_of(part)
    try:
        with stoppable():
            expired = retaining.run(settings, side, expiry, form.audit_id, stop_at=closing, pause_ms=part.pause_ms)
    except Stopped as stop:
        complain(CancelledError.code, f"The removal was stopped by {stop}.", GO_ON)
        return 128 + stop.number
    except CancelledError as error:
        complain(error.code, error.summary, error.resolve)
        return ExitCode.INTERRUPTED

    def show(console: Console) -> None:
        _show(console, "Rows per table", expired.rows)
        _show(console, "Trees that stay", expired.stayed)
        console.print(f"Trees: {expired.trees}. Instances: {expired.instances}. Left over: {expired.left}.")

    document = _camel(asdict(expired))
    answer({"rowsPerTable": document.pop("rows"), **document}, show)
    return ExitCode.QUARANTINED if expired.quarantined else ExitCode.OK


def _part(database: str) -> Retention:
    return load_backup_retention() if database == "backup" else load_process_cleanup()


def _camel(document: Mapping[str, Any]) -> dict[str, Any]:
    return {to_camel(name): value for name, value in document.items()}


def _show(console: Console, title: str, counts: Mapping[str, int]) -> None:
    console.print(table(title, ("", "number"), sorted(counts.items())))
