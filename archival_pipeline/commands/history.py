"""Commands of the execution history: publish, subscribe, dead letters, upkeep."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from archival_pipeline.commands.output import ExitCode, JsonCommand, answer, table
from archival_pipeline.history import service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from rich.console import Console

    from archival_pipeline.history.publisher.publisher import Published

_MOMENT = click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d"])
# A letter that dies again and again must not become a storm.
_REPLAY_REST = 60.0
_FOLLOW = click.option("--follow", is_flag=True, help="Go on until SIGTERM or SIGINT; then finish the batch at work.")


@click.group()
def history() -> None:
    """Publish, store and keep the execution history that users may query."""


@contextmanager
def _told_to_stop() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set: the batch at work is finished, and nothing is cut off."""
    stop = threading.Event()

    def note(_: int, __: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@history.command(cls=JsonCommand)
def migrate() -> None:
    """Bring the history database to this release; with Kafka, create the topics that are missing."""
    topics = service.prepare(service.load())
    answer(
        {"migrated": ["history"], "createdTopics": topics},
        lambda console: console.print(f"Up to date. Topics created: {', '.join(topics) or 'none'}."),
    )


@history.command(cls=JsonCommand)
@_FOLLOW
def publish(*, follow: bool) -> None:
    """Publish what changed in the engine's history since the last time.

    Each read scans the engine's history tables; with --follow a tenth of the time goes into it at most.
    """
    total: dict[str, int] = {}
    warned: list[str] = []

    def told(done: Published) -> None:
        for kind, number in done.events.items():
            total[kind] = total.get(kind, 0) + number
        for warning in done.warnings:
            if warning not in warned:
                warned.append(warning)
                click.echo(f"warning: {warning}", err=True)

    with _told_to_stop() as stop:
        service.publish(service.load(), follow=follow, wait=stop.wait, told=told)
    answer({"published": total, "warnings": warned}, lambda console: _show(console, "published", total))


@history.command(cls=JsonCommand)
@_FOLLOW
def subscribe(*, follow: bool) -> int:
    """Bring the history up to date with the stream; exit code 4 if records were put aside as dead letters."""
    with _told_to_stop() as stop:
        progress = service.subscribe(service.load(), follow=follow, stop=stop.is_set, sleep=_sleep(stop))
    done = asdict(progress)
    answer(done, lambda console: _show(console, "subscribed", done))
    return ExitCode.QUARANTINED if progress.dead else ExitCode.OK


@history.command("replay-dead-letters", cls=JsonCommand)
@_FOLLOW
def replay_dead_letters(*, follow: bool) -> None:
    """Send every dead letter back to its topic; what dies again is put aside again, and with --follow sent again."""
    number = 0
    with _told_to_stop() as stop:
        while True:
            number += service.replay_dead_letters(service.load())
            if not follow or stop.wait(_REPLAY_REST):
                break
    answer({"replayed": number}, lambda console: console.print(f"{number} dead letter(s) sent again."))


@history.command(cls=JsonCommand)
def lag() -> None:
    """Count the records that wait: for the subscriber, and, as dead letters, for a replay."""
    found = service.lag(service.load())
    answer({"lag": found}, lambda console: _show(console, "waiting", found))


@history.command(cls=JsonCommand)
def forget() -> None:
    """Delete what HISTORY_RETENTION_DAYS and HISTORY_QUEUE_DAYS no longer keep."""
    gone = asdict(service.forget(service.load(), datetime.now(UTC)))
    answer({"deleted": gone}, lambda console: _show(console, "deleted", gone))


@history.command("erase-user", cls=JsonCommand)
@click.argument("user_id")
@click.option("--force", is_flag=True, help="Say that the rows may go; they cannot be brought back.")
def erase_user(user_id: str, *, force: bool) -> None:
    """Delete every process that USER_ID started and every task that is theirs, for good.

    Old events do not bring the rows back. What the user starts later is kept again. Kafka keeps its messages until
    their time is over, and the engine keeps its own rows.
    """
    if not force:
        message = "Nothing is erased unless you say --force; read what it means in --help first."
        raise click.UsageError(message)
    gone = asdict(service.erase(service.load(), user_id, datetime.now(UTC)))
    answer({"erased": gone}, lambda console: _show(console, "erased", gone))


@history.command(cls=JsonCommand)
@click.option("--from", "since", type=_MOMENT, required=True, help="Started at this moment or later.")
@click.option("--to", "until", type=_MOMENT, required=True, help="Started before this moment.")
@click.option("--repair", is_flag=True, help="Write what the engine says where the history says otherwise.")
def reconcile(since: datetime, until: datetime, *, repair: bool) -> int:
    """Hold the history against the engine; times without an offset are UTC; exit code 1 if differences were found."""
    started = tuple(moment if moment.tzinfo else moment.replace(tzinfo=UTC) for moment in (since, until))
    found = service.reconcile(service.load(), (started[0], started[1]), repair=repair)
    numbers = {name: value for name, value in asdict(found).items() if name != "examples"}

    def show(console: Console) -> None:
        _show(console, "reconciled", numbers)
        for line in found.examples:
            console.print(line, markup=False, soft_wrap=True)

    answer(numbers | {"examples": found.examples}, show)
    return ExitCode.OK if found.is_clean else ExitCode.FAILED


def _sleep(stop: threading.Event) -> Callable[[float], None]:
    def sleep(seconds: float) -> None:
        stop.wait(seconds)

    return sleep


def _show(console: Console, title: str, numbers: dict[str, int]) -> None:
    console.print(table(title, ("what", "number"), [[name, value] for name, value in numbers.items()]))
