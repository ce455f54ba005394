"""What is asked of a restore, as a form, a command line or a program sends it. Not here: doing it (``restore.py``)."""

from __future__ import annotations

import re
from datetime import datetime  # noqa: TC003 - pydantic reads annotations when it runs
from typing import TYPE_CHECKING, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from archival_pipeline.errors import RequestError
from archival_pipeline.imixs.documents import split_snapshot_id
from archival_pipeline.imixs.failures import DamagedError
from archival_pipeline.imixs.restore import Wish

if TYPE_CHECKING:
    from collections.abc import Mapping


class ItemFilter(BaseModel):
    """One item and the regular expression that each of its values must match somewhere."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    item: str = Field(min_length=1, description="Name of the item, such as $workflowgroup.")
    pattern: str = Field(description="Regular expression; it may match anywhere in a value.")


class RestoreRequest(BaseModel):
    """Which documents come back, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)

    since: AwareDatetime | None = Field(
        None, description="Snapshots made at this moment or later; ISO 8601 with offset."
    )
    until: AwareDatetime | None = Field(None, description="Snapshots made before this moment; ISO 8601 with offset.")
    filters: tuple[ItemFilter, ...] = Field(
        (), description="Items and regular expressions; every value must match, an item that is absent passes."
    )
    document_id: str | None = Field(None, description="This document only.")
    snapshot_id: str | None = Field(None, description="This snapshot only, from the history if it stands there.")
    dry_run: bool = Field(default=False, description="Only say what would be restored.")
    force: bool = Field(default=False, description="Overwrite documents that the instance has in a newer state, too.")


def parse_restore(given: Mapping[str, Any]) -> Wish:
    """Read a request.

    Raises:
        RequestError: a field is wrong; the message names it.
    """
    try:
        request = RestoreRequest.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise RequestError(
            f"{name}: {first['msg']}.", resolve="Correct the field.", field=name, value=first["input"]
        ) from None
    return Wish(
        since=request.since,
        until=_after(request.since, request.until),
        filters=_compiled(request.filters),
        document_id=request.document_id,
        snapshot_id=_snapshot(request.snapshot_id),
        dry_run=request.dry_run,
        force=request.force,
    )


def _after(since: datetime | None, until: datetime | None) -> datetime | None:
    if since is not None and until is not None and until <= since:
        raise RequestError("The range is empty: until is not after since.", resolve="Swap them.", field="until")
    return until


def _snapshot(snapshot_id: str | None) -> str | None:
    if snapshot_id is not None:
        try:
            split_snapshot_id(snapshot_id)
        except DamagedError as error:
            raise RequestError(error.summary, resolve=error.resolve, field="snapshotId", value=snapshot_id) from None
    return snapshot_id


def _compiled(filters: tuple[ItemFilter, ...]) -> dict[str, re.Pattern[str]]:
    patterns: dict[str, re.Pattern[str]] = {}
    for wanted in filters:
        try:
            patterns[wanted.item.lower()] = re.compile(wanted.pattern)
        except re.error as error:
            raise RequestError(
                f"The filter of {wanted.item} is no regular expression: {error}.",
                resolve="Correct the expression.",
                field="filters",
                value=wanted.pattern,
            ) from None
    return patterns
