"""Commands of the Imixs backup: backup, full-backup, verify, restore, queue, unlock, status, metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from archival_pipeline.commands.output import ExitCode, JsonCommand, answer, table
from archival_pipeline.imixs import metrics, service
from archival_pipeline.imixs.failures import UnreachableError
from archival_pipeline.imixs.requests import parse_restore
from archival_pipeline.settings_imixs import load_imixs

if TYPE_CHECKING:
    from rich.console import Console

    from archival_pipeline.imixs.results import Report


@click.group()
def imixs() -> None:
    """Back up the snapshots of an Imixs instance to external storage, and restore them."""


@imixs.command(cls=JsonCommand)
@click.option("--limit", type=click.IntRange(1), default=service.NO_LIMIT, help="Stop after so many entries.")
@click.option("--accept-gone", is_flag=True, help="Delete entries of documents that are gone, however many they are.")
def backup(limit: int, *, accept_gone: bool) -> int:
    """Store the snapshots that the event log names."""
    return _tell(service.backup(load_imixs(), limit=limit, accept_gone=accept_gone))


@imixs.command("full-backup", cls=JsonCommand)
def full_backup() -> int:
    """Walk over all documents; store what is missing, older than the instance has it, or damaged."""
    return _tell(service.full_backup(load_imixs()))


@imixs.command(cls=JsonCommand)
@click.option("--sample", type=click.IntRange(1), help="Only so many files, those not looked at for longest.")
def verify(sample: int | None) -> int:
    """Read the files back, and hold them against the record."""
    return _tell(service.verify(load_imixs(), limit=sample))


@imixs.command(cls=JsonCommand)
@click.option("--since", help="Snapshots made at this moment or later; ISO 8601 with offset.")
@click.option("--until", help="Snapshots made before this moment; ISO 8601 with offset.")
@click.option("--filter", "filters", multiple=True, metavar="ITEM=REGEX", help="Every value of the item must match.")
@click.option("--document-id", help="This document only.")
@click.option("--snapshot-id", help="This snapshot only, from the history if it stands there.")
@click.option("--dry-run", is_flag=True, help="Only say what would be restored.")
@click.option("--force", is_flag=True, help="Overwrite documents that the instance has in a newer state, too.")
def restore(filters: tuple[str, ...], **asked: Any) -> int:
    """Bring documents back into the instance; newer data is left alone unless it is forced."""
    pairs = [text.partition("=") for text in filters]
    given = {name: value for name, value in asked.items() if value is not None}
    given["filters"] = [{"item": item, "pattern": pattern} for item, _, pattern in pairs]
    wish = parse_restore(given)
    return _tell(service.restore(load_imixs(), wish))


@imixs.command(cls=JsonCommand)
def queue() -> None:
    """Show what waits in the event log, and what is locked there."""
    found = service.queue(load_imixs())

    def show(console: Console) -> None:
        more = " or more" if found["more"] else ""
        console.print(f"{found['topic']}: {found['waiting']}{more} waiting, the oldest since {found['oldest'] or '-'}")
        rows = [list(entry.values()) for entry in found["locked"]]
        if rows:
            console.print(table("Locked", ("entry", "snapshot", "queued", "by us"), rows))

    answer(found, show)


@imixs.command(cls=JsonCommand)
@click.argument("event_ids", nargs=-1, required=True, metavar="EVENT_ID...")
def unlock(event_ids: tuple[str, ...]) -> None:
    """Unlock entries of the event log that another service has left locked; make sure that it does not run."""
    number = service.unlock(load_imixs(), list(event_ids))
    answer({"unlocked": number}, lambda console: console.print(f"Unlocked: {number}"))


@imixs.command(cls=JsonCommand)
def status() -> None:
    """Show what the backup space holds, and the latest runs."""
    found = service.status(load_imixs())
    for run in found["latestRuns"]:
        run |= {name: run[name].isoformat() if run[name] else None for name in ("started_at", "ended_at")}
    for row in (found["totals"], *found["operations"]):
        row |= {name: float(value) for name, value in row.items() if type(value).__name__ == "Decimal"}

    def show(console: Console) -> None:
        console.print(table(found["space"], ("what", "number"), [[k, v] for k, v in found["totals"].items()]))
        columns = ("operation", "status", "began", "ended", "problem")
        rows = [
            [run["operation"], run["status"], run["started_at"], run["ended_at"], run["problem"]]
            for run in found["latestRuns"]
        ]
        console.print(table("Latest runs", columns, rows))

    answer(found, show)


@imixs.command("metrics", cls=JsonCommand)
def show_metrics() -> None:
    """Print the numbers in the form that Prometheus reads, for a text-file collector."""
    settings = load_imixs()
    found = service.status(settings)
    try:
        waiting: int | None = service.waiting(settings)
    except UnreachableError:
        # The space's own numbers are of use then, too.
        waiting = None
    text = metrics.render(found, waiting)
    answer({"metrics": text}, lambda console: console.out(text, highlight=False, end=""))


def _tell(report: Report) -> int:
    document = {
        "numbers": dict(report.numbers),
        "problem": report.problem(),
        "problems": [
            {"what": problem.what, "code": problem.code, "summary": problem.summary} for problem in report.problems
        ],
    }

    def show(console: Console) -> None:
        rows = [[name.replace("_", " "), number] for name, number in sorted(report.numbers.items())]
        console.print(table("Numbers", ("what", "number"), rows))
        if report.problems:
            lines = [[problem.what, problem.code, problem.summary] for problem in report.problems]
            console.print(table("Problems", ("what", "code", "summary"), lines))

    answer(document, show)
    return ExitCode.OK if report.is_good else ExitCode.FAILED
