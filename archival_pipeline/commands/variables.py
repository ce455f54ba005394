"""Commands on variable snapshots: list, show, compare, download, plan, apply."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from archival_pipeline.commands.output import JsonCommand, answer, table
from archival_pipeline.errors import RequestError
from archival_pipeline.settings_variables import load_backup
from archival_pipeline.variables import audit, documents, listing, restoring, service
from archival_pipeline.variables.cut import Boundary
from archival_pipeline.variables.plan import parse
from archival_pipeline.variables.planning import Wishes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rich.console import Console

    from archival_pipeline.variables.plan import Plan

_BOUNDARY = click.Choice([boundary.value for boundary in Boundary])
_TIME = click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z"])
_LISTS = ("variables", "shadowed", "uncertain", "ownInputs", "taskLocal")
_SHOWN_VALUE = 60


def _boundary(function: Callable[..., Any]) -> Callable[..., Any]:
    options = (
        click.option("--at", type=_BOUNDARY, default="start", show_default=True, help="Before entry, or at the end."),
        click.option("--after-outputs", is_flag=True, help="With `--at end`: count output parameters too."),
    )
    for option in reversed(options):
        function = option(function)
    return function


@click.group()
def variables() -> None:
    """The variables of a Camunda process instance as they stood when an activity ran."""


@variables.command(cls=JsonCommand)
@click.argument("process_instance_id")
@click.option("--activity-id", help="Only instances of this activity of the model.")
@click.option("--activity-type", help="Only this type, such as userTask.")
@click.option("--state", type=click.Choice(["running", "completed", "cancelled"]), help="Only this state.")
@click.option("--parent", "parent_id", help="Only what ran inside this activity instance.")
@click.option("--loop-index", type=click.IntRange(0), help="Only this round of a multi-instance activity.")
@click.option("--page-number", type=click.IntRange(1), default=1, show_default=True, help="Page, from 1.")
@click.option("--page-size", type=click.IntRange(1, 1000), default=100, show_default=True, help="Rows per page.")
def activities(process_instance_id: str, **criteria: Any) -> None:
    """List the activity instances of a process instance, to choose one from."""
    settings = service.camunda()
    rows, total = service.activities(settings, process_instance_id, listing.Criteria(**criteria))
    found = documents.activities(rows, ZoneInfo(settings.time_zone))
    columns = ("activityInstanceId", "activityType", "state", "startTime", "endTime", "loopIndex")
    drawn = table(f"{total} activity instance(s)", columns, ([row[name] for name in columns] for row in found))
    answer({"totalCount": total, "activityInstances": found}, lambda console: console.print(drawn))


@variables.command(cls=JsonCommand)
@click.argument("activity_instance_id")
@_boundary
def show(activity_instance_id: str, at: str, *, after_outputs: bool) -> None:
    """Show the variables that an activity instance saw."""
    wanted = service.Moment(activity_instance_id, Boundary(at), after_outputs)
    answer_snapshot(documents.snapshot(service.show(service.camunda(), wanted, now=_now())))


@variables.command(cls=JsonCommand)
@click.argument("process_instance_id")
@click.argument("moment", type=_TIME)
def at(process_instance_id: str, moment: datetime) -> None:
    """Show all variables of a process instance at a moment, such as 2026-03-01T12:00:00+0200."""
    wanted = service.Moment(process_instance_id=process_instance_id, at=moment)
    answer_snapshot(documents.snapshot(service.show(service.camunda(), wanted, now=_now())))


@variables.command(cls=JsonCommand)
@click.argument("before")
@click.argument("after")
@click.option("--before-at", type=_BOUNDARY, default="start", show_default=True, help="Of BEFORE.")
@click.option("--after-at", type=_BOUNDARY, default="end", show_default=True, help="Of AFTER.")
def diff(before: str, after: str, before_at: str, after_at: str) -> None:
    """Show what differs between the snapshots of two activity instances."""
    sides = (service.Moment(before, Boundary(before_at)), service.Moment(after, Boundary(after_at)))
    document = documents.difference(*service.diff(service.camunda(), *sides, now=_now()))
    rows = [
        [item["name"], item["kind"], _short(item["before"]), _short(item["after"])] for item in document["differences"]
    ]
    drawn = table(f"{len(rows)} difference(s)", ("name", "kind", "before", "after"), rows)
    answer(document, lambda console: console.print(drawn))


@variables.command(cls=JsonCommand)
@click.argument("change_id")
@click.option(
    "--output", "target", type=click.Path(dir_okay=False, path_type=Path), required=True, help="File to write; new."
)
def download(change_id: str, target: Path) -> None:
    """Save the bytes of a binary, file or object value; CHANGE_ID is the `changeId` in a snapshot."""
    value = service.content(service.camunda(), change_id)
    assert value.content is not None  # noqa: S101 - the service refuses others
    _create(target, value.content.data or b"")
    told = {"file": str(target), "size": value.content.size, "sha256": value.content.sha256}
    answer(told, lambda console: console.print(f"{target}: {value.content and value.content.size} bytes", markup=False))


@variables.command(cls=JsonCommand)
@click.argument("activity_instance_id", required=False)
@click.option("--stored", "stored_id", type=click.IntRange(1), help="A stored snapshot, in place of the id and --at.")
@_boundary
@click.option("--cancel", multiple=True, help="Activity or transition instance to cancel; may be repeated.")
@click.option("--ancestor", help="The live scope instance to start in, where there are several.")
@click.option("--accept", multiple=True, help="Put this name back despite its flags; may be repeated.")
@click.option("--remove-newer", is_flag=True, help="Remove process variables that the snapshot does not have.")
@click.option("--activate", is_flag=True, help="Activate a suspended instance before its tokens are moved.")
@click.option("--skip-custom-listeners", is_flag=True, help="As the engine's option.")
@click.option("--skip-io-mappings", is_flag=True, help="As the engine's option.")
@click.option("--annotation", help="For the engine's operation log.")
@click.option("--output", "target", type=click.Path(dir_okay=False, path_type=Path), help="Save the plan; a new file.")
def plan(
    activity_instance_id: str | None,
    stored_id: int | None,
    target: Path | None,
    *,
    at: str,
    after_outputs: bool,
    **wishes: Any,
) -> None:
    """Make a plan that puts a snapshot back, and change nothing.

    A running instance is modified, a finished one is started anew. Save the plan with --output, read it, then apply it.
    """
    if (activity_instance_id is None) == (stored_id is None):
        message = "Name an activity instance, or a stored snapshot with --stored."
        raise click.UsageError(message)
    wanted = service.Moment(activity_instance_id, Boundary(at), after_outputs, stored_id=stored_id)
    wished = Wishes(**wishes | {"cancel": tuple(wishes["cancel"]), "accept": frozenset(wishes["accept"])})
    made = restoring.plan(service.camunda(), restoring.rest(), wanted, wished, plan_id=str(uuid.uuid4()), now=_now())
    if target is not None:
        _create(target, json.dumps(made.as_json(), indent=2, ensure_ascii=False).encode())
    answer(made.as_json(), lambda console: _show_plan(console, made, target))


@variables.command(cls=JsonCommand)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--accept-inexact", is_flag=True, help="You have read what cannot be put back as it was.")
def apply(file: Path, *, accept_inexact: bool) -> None:
    """Apply a saved plan through the engine's REST API; refused if the instance moved on."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RequestError(f"{file} is not JSON.", resolve="Give a saved plan.", field="file") from error
    done = restoring.apply(
        restoring.rest(), load_backup(), parse(document), audit_id=str(uuid.uuid4()), accept_inexact=accept_inexact
    )
    told = {"auditId": done.audit_id, "steps": done.steps, "processInstanceId": done.process_instance_id}
    answer(told, lambda console: console.print(f"{done.steps} step(s) done on {done.process_instance_id}"))


