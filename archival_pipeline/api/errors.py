"""How an error is told over HTTP: one body for all, a status by kind, never a stack trace, a statement or a row.

Reused by every service: :func:`install`, :func:`responses`, :class:`ApiError`. A service with error bodies of its own,
because its contract says so, installs its own handlers instead and keeps the envelope.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from starlette.exceptions import HTTPException

from archival_pipeline import errors
from archival_pipeline.api.logs import REQUEST_ID

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fastapi import FastAPI, Request

_log = logging.getLogger(__name__)
_RETRY_AFTER = {"Retry-After": "5"}


class Problem(BaseModel):
    """What is wrong with one field of a request."""

    field: str = Field(description="The field, as `processVariables[0].name`.", examples=["piids"])
    reason: str = Field(description="What is wrong with it.", examples=["is not a whole number from 1 to 2^63-1"])


class ErrorBody(BaseModel):
    """The body of every answer that is an error."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    error_code: str = Field(
        description="SQLSTATE or an upper-case code of ours; stable, meant for programs.", examples=["INVALID_REQUEST"]
    )
    error_summary: str = Field(description="What happened, in one sentence.", examples=["1 field cannot be used."])
    error_resolve: str = Field(description="What to do about it.", examples=["Correct piids and send it again."])
    request_id: str = Field(
        description="Stands in the answer's X-Request-Id and in every log line of the request.",
        examples=["5f0c1c1e-6f7c-4c39-9d4f-0a4f8a2f9a10"],
    )
    errors: list[Problem] | None = Field(
        default=None, description="The fields at fault, where the request is.", examples=[[]]
    )
    audit_id: str | None = Field(
        default=None,
        description="The operation that the error belongs to, if any.",
        examples=["0f5c4f0e-9f43-4f8e-9f0a-5d3a1c2b7e11"],
    )


class ApiError(errors.ArchivalError):
    """An error that only exists over HTTP; it carries its status.

    Attributes:
        status: of the answer.
        headers: of the answer, besides the usual ones.
    """

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        summary: str,
        *,
        resolve: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.headers = dict(headers or {})
        super().__init__(summary, resolve=resolve, code=code)


# The first class that fits decides.
_STATUSES: tuple[tuple[type[errors.ArchivalError], HTTPStatus], ...] = (
    (errors.NotFoundError, HTTPStatus.NOT_FOUND),
    (errors.RequestError, HTTPStatus.BAD_REQUEST),
    (errors.BusyError, HTTPStatus.CONFLICT),
    (errors.ConfigurationError, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.PreflightError, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.TransientDatabaseError, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.OperatorDatabaseError, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.ArchivalError, HTTPStatus.INTERNAL_SERVER_ERROR),
)

# What routing and parsing refuse: status -> code, way out.
_REFUSALS: dict[int, tuple[str, str]] = {
    400: ("INVALID_REQUEST", "Correct the request and send it again."),
    404: ("NOT_FOUND", "See the api-docs for the paths there are."),
    405: ("METHOD_NOT_ALLOWED", "See the api-docs for the method of this path."),
    413: ("BODY_TOO_LARGE", "Send a smaller body; the limit is API_MAX_BODY_BYTES."),
}


def install(app: FastAPI) -> None:
    """Let the app answer every error with an :class:`ErrorBody`."""
    app.add_exception_handler(errors.ArchivalError, _archival)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _refusal)


