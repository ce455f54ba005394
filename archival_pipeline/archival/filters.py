"""What a user may ask for: the filters of the REST bodies, checked at the edge and turned into what SQL is bound to.

Life of a filter: :func:`parse_filters` reads what arrived, :func:`require_scope` refuses a selection of everything that
nobody asked for, :func:`resolve` freezes the dates once per operation, ``selection.py`` runs the result. Not here: the
SQL itself (``sql/common/process_where_fn_v1.sql``), whether a picked tree may move.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from archival_pipeline.archival.filter_errors import request_error
from archival_pipeline.errors import RequestError

SqlFilters: TypeAlias = Mapping[str, Any]
"""The argument of the SQL functions: only the given filters, dates as wall-clock times of the engine."""

_MAX_ID = 2**63 - 1
_MAX_DAYS = 36_500
_MAX_TEXT = 4_000
_MAX_VARIABLES = 50
# The engine's log cuts the text of a variable here (org.jbpm.var.log.length), counted as Java counts: UTF-16 units.
_MAX_VALUE = 255
_EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)


class ProcessStatus(StrEnum):
    """State of a process instance, by the engine's names."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    COMPLETED = "COMPLETED"
    ABORTED = "ABORTED"
    SUSPENDED = "SUSPENDED"

    @property
    def code(self) -> int:
        """The number the engine stores."""
        return _STATUS_CODES[self]


_STATUS_CODES = {
    ProcessStatus.PENDING: 0,
    ProcessStatus.ACTIVE: 1,
    ProcessStatus.COMPLETED: 2,
    ProcessStatus.ABORTED: 3,
    ProcessStatus.SUSPENDED: 4,
}


class TaskStatus(StrEnum):
    """State of a human task, as the engine writes it."""

    CREATED = "Created"
    READY = "Ready"
    RESERVED = "Reserved"
    IN_PROGRESS = "InProgress"
    SUSPENDED = "Suspended"
    COMPLETED = "Completed"
    FAILED = "Failed"
    ERROR = "Error"
    EXITED = "Exited"
    OBSOLETE = "Obsolete"


def _storable(text: str) -> str:
    """Refuse what PostgreSQL cannot hold in a text: it would fail later, with a message nobody understands."""
    if "\x00" in text:
        message = "holds a NUL character, which no text in the database can; take it out"
        raise ValueError(message)
    return text


def _as_logged(value: str) -> str:
    if len(value.encode("utf-16-le")) // 2 > _MAX_VALUE:
        message = f"is longer than {_MAX_VALUE} characters; the engine's log cuts values there, so none could be equal"
        raise ValueError(message)
    return value


def _read_date(value: Any) -> datetime:
    """Take ISO text with an offset only: a bare number would be read as seconds since 1970, a bare time as any zone."""
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        message = "is not an ISO 8601 date and time such as 2025-01-31T00:00:00Z"
        raise ValueError(message) from None
    if moment.tzinfo is None:
        message = "has no offset from UTC; add Z or, for example, +02:00"
        raise ValueError(message)
    if not _EARLIEST <= moment <= _LATEST:
        message = f"is outside {_EARLIEST.year} to {_LATEST.year - 1}"
        raise ValueError(message)
    return moment


def _read_id(item: Any) -> int:
    """Take numbers, or digits in quotes for clients whose numbers are exact to 2^53 only."""
    number = int(item) if isinstance(item, str) and re.fullmatch("[0-9]{1,19}", item) else item
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= _MAX_ID:
        message = f"is not a whole number from 1 to {_MAX_ID}"
        raise ValueError(message)
    return number


def _not_empty(items: tuple[Any, ...]) -> tuple[Any, ...]:
    if not items:
        message = "is empty; leave the field out if it should not restrict the selection"
        raise ValueError(message)
    return items


def _in_order(items: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(set(items)))


Text = Annotated[str, Field(min_length=1, max_length=_MAX_TEXT), AfterValidator(_storable)]
Moment = Annotated[AwareDatetime, BeforeValidator(_read_date)]
Id = Annotated[int, Field(ge=1, le=_MAX_ID), BeforeValidator(_read_id)]
Ids = Annotated[tuple[Id, ...], Field(fail_fast=True), AfterValidator(_not_empty), AfterValidator(_in_order)]


class _Strict(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )


class VariableFilter(_Strict):
    """One process variable and the value it must have now."""

    name: Text = Field(description="Name of the process variable, exact.", examples=["customerId"])
    value: Annotated[str, AfterValidator(_storable), AfterValidator(_as_logged)] = Field(
        description=(
            "Current value as the engine's log shows it, exact; a null is logged as the empty text. "
            f"At most {_MAX_VALUE} characters: the log cuts longer values there."
        ),
        examples=["4711"],
    )


