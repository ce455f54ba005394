"""How every command answers: text on a terminal, JSON for programs; errors and exit codes in one place."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from archival_pipeline import errors
from archival_pipeline.imixs.failures import PollerBusyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_JSON = "--json"


class ExitCode(IntEnum):
    """What a script can rely on; the help of the command line lists them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    BUSY = 3
    QUARANTINED = 4
    INTERRUPTED = 130


# The first class that fits decides.
_EXIT_CODES: tuple[tuple[type[errors.ArchivalError], ExitCode], ...] = (
    (errors.BusyError, ExitCode.BUSY),
    (PollerBusyError, ExitCode.BUSY),
    (errors.RequestError, ExitCode.USAGE),
    (errors.ConfigurationError, ExitCode.USAGE),
    (errors.ArchivalError, ExitCode.FAILED),
)


@dataclass(slots=True)
class Form:
    """How this call answers.

    Attributes:
        json: whether a program reads the answer.
        audit_id: the operation that an error belongs to, once there is one.
    """

    json: bool
    audit_id: str | None = None


class JsonCommand(click.Command):
    """A command that takes ``--json``; :func:`run` has looked for it before anything could fail."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.params.append(
            click.Option([_JSON], is_flag=True, expose_value=False, help="Answer in JSON, on a terminal too.")
        )


def run(command: click.Command, arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; what a user can act on is said in words.

    Args:
        command: the group of all commands.
        arguments: those of this process by default.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    form = Form(json=_JSON in given or not sys.stdout.isatty())
    try:
        return int(command.main(given, prog_name=command.name, standalone_mode=False, obj=form) or ExitCode.OK)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return ExitCode.USAGE
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else command.name
        _complain(form, "INVALID_USAGE", error.format_message(), f"See `{where} --help`.")
        return ExitCode.USAGE
    except errors.ArchivalError as error:
        form.audit_id = error.audit_id if isinstance(error, errors.BusyError) else form.audit_id
        _complain(form, error.code, error.summary, error.resolve)
        return next(code for kind, code in _EXIT_CODES if isinstance(error, kind))
    except click.Abort:
        # click makes this of an interrupt before anybody else sees it.
        _complain(form, errors.CancelledError.code, "The command was stopped.", "Run it again.")
        return ExitCode.INTERRUPTED


def form_of_call() -> Form:
    """The form of the call at work."""
    return click.get_current_context().find_object(Form) or Form(json=True)


def answer(document: Mapping[str, Any], show: Callable[[Console], None]) -> None:
    """Give the answer of a command.

    Args:
        document: the answer for programs, under its REST names.
        show: prints the answer for people.
    """
    if form_of_call().json:
        click.echo(json.dumps(document, ensure_ascii=False))
    else:
        show(Console(highlight=False))


def complain(code: str, summary: str, resolve: str) -> None:
    """Say on standard error what went wrong."""
    _complain(form_of_call(), code, summary, resolve)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """A table for people; numbers stand to the right."""
    found = [list(row) for row in rows]
    drawn = Table(title=title, title_justify="left")
    for place, name in enumerate(columns):
        numeric = bool(found) and all(isinstance(row[place], int) for row in found)
        drawn.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in found:
        drawn.add_row(*("" if value is None else str(value) for value in row))
    return drawn


def _complain(form: Form, code: str, summary: str, resolve: str) -> None:
    if form.json:
        document = {"errorCode": code, "errorSummary": summary, "errorResolve": resolve}
        if form.audit_id is not None:
            document["auditId"] = form.audit_id
        click.echo(json.dumps(document, ensure_ascii=False), err=True)
        return
    operation = f"\nAudit: {form.audit_id}" if form.audit_id else ""
    click.echo(f"{code}: {summary}\n{resolve}{operation}", err=True)
