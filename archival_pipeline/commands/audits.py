"""Commands that read the audit: what operations there were, how far they are, what each step did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from archival_pipeline.archival import service
from archival_pipeline.archival.audit import AuditCriteria, AuditStatus, AuditType, as_rest
from archival_pipeline.commands.asking import paged
from archival_pipeline.commands.output import JsonCommand, answer, table
from archival_pipeline.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.table import Table

    from archival_pipeline.archival.audit import AuditRow

_LIST = {
    "auditId": "audit_id",
    "type": "audit_type",
    "status": "audit_status",
    "process": "process_name",
    "total": "total_count",
    "done": "processed_count",
    "stayed": "skipped_count",
    "error": "error_code",
    "at": "created_at",
}
_TIMELINE = {
    "step": "step",
    "status": "audit_status",
    "batch": "batch_number",
    "of": "total_batches",
    "done": "processed_count",
    "stayed": "skipped_count",
    "error": "error_code",
    "summary": "error_summary",
    "at": "created_at",
}
_MOMENT = click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z"])


def _criteria(function: Callable[..., Any]) -> Callable[..., Any]:
    options = (
        click.option("--audit-type", type=click.Choice([kind.value for kind in AuditType]), help="Kind of operation."),
        click.option(
            "--audit-status",
            type=click.Choice([status.value for status in AuditStatus]),
            help="How far the operation is.",
        ),
        click.option("--process-name", help="The process name that was asked for."),
        click.option("--deployment-id", help="The deployment that was asked for."),
        click.option("--from", "since", type=_MOMENT, help="Latest row at this moment or later, with an offset."),
        click.option("--to", "until", type=_MOMENT, help="Latest row before this moment, with an offset."),
    )
    for option in reversed(options):
        function = option(function)
    return function


@click.group()
def audits() -> None:
    """Read the audit of the operations; a row tells about one step, and the newest one how far the operation is."""


@audits.command("list", cls=JsonCommand)
@_criteria
@paged
def list_audits(page_size: int, page_number: int, **criteria: Any) -> None:
    """List the newest row of each audit, newest audit first."""
    rows, total = service.audits(
        load_settings(), AuditCriteria(**criteria), page_size=page_size, page_number=page_number
    )
    document = {"totalCount": total, "audits": [as_rest(row) for row in rows]}
    answer(document, lambda console: console.print(_table(f"{total} audit(s)", _LIST, rows)))


@audits.command(cls=JsonCommand)
@click.argument("audit_id")
def latest(audit_id: str) -> None:
    """Show the newest row of one audit."""
    row = service.audit_latest(load_settings(), audit_id)
    fields = [[name, value] for name, value in as_rest(row).items() if value is not None]
    answer(as_rest(row), lambda console: console.print(table(audit_id, ("field", "value"), fields)))


@audits.command(cls=JsonCommand)
@click.argument("audit_id")
@paged
def show(audit_id: str, page_size: int, page_number: int) -> None:
    """Show the rows of one audit, oldest first."""
    rows, total = service.audit_timeline(load_settings(), audit_id, page_size=page_size, page_number=page_number)
    document = {"totalCount": total, "audits": [as_rest(row) for row in rows]}
    answer(document, lambda console: console.print(_table(f"{audit_id}: {total} row(s)", _TIMELINE, rows)))


@audits.command(cls=JsonCommand)
@_criteria
def summary(**criteria: Any) -> None:
    """Count the audits."""
    total = service.audit_count(load_settings(), AuditCriteria(**criteria))
    answer({"totalCount": total}, lambda console: console.print(total))


def _table(title: str, columns: dict[str, str], rows: Sequence[AuditRow]) -> Table:
    return table(title, list(columns), ([row.get(name) for name in columns.values()] for row in rows))
