"""Filters and options of a move as options of the command line, made from their models.

One source: names, descriptions and limits are those of the models, and so are the messages about what does not fit.
"""

from __future__ import annotations

import json
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from archival_pipeline.archival.filters import Filters, ProcessStatus, TaskStatus, parse_filters
from archival_pipeline.archival.options import Options, parse_options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

# Where an option differs from its field: REST name -> the declaration of the option.
_SPECIAL: dict[str, dict[str, Any]] = {
    "processStatus": {"metavar": "|".join(ProcessStatus)},
    "taskStatus": {"metavar": "|".join(TaskStatus)},
    "endedFrom": {"metavar": "TIME"},
    "endedTo": {"metavar": "TIME"},
    "beforeNoOfDays": {"metavar": "DAYS", "type": int},
    "piids": {"flag": "--piid", "metavar": "ID", "multiple": True},
    "processVariables": {"flag": "--variable", "metavar": "NAME=VALUE", "multiple": True},
}
_MORE = " May be given several times."


def takes_filters(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the filters to a command, which gets them parsed as ``filters``."""

    @wraps(function)
    def call(filters_document: str | None, **given: Any) -> Any:
        single = {name: given.pop(argument) for name, argument in _arguments(Filters).items()}
        return function(filters=_read_filters(filters_document, single), **given)

    document = click.option(
        "--filters",
        "filters_document",
        metavar="JSON|@FILE",
        help="Filters as a JSON object with the REST field names, or @ and the file that holds it.",
    )
    return _decorate(call, [*_options(Filters), document])


def takes_options(*left_out: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the options of a move to a command, which gets them parsed as ``options``.

    Args:
        left_out: REST names of options that mean nothing to the command.
    """

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        names = {name: argument for name, argument in _arguments(Options).items() if name not in left_out}

        @wraps(function)
        def call(**given: Any) -> Any:
            values = {name: given.pop(argument) for name, argument in names.items()}
            return function(options=parse_options(_given_only(values)), **given)

        return _decorate(call, _options(Options, left_out))

    return add


def _arguments(model: type[BaseModel]) -> dict[str, str]:
    """REST name -> name of the command's argument."""
    return {str(info.alias or name): name for name, info in model.model_fields.items()}


def _options(model: type[BaseModel], left_out: Sequence[str] = ()) -> list[Callable[[Any], Any]]:
    names = {argument: name for name, argument in _arguments(model).items() if name not in left_out}
    return [_option(name, argument, model.model_fields[argument]) for argument, name in names.items()]


def _option(rest_name: str, argument: str, info: FieldInfo) -> Callable[[Any], Any]:
    declared: dict[str, Any] = {"help": info.description} | _SPECIAL.get(rest_name, {})
    flag = declared.pop("flag", "--" + argument.replace("_", "-"))
    if declared.get("multiple"):
        declared["help"] += _MORE
    elif "bool" in str(info.annotation):
        # Without a negative form: every default is the safe choice, and saying nothing makes it.
        declared |= {"is_flag": True}
    elif rest_name not in _SPECIAL and not _is_text(info):
        default = f"  [default: {info.default}]" if info.default is not None else ""
        declared |= {"type": int, "metavar": "NUMBER", "help": f"{info.description}{default}"}
    return click.option(flag, argument, **declared)


def _is_text(info: FieldInfo) -> bool:
    return "int" not in str(info.annotation)


def _decorate(function: Callable[..., Any], options: Sequence[Callable[[Any], Any]]) -> Callable[..., Any]:
    for option in reversed(options):
        function = option(function)
    return function


def _read_filters(document: str | None, single: Mapping[str, Any]) -> Filters:
    """Put the document and the single options together; a field is given in one place."""
    given = _given_only(single)
    if "processVariables" in given:
        given["processVariables"] = [_variable(text) for text in given["processVariables"]]
    base = _read_document(document) if document is not None else {}
    twice = sorted(base.keys() & given.keys())
    if twice:
        message = f"{', '.join(twice)}: given in --filters and as an option; give it once."
        raise click.UsageError(message)
    return parse_filters(base | given)


def _given_only(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what the caller left out; a switch that is off is left out, too."""
    return {name: value for name, value in values.items() if value not in (None, (), False)}


def _variable(text: str) -> dict[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        message = f"--variable {text!r} is not of the form NAME=VALUE."
        raise click.UsageError(message)
    return {"name": name, "value": value}


def _read_document(text: str) -> dict[str, Any]:
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            message = f"--filters: {text[1:]} cannot be read ({error})."
            raise click.UsageError(message) from error
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        message = f"--filters is not JSON: {error}."
        raise click.UsageError(message) from error
    if not isinstance(document, dict):
        message = "--filters must be a JSON object."
        raise click.UsageError(message)
    return document
