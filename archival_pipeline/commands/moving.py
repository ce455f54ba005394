"""The commands that move and delete: backup, restore, delete-bulk.

Each asks first, shows progress, and stops cleanly when a signal says so.
"""

from __future__ import annotations

import signal
import sys
import uuid
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from pydantic.alias_generators import to_camel
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from archival_pipeline.archival import operating, service
from archival_pipeline.archival.audit import AuditStep
from archival_pipeline.archival.direction import BACKUP, RESTORE, direction_of
from archival_pipeline.archival.filters import parse_filters, require_scope
from archival_pipeline.commands.output import ExitCode, JsonCommand, answer, complain, form_of_call, table
from archival_pipeline.commands.selecting import takes_filters, takes_options
from archival_pipeline.errors import CancelledError
from archival_pipeline.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from archival_pipeline.archival.direction import Direction
    from archival_pipeline.archival.filters import Filters
    from archival_pipeline.archival.operating import Outcome, Progress
    from archival_pipeline.archival.options import Options
    from archival_pipeline.settings import Settings

_SHOWN_TREES = 20
_OF_DELETION = ("database", "force", "onlyIfBackedUp")
_AGREED = click.option("--yes", "agreed", is_flag=True, help="Do not ask.")


class Stopped(KeyboardInterrupt):
    """A signal asked the command to stop. psycopg cancels the statement in flight for this base class alone.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(signal.Signals(number).name)


@click.command(cls=JsonCommand)
@takes_filters
@takes_options(*_OF_DELETION, "auditId")
@_AGREED
def backup(filters: Filters, options: Options, *, agreed: bool) -> int:
    """Move finished process trees from the primary to the backup, whole and verified.

    Safe to run again after any failure: the ledger knows what is done. Trees that may not leave are reported with the
    reason and left whole.
    """
    return _run(BACKUP, filters, options, agreed=agreed)


@click.command(cls=JsonCommand)
@takes_filters
@takes_options(*_OF_DELETION, "includeRunning")
@_AGREED
def restore(filters: Filters, options: Options, *, agreed: bool) -> int:
    """Move archived process trees from the backup back to the primary, whole and verified.

    The filters apply to the backup; --audit-id picks what one backup moved. Trees whose keys the engine has given to
    others are reported with the reason before anything is written.
    """
    return _run(RESTORE, filters, options, agreed=agreed)


@click.command("delete-bulk", cls=JsonCommand)
@click.argument("process_instance_ids", metavar="ID...", nargs=-1, required=True)
@takes_options("includeRunning", "auditId", "rootsOnly", "allowAll")
@_AGREED
def delete_bulk(process_instance_ids: tuple[str, ...], options: Options, *, agreed: bool) -> int:
    """Delete process instances with all their recursive children from one database.

    Refuses instances that are not over unless told --force; with --only-if-backed-up it deletes only what the other
    database holds with equal digests.
    """
    direction = direction_of("delete", options.database)
    return _run(direction, parse_filters({"piids": list(process_instance_ids)}), options, agreed=agreed)


def _run(direction: Direction, filters: Filters, options: Options, *, agreed: bool) -> int:
    require_scope(filters, options.allow_all or options.audit_id is not None)
    must_ask = not (agreed or options.dry_run)
    if must_ask and not (sys.stdin.isatty() and sys.stderr.isatty()):
        message = (
            "This moves or deletes rows, and nobody can be asked here: say --yes, or --dry-run to see what would go."
        )
        raise click.UsageError(message)
    settings = load_settings()
    if must_ask and not _agrees(settings, direction, filters, options.audit_id):
        click.echo("Nothing was done.", err=True)
        return ExitCode.FAILED
    form = form_of_call()
    form.audit_id = str(uuid.uuid4())
    try:
        with stoppable(), _progress(shown=not form.json) as progress:
            outcome = operating.run(settings, direction, form.audit_id, filters, options, progress)
    except Stopped as stop:
        complain(CancelledError.code, f"The {direction.operation} was stopped by {stop}.", GO_ON)
        return 128 + stop.number
    except CancelledError as error:
        complain(error.code, error.summary, error.resolve)
        return ExitCode.INTERRUPTED
    document = _document(outcome, direction, options)
    answer(document, lambda console: _show(console, outcome, options))
    return ExitCode.QUARANTINED if outcome.totals.trees_quarantined else ExitCode.OK


GO_ON = "Finished batches stay finished; run the same command again to go on."


def _agrees(settings: Settings, direction: Direction, filters: Filters, audit_id: str | None) -> bool:
    sides = {"primary": settings.primary, "backup": settings.backup}
    origin, destination = sides[direction.origin], sides[direction.destination]
    if audit_id is None:
        selected = f"{service.count(settings, filters, direction.origin)} instance(s) are"
    else:
        selected = f"{service.count_moved(settings, audit_id, filters, direction.origin)} tree(s) of {audit_id} are"
    doing = f"Move them with their descendants to {destination.database} on {destination.host}?"
    if not direction.copies:
        doing = "Delete them with their descendants?"
    found = f"{selected} selected in {origin.database} on {origin.host} (the {direction.origin})."
    return click.confirm(f"{found} {doing}", err=True)


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into :class:`Stopped`; later ones find the work being ended already."""
    numbers = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not signal.SIG_IGN]

    def stop(number: int, _: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _progress(*, shown: bool) -> Iterator[Callable[[Progress], None]]:
    """A bar on standard error that counts batches."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True, disable=not shown) as bar:
        task = bar.add_task("count", total=None)

        def tell(progress: Progress) -> None:
            bar.update(task, description=str(progress.step), total=progress.plan.batches if progress.plan else None)
            if progress.step is AuditStep.DELETE and progress.wave is not None:
                bar.advance(task, progress.wave.batches)

        yield tell


def _document(outcome: Outcome, direction: Direction, options: Options) -> dict[str, Any]:
    return {
        "message": (
            "Dry run completed; nothing was changed"
            if options.dry_run
            else f"{direction.operation.capitalize()} completed successfully"
        ),
        "auditId": outcome.audit_id,
        "dryRun": options.dry_run,
        **_camel(asdict(outcome.totals)),
        "rowsPerTable": outcome.work.rows,
        "stayed": [_camel(asdict(report)) for report in outcome.stayed],
    } | ({"treesToMove": outcome.work.trees, "rowsToMove": outcome.work.row_count} if options.dry_run else {})


def _camel(values: dict[str, Any]) -> dict[str, Any]:
    return {to_camel(name): value for name, value in values.items()}


def _show(console: Console, outcome: Outcome, options: Options) -> None:
    totals = outcome.totals
    console.print(table("Rows per table", ("table", "rows"), sorted(outcome.work.rows.items())))
    if outcome.stayed:
        rows = [[report.root_id, report.outcome, report.reason, report.detail] for report in outcome.stayed]
        title = f"{len(rows)} tree(s) stay" + (f"; the first {_SHOWN_TREES}" if len(rows) > _SHOWN_TREES else "")
        console.print(table(title, ("root", "outcome", "reason", "detail"), rows[:_SHOWN_TREES]))
    moved = f"would move {outcome.work.trees}" if options.dry_run else f"moved {totals.trees_moved}"
    console.print(
        f"Trees: {moved}, left {totals.trees_skipped}, quarantined {totals.trees_quarantined}. "
        f"Rows: {outcome.work.row_count}. Audit: {outcome.audit_id}",
        markup=False,
        soft_wrap=True,
    )
