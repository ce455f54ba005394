"""Commands for interim data in Redis and S3: status, cleanup, sweep, tokens, restore, metrics."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from archival_pipeline.commands.output import ExitCode, JsonCommand, answer, table
from archival_pipeline.interim import metrics, service
from archival_pipeline.interim.service import opened, until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from archival_pipeline.interim.books import Store
    from archival_pipeline.interim.cleanup import Cleanup
    from archival_pipeline.interim.sweeper import SweepReport

_STORES: tuple[Store, ...] = ("redis", "files")
_STOP_AT = click.option(
    "--stop-at",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]),
    help="Begin nothing after this moment, with an offset; the next call goes on.",
)


@click.group()
def interim() -> None:
    """Remove interim data of processes: forms, payloads, signatures, files."""


@interim.command(cls=JsonCommand)
def status() -> None:
    """Show what was removed so far, what waits for which store and why, and what looks left behind."""
    with opened(service.load_places()) as everything:
        found = metrics.status(everything.books)

    def show(console: Console) -> None:
        done = [(figure, place, n) for figure, places in found["totals"].items() for place, n in places.items()]
        console.print(table("So far", ("figure", "place", "amount"), done))
        _show_rows(console, "Waiting", found["backlog"])
        _show_rows(console, "Left behind, as of the last sweep", found["orphans"])

    answer(found, show)


@interim.command(cls=JsonCommand)
@click.option("--retry-now", is_flag=True, help="Try at once what waits for its next attempt.")
@click.option("--from-the-beginning", is_flag=True, help="Read every ended process again; what is gone is no mistake.")
@_STOP_AT
def cleanup(*, retry_now: bool, from_the_beginning: bool, stop_at: datetime | None) -> int:
    """Remove the data of processes that have ended since the last time, and what waits from earlier.

    Safe to repeat and to run from several places at once. Exit code 1 if a store was down; its part waits.
    """
    with opened(service.load_places()) as everything:
        if from_the_beginning:
            everything.books.forget_cursor(everything.engine.name)
        if retry_now:
            everything.books.due_at_once()
        work = everything.cleanup(until(stop_at))
        read = work.read_ended(everything.places.interim.batch_size)
        reports = [asdict(everything.clean(store, work.stop)) for store in _present(work)]
        waiting = [asdict(one) for one in everything.books.backlog()]

    def show(console: Console) -> None:
        console.print(f"Processes that ended: {read}")
        for report in reports:
            _show_rows(console, report["store"], [_short(report)])
        _show_rows(console, "Waiting", waiting)

    answer({"ended": read, "stores": reports, "backlog": waiting}, show)
    return ExitCode.FAILED if any(report["down"] for report in reports) else ExitCode.OK


@interim.command(cls=JsonCommand)
@click.option("--dry-run", is_flag=True, help="List what looks left behind; remove nothing.")
@click.option("--grace-hours", type=click.IntRange(1), help="Instead of INTERIM_GRACE_HOURS.")
@_STOP_AT
def sweep(*, dry_run: bool, grace_hours: int | None, stop_at: datetime | None) -> int:
    """Remove data that no process leads to, once it has looked left behind for the grace period.

    A dry run writes down what it finds, so that its grace period begins; the stores are only read.
    """
    grace = None if grace_hours is None else timedelta(hours=grace_hours)
    with opened(service.load_places()) as everything:
        report = everything.sweeper(until(stop_at), grace).sweep(dry_run=dry_run)
        if not dry_run:
            everything.forget_expired()
    answer(asdict(report), lambda console: _show_sweep(console, report))
    return ExitCode.FAILED if report.down or report.failed else ExitCode.OK


@interim.command(cls=JsonCommand)
@click.option("--scrub", is_flag=True, help="Take out expired tokens of entries that no running process needs.")
@click.option(
    "--running-after-days",
    type=click.IntRange(0),
    help="With --scrub: those of running processes, too, so many days after they expired.",
)
@_STOP_AT
def tokens(*, scrub: bool, running_after_days: int | None, stop_at: datetime | None) -> None:
    """Count the access tokens that stand in form data in clear; with --scrub, take out those that nobody needs."""
    with opened(service.load_places()) as everything:
        keeper = everything.tokens(until(stop_at))
        if keeper is None:
            message = "No Redis is configured."
            raise click.UsageError(message)
        now = datetime.fromisoformat(everything.books.now()).timestamp()
        report = keeper.look(now, scrub=scrub, running_after_days=running_after_days)
        everything.books.add_totals({("scrubbed", keeper.redis.keyspaces.forms): report.scrubbed})
    answer(asdict(report), lambda console: _show_rows(console, "Tokens", [asdict(report)]))


@interim.command(cls=JsonCommand)
@click.argument("processes", nargs=-1)
@click.option("--audit-id", help="Every process that this restore has moved back to the engine's database.")
def restore(*, processes: tuple[str, ...], audit_id: str | None) -> int:
    """Put back what was kept of PROCESSES before it was removed, and read it there.

    What is there already is left alone; other content under the same name is reported. Safe to repeat. Exit code 1 if
    anything did not come back.
    """
    if not processes and audit_id is None:
        message = "Name processes, or the restore that moved them back: --audit-id."
        raise click.UsageError(message)
    with opened(service.load_places()) as everything:
        moved = everything.archive.restored_by(audit_id) if audit_id is not None else []
        report = everything.restorer().restore([*processes, *moved])

    def show(console: Console) -> None:
        _show_rows(console, "Restored", [{**asdict(report), "failed": len(report.failed)}])
        console.print(table("Did not come back", ("name", "reason"), list(report.failed.items())))

    answer(asdict(report), show)
    return ExitCode.FAILED if report.failed else ExitCode.OK


@interim.command(name="metrics", cls=JsonCommand)
def metrics_() -> None:
    """Print the numbers in the text format of Prometheus."""
    with opened(service.load_places()) as everything:
        text = metrics.exposition(everything.books)
    answer({"metrics": text}, lambda console: console.print(text, markup=False, soft_wrap=True))


def _present(work: Cleanup) -> list[Store]:
    there = {"redis": work.redis, "files": work.files}
    return [store for store in _STORES if there[store] is not None]


def _short(report: Mapping[str, Any]) -> dict[str, Any]:
    return {**report, "failed": len(report["failed"]), "on_hold": len(report["on_hold"])}


def _show_sweep(console: Console, report: SweepReport) -> None:
    rows = [(name, shape, age) for name, shape, age in report.shown]
    console.print(table("Looks left behind", ("name", "shape", "seconds"), rows))
    _show_rows(console, "Sweep", [{**asdict(report), "shown": len(rows)}])


def _show_rows(console: Console, title: str, rows: list[dict[str, Any]]) -> None:
    columns = list(rows[0]) if rows else []
    console.print(table(title, columns, [list(row.values()) for row in rows]))
