"""Turns the models of filters and options into run configuration, so that the launchpad is a described form.

One source: field names, defaults and descriptions are those of the models. Validation beyond types happens where the
models are parsed, with the models' own messages. Not here: the models (``archival/filters.py``,
``archival/options.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dagster import Any as AnyValue
from dagster import Array, Bool, ConfigMapping, Field, Int, Noneable, Shape, String

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

# Ids beyond 2**53 do not survive a JavaScript number: so the form takes numbers and strings,
# and the model reads both.
_IDS = Array(AnyValue)
_VARIABLE = Shape(  # type: ignore[no-untyped-call]
    {
        "name": Field(String, description="Name of the process variable."),
        "value": Field(String, description="Its current value, as the engine's log has it."),
    }
)
_TYPES: dict[str, Any] = {
    "piids": _IDS,
    "processInstanceIds": _IDS,
    "processVariables": Array(_VARIABLE),
    "beforeNoOfDays": Int,
}


def shape_of(model: type[BaseModel]) -> Shape:
    """The configuration schema of a model: every field optional with the model's default and description."""
    aliases = {str(info.alias or name): info for name, info in model.model_fields.items()}
    return Shape({alias: _field(alias, info) for alias, info in aliases.items()})  # type: ignore[no-untyped-call]


def _field(name: str, info: FieldInfo) -> Field:
    description = info.description or ""
    default = info.get_default(call_default_factory=True)
    if info.is_required():
        return Field(_type(name, None), is_required=True, description=description)
    if default is None:
        return Field(Noneable(_type(name, default)), is_required=False, description=description)
    return Field(_type(name, default), is_required=False, default_value=default, description=description)


def _type(name: str, default: Any) -> Any:
    if name in _TYPES:
        return _TYPES[name]
    if isinstance(default, bool):
        return Bool
    if isinstance(default, int) or name.startswith("max"):
        return Int
    return String


def flat(first_op: str, **models: type[BaseModel]) -> ConfigMapping:
    """One flat run configuration: a section for each model, handed to the first op of the graph.

    Args:
        first_op: name of the op whose configuration has the same sections.
        models: section name to model.
    """
    schema = {name: section(model) for name, model in models.items()}
    return ConfigMapping(config_fn=_nest(first_op), config_schema=schema)


def section(model: type[BaseModel]) -> Field:
    """A section of the configuration that may be left out as a whole."""
    return Field(shape_of(model), is_required=False)


def _nest(first_op: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    def nest(given: Mapping[str, Any]) -> dict[str, Any]:
        return {"ops": {first_op: {"config": {name: dict(section) for name, section in given.items()}}}}

    return nest


def given_only(section: Mapping[str, Any]) -> dict[str, Any]:
    """Drop the fields that were left empty in the form."""
    return {name: value for name, value in section.items() if value is not None}
