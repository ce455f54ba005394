"""Says in plain words what is wrong with a filter: field, value, reason, way out."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from archival_pipeline.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import ValidationError

_SHOWN = 5
_LONGEST = 80


def request_error(error: ValidationError, known: Sequence[str]) -> RequestError:
    """Put every problem that pydantic found into one error of ours.

    Args:
        error: what pydantic raised.
        known: names of the filters, for a hint where a name is misspelt.
    """
    details = error.errors(include_url=False)
    reasons = [_describe(detail, known) for detail in details]
    fields = [_field(detail["loc"]) for detail in details]
    more = f"; and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else ""
    return RequestError(
        f"{len(reasons)} filter(s) cannot be used: {'; '.join(reasons[:_SHOWN])}{more}.",
        resolve=f"Correct {', '.join(dict.fromkeys(fields[:_SHOWN]))} and send the request again.",
        field=fields[0],
        value=details[0]["input"],
    )


def _describe(detail: Mapping[str, Any], known: Sequence[str]) -> str:
    field = _field(detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"{field} is no filter{_near(field, known)}"
    if detail["type"] == "missing":
        return f"{field} is missing"
    reason = str(detail["msg"]).removeprefix("Value error, ").replace("valid tuple", "list")
    if field == "filters":
        return reason
    return f"{field}={_shorten(detail['input'])}: {reason[0].lower()}{reason[1:]}"


def _field(location: Sequence[int | str]) -> str:
    """``("processVariables", 0, "name")`` -> ``processVariables[0].name``."""
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return path.removeprefix(".") or "filters"


def _near(field: str, known: Sequence[str]) -> str:
    lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(field.lower(), lower, n=1)
    return f", perhaps {lower[close[0]]} is meant" if close else f"; the filters are {', '.join(known)}"


def _shorten(value: object) -> str:
    many = isinstance(value, (list, tuple, dict)) and value
    shown = f"a list or object of {len(many)}" if many else ascii(value)
    return shown if len(shown) <= _LONGEST else shown[:_LONGEST] + "..."
