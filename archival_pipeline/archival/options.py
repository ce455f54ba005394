"""Options of a move: how it is done, as opposed to what it selects (``filters.py``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from archival_pipeline.archival.filter_errors import request_error

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BATCH_SIZE = 100
MAX_WAVES = 50
MAX_DAYS = 36_500


class Options(BaseModel):
    """How a move is done. Every default is the safe choice."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    batch_size: int = Field(
        MAX_BATCH_SIZE,
        ge=1,
        le=MAX_BATCH_SIZE,
        description="Selected instances per batch, descendants not counted; 100 is the hard cap.",
    )
    batches_per_wave: int = Field(
        50,
        ge=1,
        description="Batches handed through the graph together. A run has at most 50 waves; a large one grows this.",
    )
    lanes: int = Field(
        2, ge=1, le=8, description="Batches worked on at the same time, each with its own pair of connections."
    )
    include_running: bool = Field(
        default=False,
        description="Move trees that still run, too. Stop the engine's nodes first: timers, signals and jobs that come "
        "meanwhile are lost.",
    )
    allow_all: bool = Field(default=False, description="Accept empty filters, which select every instance.")
    dry_run: bool = Field(
        default=False, description="Only show what would be moved; both databases are opened read-only."
    )
    max_batches: int | None = Field(
        None, ge=1, description="Stop after this many batches; the rest stays for the next run."
    )
    roots_only: bool = Field(
        default=False,
        description="Pick only instances whose parent is not there. Descendants come with them, and endedTo then "
        "limits the root alone: each tree belongs to the day on which its root ended.",
    )
    audit_id: str | None = Field(
        None, min_length=1, description="Restore only: the instances that the operation with this audit id moved."
    )
    stop_at: AwareDatetime | None = Field(
        None,
        strict=False,
        description="Begin no batch that cannot end before this moment (ISO 8601 with offset); finished work stays.",
    )
    database: Literal["primary", "backup"] = Field(
        "primary", description="Bulk deletion only: the database to delete from."
    )
    force: bool = Field(default=False, description="Bulk deletion only: delete instances that are not over, too.")
    only_if_backed_up: bool = Field(
        default=False,
        description="Bulk deletion only: delete only what the other database holds with equal digests.",
    )
    pause_between_batches_ms: int = Field(
        0, ge=0, le=600_000, description="Milliseconds each lane rests after a batch, to spare the engine."
    )


class Expiry(BaseModel):
    """Times to live in whole days, on the calendar of the engine.

    Attributes:
        since: whether they count from the end of an instance or from the day on which it was archived.
        days: of every process definition that has none of its own; None for never.
        days_of: by id or name of a process definition; None for never.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    since: Literal["ended", "archived"] = "ended"
    days: Annotated[int, Field(ge=1, le=MAX_DAYS)] | None = None
    days_of: dict[str, Annotated[int, Field(ge=1, le=MAX_DAYS)] | None] = {}

    @property
    def shortest(self) -> int | None:
        """The shortest of the times to live; None where nothing expires."""
        return min((days for days in (self.days, *self.days_of.values()) if days is not None), default=None)


class ExpiryOptions(Options):
    """Options of a bulk deletion that takes what has expired, and nothing else; no form offers them."""

    expiry: Annotated[Expiry, Field(strict=False)]


def parse_options(data: Mapping[str, Any]) -> Options:
    """Read options as they arrive in a REST body, run configuration or the command line.

    Raises:
        RequestError: the fields that cannot be used, each with value and reason, in one error.
    """
    # The ledger holds both kinds.
    model = ExpiryOptions if "expiry" in data else Options
    try:
        return model.model_validate(dict(data), by_alias=True, by_name=False)
    except ValidationError as error:
        raise request_error(error, [str(info.alias) for info in model.model_fields.values()]) from None