class Filters(_Strict):
    """Which process instances; every given field must match."""

    process_name: Text | None = Field(
        default=None, description="Name of the process, exact match.", examples=["customerOnboarding"]
    )
    process_status: ProcessStatus | None = Field(
        default=None,
        description="State of the instance. COMPLETED and ABORTED are the ended ones.",
        examples=["COMPLETED"],
    )
    deployment_id: Text | None = Field(
        default=None,
        description="Deployment the instance runs in, group:artifact:version.",
        examples=["com.acme:crm:1.4.0"],
    )
    before_no_of_days: Annotated[int, Field(strict=True, ge=0, le=_MAX_DAYS)] | None = Field(
        default=None,
        description=(
            "Ended more than this many times 24 hours before the operation begins; instances without an end date "
            "are judged by their start date."
        ),
        examples=[90],
    )
    ended_from: Moment | None = Field(
        default=None,
        description="Ended at this moment or later; ISO 8601 with an offset from UTC.",
        examples=["2025-01-01T00:00:00Z"],
    )
    ended_to: Moment | None = Field(
        default=None,
        description="Ended before this moment; ISO 8601 with an offset from UTC.",
        examples=["2025-02-01T00:00:00+02:00"],
    )
    task_name: Text | None = Field(
        default=None,
        description="Name of a human task of the instance; all task filters must match one and the same task.",
        examples=["Approve order"],
    )
    task_status: TaskStatus | None = Field(
        default=None,
        description="State of a human task of the instance; all task filters must match one and the same task.",
        examples=["Completed"],
    )
    task_assignee: Text | None = Field(
        default=None,
        description="Owner of a human task of the instance; all task filters must match one and the same task.",
        examples=["john"],
    )
    process_variables: (
        Annotated[tuple[VariableFilter, ...], Field(max_length=_MAX_VARIABLES), AfterValidator(_not_empty)] | None
    ) = Field(
        default=None,
        description="Process variables with the values they must have now, all of them.",
        examples=[[{"name": "customerId", "value": "4711"}]],
    )
    piids: Ids | None = Field(
        default=None,
        description="Process instance ids, as numbers or as digits in quotes.",
        examples=[[101, 102]],
    )

    @model_validator(mode="after")
    def _window(self) -> Filters:
        if self.ended_from is not None and self.ended_to is not None and self.ended_from >= self.ended_to:
            message = "endedFrom must be earlier than endedTo; as given, no instance can match"
            raise ValueError(message)
        return self

    @property
    def is_empty(self) -> bool:
        """Whether nothing restricts the selection, so that it would pick every instance."""
        return all(getattr(self, name) is None for name in type(self).model_fields)

    def as_json(self) -> dict[str, Any]:
        """The given fields under their REST names, ready for JSON; parsing it gives the same filters."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def parse_filters(data: Mapping[str, Any]) -> Filters:
    """Read filters as they arrive in a REST body or in run configuration.

    Args:
        data: REST names to values; a field that is absent or null does not restrict.

    Raises:
        RequestError: the fields that cannot be used, each with value and reason, in one error.
    """
    try:
        return Filters.model_validate(dict(data), by_alias=True, by_name=False)
    except ValidationError as error:
        names = [str(details.alias) for details in Filters.model_fields.values()]
        raise request_error(error, names) from None


def require_scope(filters: Filters, allow_all: bool) -> None:  # noqa: FBT001 -- it is the REST option of that name
    """Refuse a selection of every instance unless the user said so.

    Raises:
        RequestError: no filter is given and ``allow_all`` is off.
    """
    if filters.is_empty and not allow_all:
        raise RequestError(
            "No filter is given, so every process instance would be picked.",
            resolve="Give at least one filter, or set allowAll to true if every instance is meant.",
            field="filters",
            value={},
        )


def resolve(filters: Filters, *, now: datetime, time_zone: str) -> SqlFilters:
    """Freeze the filters for one operation: what every statement of the operation is bound to.

    Args:
        filters: what the user asked for.
        now: the clock of the origin, with an offset; read once per operation.
        time_zone: the zone the engine writes its times in.

    Returns:
        The given filters with the status as its code and every date as a wall-clock time of the engine.
    """
    if now.tzinfo is None:
        message = "now must carry an offset from UTC"
        raise ValueError(message)
    zone = ZoneInfo(time_zone)
    given = filters.as_json()
    frozen = {name: given[name] for name in given.keys() - _RESOLVED.keys()}
    for name, (sql_name, resolver) in _RESOLVED.items():
        if name in given:
            frozen[sql_name] = resolver(filters, now, zone)
    return frozen


def _ended_before(filters: Filters, now: datetime, zone: ZoneInfo) -> str:
    """The cut-off on the engine's clock.

    In the autumn hour that the clock shows twice, a time of the second pass looks earlier than one of the first.
    A cut-off in the first pass goes back by the length of that hour: rather an hour too old than a row too young.
    """
    limit = (now.astimezone(UTC) - timedelta(days=filters.before_no_of_days or 0)).astimezone(zone)
    again = limit.replace(fold=1)
    doubled = (limit.utcoffset() or timedelta()) - (again.utcoffset() or timedelta())
    return _wall_clock(limit - doubled if limit.fold == 0 and doubled > timedelta() else limit)


def _wall_clock(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def _local(moment: datetime | None, zone: ZoneInfo) -> str | None:
    return None if moment is None else _wall_clock(moment.astimezone(zone))


_Resolver: TypeAlias = Callable[[Filters, datetime, ZoneInfo], Any]

# REST name -> name in SQL, and how its value is frozen; every other filter goes through as it is.
_RESOLVED: dict[str, tuple[str, _Resolver]] = {
    "processStatus": ("status", lambda filters, _, __: filters.process_status and filters.process_status.code),
    "beforeNoOfDays": ("endedBefore", _ended_before),
    "endedFrom": ("endedFrom", lambda filters, _, zone: _local(filters.ended_from, zone)),
    "endedTo": ("endedTo", lambda filters, _, zone: _local(filters.ended_to, zone)),
}