@variables.command(cls=JsonCommand)
@click.argument("process_instance_id")
def audits(process_instance_id: str) -> None:
    """Show what was sent to the engine for a process instance, oldest first."""
    rows = audit.of_instance(load_backup(), process_instance_id)
    columns = ("created_at", "operation", "audit_status", "step_number", "title", "http_status", "error_code")
    drawn = table(f"{len(rows)} row(s)", columns, ([row[name] for name in columns] for row in rows))
    shown = [row | {"created_at": row["created_at"].isoformat()} for row in rows]
    answer({"audits": shown}, lambda console: console.print(drawn))


def answer_snapshot(document: Mapping[str, Any]) -> None:
    """Print a snapshot."""

    def show_it(console: Console) -> None:
        for name in _LISTS:
            if document[name]:
                rows = [
                    [row["name"], row["type"], _short(row), _owner(row), ", ".join(row["flags"])]
                    for row in document[name]
                ]
                console.print(table(f"{name}: {len(rows)}", ("name", "type", "value", "owner", "flags"), rows))
        if document["expired"]:
            console.print("The history is past its removal time: the engine may clean it at any moment.")

    answer(document, show_it)


def _show_plan(console: Console, made: Plan, target: Path | None) -> None:
    steps = [[number, step.title, step.method, step.path] for number, step in enumerate(made.steps, start=1)]
    console.print(table(f"{made.operation}: {len(steps)} step(s)", ("", "step", "method", "path"), steps))
    for title, remarks in (("Not exact", made.inexact), ("Left out", made.left_out)):
        if remarks:
            console.print(table(title, ("name", "reason"), ([remark.name, remark.reason] for remark in remarks)))
    for note in made.notes:
        console.print(f"- {note}", markup=False, soft_wrap=True)
    where = f"Saved in {target}; it holds values." if target else "Not saved; use --output to apply it later."
    console.print(f"Nothing was changed. {where}", markup=False)


def _owner(row: Mapping[str, Any]) -> str:
    owner = row["owner"]
    return f"{owner['kind']} {owner['activityId'] or ''}".strip()


def _short(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    text = f"{row['size']} bytes, change {row['changeId']}" if "size" in row else json.dumps(row["value"])
    return text if len(text) <= _SHOWN_VALUE else f"{text[:_SHOWN_VALUE]}…"


def _create(target: Path, data: bytes) -> None:
    """Write a file that only its owner can read, and never over another one."""
    try:
        target.touch(mode=0o600, exist_ok=False)
        target.write_bytes(data)
    except OSError as error:
        raise RequestError(
            f"{target} cannot be written: {error.strerror}.", resolve="Name a new file.", field="output"
        ) from error


def _now() -> datetime:
    return datetime.now(UTC)