def responses(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """The part of a route's description that names its errors."""
    return {status.value: {"model": ErrorBody, "description": _MEANINGS[status]} for status in statuses}


_MEANINGS = {
    HTTPStatus.BAD_REQUEST: "The request cannot be used; `errors` names each field with the reason.",
    HTTPStatus.UNAUTHORIZED: "No bearer token, or one that is malformed, expired or not active.",
    HTTPStatus.FORBIDDEN: "The token lacks the role for this.",
    HTTPStatus.NOT_FOUND: "There is no such thing.",
    HTTPStatus.CONFLICT: "Another operation is at work; `auditId` names it.",
    HTTPStatus.BAD_GATEWAY: "The engine's REST API refused, or gave no answer; the summary says what was done before.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than the service takes.",
    HTTPStatus.SERVICE_UNAVAILABLE: (
        "A database, Dagster or the identity server cannot be reached, the configuration is wrong "
        "(INVALID_DB_CONFIG), or the service is overloaded."
    ),
}


def body(error: errors.ArchivalError, problems: Sequence[Problem] | None = None) -> dict[str, Any]:
    """The body that tells an error."""
    told = ErrorBody(
        error_code=error.code,
        error_summary=_public(error),
        error_resolve=error.resolve or "Look for the request id in the log of the service.",
        request_id=REQUEST_ID.get(),
        errors=list(problems) if problems else None,
        audit_id=getattr(error, "audit_id", None),
    )
    return told.model_dump(by_alias=True, exclude_none=True)


def answer(error: errors.ArchivalError, problems: Sequence[Problem] | None = None) -> JSONResponse:
    """The answer that tells an error; what only operators may read goes to the log."""
    status, headers = _status(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.warning("answered with an error", extra={"errorCode": error.code, "errorSummary": error.summary})
    return JSONResponse(body(error, problems), status, headers=headers)


def answer_with(error: errors.ArchivalError, status: HTTPStatus) -> JSONResponse:
    """The answer that tells an error under a status of the caller's choice."""
    return JSONResponse(body(error), status)


def _status(error: errors.ArchivalError) -> tuple[HTTPStatus, dict[str, str]]:
    if isinstance(error, ApiError):
        return error.status, error.headers
    status = next(status for kind, status in _STATUSES if isinstance(error, kind))
    return status, dict(_RETRY_AFTER) if status is HTTPStatus.SERVICE_UNAVAILABLE else {}


def _public(error: errors.ArchivalError) -> str:
    """A database's own words name hosts, roles and tables: they stay in the log."""
    if isinstance(error, errors.DatabaseError):
        return f"A database answered {error.code}; the request was not carried out."
    return errors.redact(error.summary)


def _archival(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.ArchivalError)  # noqa: S101 - installed for this class
    problems = None
    if isinstance(error, errors.RequestError):
        problems = [Problem(field=error.field, reason=error.summary)]
    return answer(error, problems)


def _validation(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - installed for this class
    problems = [Problem(field=_field(detail["loc"]), reason=_reason(detail)) for detail in error.errors()]
    fields = ", ".join(dict.fromkeys(problem.field for problem in problems))
    told = errors.ArchivalError(
        f"{len(problems)} field(s) cannot be used: " + "; ".join(f"{p.field} {p.reason}" for p in problems) + ".",
        resolve=f"Correct {fields} and send the request again.",
        code="INVALID_REQUEST",
    )
    return JSONResponse(body(told, problems), HTTPStatus.BAD_REQUEST)


_WORDS = {
    "extra_forbidden": "is not known here",
    "missing": "is missing",
    "json_invalid": "is not JSON",
    "model_attributes_type": "is not a JSON object; send Content-Type: application/json",
}


def _reason(detail: Mapping[str, Any]) -> str:
    reason = _WORDS.get(detail["type"]) or str(detail["msg"]).removeprefix("Value error, ").replace("tuple", "list")
    return reason[0].lower() + reason[1:]


def _field(location: Iterable[int | str]) -> str:
    """``("body", "processVariables", 0, "name")`` -> ``processVariables[0].name``."""
    where, *steps = location
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    # A broken document is described by the place of the first wrong character, which is no field.
    return path.removeprefix(".") if path and not isinstance(steps[0], int) else str(where)


def _refusal(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - installed for this class
    code, resolve = _REFUSALS.get(error.status_code, ("REFUSED", "See the api-docs."))
    told = errors.ArchivalError(f"{error.detail}.", resolve=resolve, code=code)
    return JSONResponse(body(told), error.status_code, headers=dict(error.headers or {}))
