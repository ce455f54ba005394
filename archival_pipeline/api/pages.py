"""Pages of an answer: the two parameters, their bounds, and the header with the total.

Reused by every service whose pages count from 1 and are named ``pageNumber`` and ``pageSize``.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import BeforeValidator, Field, WithJsonSchema

from archival_pipeline.api.errors import ApiError

DEFAULT_SIZE = 100
MAX_NUMBER = 1_000_000
TOTAL_HEADER = "X-Total-Count"

# A client that writes every parameter leaves those empty that it does not mean.
_blank = BeforeValidator(lambda value: None if value == "" else value)


def or_empty(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a query parameter that may be left empty."""
    return {"anyOf": [schema, {"type": "string", "maxLength": 0}, {"type": "null"}]}


_Number = Annotated[int, Field(ge=1, le=MAX_NUMBER)]
_Size = Annotated[int, Field(ge=1)]
_NUMBER_OR_EMPTY = WithJsonSchema(or_empty({"type": "integer", "minimum": 1, "maximum": MAX_NUMBER}))
_SIZE_OR_EMPTY = WithJsonSchema(or_empty({"type": "integer", "minimum": 1}))
PageNumber = Annotated[
    _Number | None, _blank, _NUMBER_OR_EMPTY, Query(alias="pageNumber", description="Page, counted from 1.")
]
PageSize = Annotated[
    _Size | None, _blank, _SIZE_OR_EMPTY, Query(alias="pageSize", description="Rows per page; the service has a cap.")
]


def size_of_page(request: Request, asked: int | None) -> int:
    """The size of a page, held against the cap of the service.

    Raises:
        ApiError: the page is larger than the cap.
    """
    cap: int = request.app.state.limits.page_size
    if asked is None:
        return min(DEFAULT_SIZE, cap)
    if asked > cap:
        raise ApiError(
            HTTPStatus.BAD_REQUEST,
            "INVALID_REQUEST",
            f"pageSize={asked} is more than {cap}.",
            resolve=f"Ask for at most {cap} a page and turn the pages with pageNumber.",
        )
    return asked
