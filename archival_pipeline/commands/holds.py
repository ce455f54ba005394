"""Commands for legal holds: add, list, release."""

from __future__ import annotations

import os
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import click
from pydantic.alias_generators import to_camel

from archival_pipeline.archival import holding
from archival_pipeline.commands.output import ExitCode, JsonCommand, answer, table
from archival_pipeline.history.cleanup import keeping
from archival_pipeline.settings import BackupSettings, load_settings, read_part
from archival_pipeline.settings_camunda import load_camunda

if TYPE_CHECKING:
    from rich.console import Console

    from archival_pipeline.catalogue.holds import EngineName, Hold, Kind

_KINDS = ("instance", "business-key", "definition")
_ENGINES = ("jbpm", "camunda")
_COLUMNS = ("holdId", "engine", "kind", "value", "reason", "placedBy", "placedAt", "releasedAt")
_REASON = click.option("--reason", required=True, help="Why, for whoever reads it years from now.")
_BY = click.option("--by", required=True, metavar="NAME", help="The person who answers for it.")


@click.group()
def hold() -> None:
    """Keep instances, business keys or process definitions from being removed for good."""


@hold.command(cls=JsonCommand)
@click.argument("kind", type=click.Choice(_KINDS))
@click.argument("value")
@click.option("--engine", type=click.Choice(_ENGINES), default="jbpm", show_default=True, help="Whose.")
@_REASON
@_BY
def add(kind: str, value: str, engine: str, reason: str, by: str) -> int:
    """Place a hold on VALUE: an instance's id, a business key, or the key or name of a process definition.

    The answer says how many instances it names now; none may mean a mistake in writing. It comes when no removal is at
    work any more that was begun before the hold. Exit code 1 where one of them takes longer than a minute: the hold
    stands, but that batch has not seen it.
    """
    placed = holding.place(
        read_part(BackupSettings),
        cast("EngineName", engine),
        cast("Kind", kind.replace("-", "_")),
        value,
        reason=reason,
        by=by,
    )

    matches = _matches(placed.hold)

    def show(console: Console) -> None:
        console.print(_table("Placed", [placed.hold]))
        for name, number in matches.items():
            console.print(f"Instances that it names in the {name} database: {number}")
        if not placed.settled:
            console.print("A batch that was begun before is still at work and may remove what is on hold.")

    answer({**_document(placed.hold), "settled": placed.settled, "matches": matches}, show)
    return ExitCode.OK if placed.settled else ExitCode.FAILED


@hold.command("list", cls=JsonCommand)
@click.option("--engine", type=click.Choice(_ENGINES), help="Those of one engine only.")
@click.option("--all", "released", is_flag=True, help="Those that were released, too.")
def list_holds(engine: str | None, *, released: bool) -> None:
    """List the holds that stand."""
    found = holding.listed(read_part(BackupSettings), cast("EngineName | None", engine), released=released)
    answer(
        {"totalCount": len(found), "holds": [_document(one) for one in found]},
        lambda console: console.print(_table(f"{len(found)} hold(s)", found)),
    )


@hold.command(cls=JsonCommand)
@click.argument("hold_id", type=click.IntRange(1))
@_REASON
@_BY
def release(hold_id: int, reason: str, by: str) -> None:
    """Release one hold; what another one holds as well stays on hold."""
    released = holding.release(read_part(BackupSettings), hold_id, reason=reason, by=by)
    answer(_document(released), lambda console: console.print(_table("Released", [released])))


def _matches(placed: Hold) -> dict[str, int]:
    """What the hold names, in each database of its engine that is configured."""
    if placed.engine == "camunda":
        camunda = load_camunda()
        return {} if camunda is None else {"camunda": keeping.matching(camunda, placed)}
    if not os.environ.get("DB_HOST"):
        return {}
    settings = load_settings()
    return {side.role_name: holding.matching(side, placed) for side in (settings.primary, settings.backup)}


def _document(one: Hold) -> dict[str, Any]:
    return {
        to_camel(name): value.isoformat() if isinstance(value, datetime) else value
        for name, value in asdict(one).items()
        if value is not None
    }


def _table(title: str, found: list[Hold]) -> Any:
    documents = [_document(one) for one in found]
    return table(title, _COLUMNS, [[document.get(name) for name in _COLUMNS] for document in documents])
