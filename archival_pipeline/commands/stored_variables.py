"""Commands on stored variable snapshots: make the tables, store, list, show, sweep."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from archival_pipeline.commands.output import JsonCommand, answer, table
from archival_pipeline.commands.variables import answer_snapshot
from archival_pipeline.settings_variables import load_stored_snapshots
from archival_pipeline.variables import documents, service, storing
from archival_pipeline.variables import stored as stored_snapshots

if TYPE_CHECKING:
    from rich.console import Console

_TIME = click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d"])


@click.group()
def stored() -> None:
    """Snapshots that are stored by reference to history rows, for activities that were asked for."""


@stored.command(cls=JsonCommand)
@click.option("--sql", "as_sql", is_flag=True, help="Print the statements for a DBA instead of executing them.")
def migrate(*, as_sql: bool) -> None:
    """Make the schema and the tables of stored snapshots in the Camunda database, or bring them to this release."""
    settings = service.camunda()
    if as_sql:
        script = storing.script(settings)
        answer({"sql": script}, lambda console: console.print(script, markup=False, soft_wrap=True))
        return
    storing.prepare(settings)
    schema = settings.snapshots_schema
    answer({"schema": schema}, lambda console: console.print(f"Up to date: the schema {schema}.", markup=False))


@stored.command(cls=JsonCommand)
@click.option(
    "--since", type=_TIME, help="From when on to look, such as 2026-03-01; otherwise where the last run ended."
)
@click.option("--limit", type=click.IntRange(1), default=100_000, show_default=True, help="Stop after so many.")
def store(since: datetime | None, limit: int) -> None:
    """Store snapshots of the activities that VARIABLES_STORED_SNAPSHOTS names, as far as there are none yet."""
    if since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    wanted = load_stored_snapshots().activities
    done = storing.store(service.camunda(), wanted, now=datetime.now(UTC), since=since, limit=limit)

    def show_it(console: Console) -> None:
        console.print(f"{done.stored} snapshot(s) stored, {done.swept} swept.")
        for instance, reason in done.refused.items():
            console.print(f"{instance}: {reason}", markup=False, soft_wrap=True)
        if done.postponed:
            console.print("The history is being cleaned; run it again later.")
        elif done.more:
            console.print("There are more; run it again.")

    told = {"stored": done.stored, "variables": done.variables, "refused": done.refused, "swept": done.swept}
    answer(told | {"more": done.more, "postponed": done.postponed}, show_it)


@stored.command("list", cls=JsonCommand)
@click.option("--key", help="Only of this process definition key.")
@click.option("--activity-id", help="Only of this activity of the model.")
@click.option("--process-instance", "process_instance_id", help="Only of this process instance.")
@click.option("--at", "boundary", type=click.Choice(["start", "end"]), help="Only of this boundary.")
@click.option("--page-number", type=click.IntRange(1), default=1, show_default=True, help="Page, from 1.")
@click.option("--page-size", type=click.IntRange(1, 1000), default=100, show_default=True, help="Rows per page.")
def list_stored(**wanted: Any) -> None:
    """List stored snapshots over all process instances, newest first."""
    settings = service.camunda()
    rows, total = service.stored_page(settings, stored_snapshots.Wanted(**wanted))
    found = documents.stored(rows, ZoneInfo(settings.time_zone))
    columns = ("storedSnapshotId", "processInstanceId", "activityInstanceId", "at", "time", "variables", "refusal")
    drawn = table(f"{total} stored snapshot(s)", columns, ([row[name] for name in columns] for row in found))
    answer({"totalCount": total, "storedSnapshots": found}, lambda console: console.print(drawn))


@stored.command(cls=JsonCommand)
@click.argument("stored_snapshot_id", type=click.IntRange(1))
def show(stored_snapshot_id: int) -> None:
    """Show a stored snapshot with its values, which are read from the history."""
    wanted = service.Moment(stored_id=stored_snapshot_id)
    answer_snapshot(documents.snapshot(service.show(service.camunda(), wanted, now=datetime.now(UTC))))


@stored.command(cls=JsonCommand)
def sweep() -> None:
    """Remove stored snapshots whose history somebody else removed, such as the engine's own cleanup."""
    gone = storing.sweep(service.camunda(), now=datetime.now(UTC))
    answer({"swept": gone}, lambda console: console.print(f"{gone} stored snapshot(s) removed."))
