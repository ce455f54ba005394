"""Commands that read: count, find, children, generate-sql."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from archival_pipeline.archival import service
from archival_pipeline.archival.filters import parse_filters
from archival_pipeline.commands.output import JsonCommand, answer
from archival_pipeline.commands.selecting import takes_filters
from archival_pipeline.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from archival_pipeline.archival.filters import Filters
    from archival_pipeline.archival.service import Which


def _read_ids(_: click.Context, __: click.Parameter, given: Sequence[str]) -> tuple[int, ...]:
    return parse_filters({"piids": list(given)}).piids or ()


_ids = click.argument("ids", nargs=-1, required=True, metavar="ID...", callback=_read_ids)
_database = click.option(
    "--database", type=click.Choice(service.BOTH), default="primary", show_default=True, help="Which database to ask."
)


def paged(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the two options of a paginated answer."""
    size = click.option("--page-size", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Per page.")
    number = click.option("--page-number", type=click.IntRange(1), default=1, show_default=True, help="Counts from 1.")
    return size(number(function))


@click.command(cls=JsonCommand)
@takes_filters
@_database
def count(filters: Filters, database: Which) -> None:
    """Count the process instances that the filters pick."""
    total = service.count(load_settings(), filters, database)
    answer({"totalCount": total}, lambda console: console.print(total))


@click.command(cls=JsonCommand)
@takes_filters
@paged
@_database
def find(filters: Filters, database: Which, page_size: int, page_number: int) -> None:
    """List the ids of the process instances that the filters pick, in order."""
    found = service.find(load_settings(), filters, page_size=page_size, page_number=page_number, database=database)
    answer({"processInstanceIds": found}, lambda console: console.print(_lines(found), end=""))


@click.command(cls=JsonCommand)
@_ids
@_database
def children(ids: tuple[int, ...], database: Which) -> None:
    """List all descendants of the given instances; those given are left out."""
    found = service.children(load_settings(), ids, database)
    answer({"childProcessInstanceIds": found}, lambda console: console.print(_lines(found), end=""))


@click.command("generate-sql", cls=JsonCommand)
@_ids
def generate_sql(ids: tuple[int, ...]) -> None:
    """Print the transaction that would put the instances and their descendants into the backup.

    The script holds the rows' values. It is for rehearsals and for reading; a backup checks more than it does.
    """
    lines = service.generate_sql(load_settings(), ids)
    answer({"backupSqlScript": lines}, lambda console: console.out("\n".join(lines), highlight=False))


def _lines(ids: Sequence[int]) -> str:
    return "".join(f"{number}\n" for number in ids)
