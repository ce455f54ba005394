"""Errors of this interface, in the platform's form: ``{"traceId", "code", "details"}``."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from archival_pipeline.api.logs import REQUEST_ID
from archival_pipeline.errors import ArchivalError, DatabaseError, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from fastapi import FastAPI, Request
    from starlette.responses import Response

_log = logging.getLogger(__name__)
_TRACE = re.compile(r"[0-9A-Za-z-]{1,64}")
_SHOWN = 200


class FieldProblem(BaseModel):
    """One field at fault."""

    value: str | None
    field: str
    message: str


class Details(BaseModel):
    """All fields at fault."""

    errors: list[FieldProblem]


class ProblemBody(BaseModel):
    """The body of every answer that is an error."""

    traceId: str = Field(description="From X-B3-TraceId, or the request's id")  # noqa: N815 - the name on the wire
    code: str
    details: Details | None = None


class HistoryApiError(Exception):
    """An error that ends a request."""

    def __init__(self, status: HTTPStatus, code: str, problems: Sequence[FieldProblem] = ()) -> None:
        self.status = status
        self.code = code
        self.problems = list(problems)
        super().__init__(code)


class HistoryRoute(APIRoute):
    """Answers an error that nobody foresaw in the same form as the others; its traceback is logged."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The framework's handler, watched."""
        handle = super().get_route_handler()

        async def watched(request: Request) -> Response:
            try:
                return await handle(request)
            except (HistoryApiError, RequestValidationError, HTTPException, ArchivalError):
                raise
            except Exception:  # noqa: BLE001 - nothing is hidden: it is logged with its traceback
                _log.exception("unforeseen error")
                return _answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, "RUNTIME_ERROR")

        return watched


def install(app: FastAPI) -> None:
    """Let the app answer every error in this form."""
    app.add_exception_handler(HistoryApiError, _problem)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _refusal)
    app.add_exception_handler(ArchivalError, _archival)


def responses(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """The part of a route's description that names its errors."""
    return {status.value: {"model": ProblemBody, "description": status.phrase} for status in statuses}


def _answer(request: Request, status: HTTPStatus, code: str, problems: Sequence[FieldProblem] = ()) -> JSONResponse:
    given = request.headers.get("X-B3-TraceId", "")
    trace = given if _TRACE.fullmatch(given) else REQUEST_ID.get()
    body = ProblemBody(traceId=trace, code=code, details=Details(errors=list(problems)) if problems else None)
    return JSONResponse(body.model_dump(exclude_none=True), status)


def _problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HistoryApiError)  # noqa: S101 - installed for this class
    return _answer(request, error.status, error.code, error.problems)


def _validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - installed for this class
    found = error.errors()
    problems = [
        FieldProblem(value=str(detail["input"])[:_SHOWN], field=str(detail["loc"][-1]), message=detail["msg"])
        for detail in found
    ]
    mistyped = any(detail["type"].startswith("int_") for detail in found)
    return _answer(
        request,
        HTTPStatus.BAD_REQUEST,
        "METHOD_ARGUMENT_TYPE_MISMATCH" if mistyped else "BAD_REQUEST",
        problems,
    )


_CODES = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 415: "UNSUPPORTED_MEDIA_TYPE"}


def _refusal(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - installed for this class
    answer = _answer(request, HTTPStatus(error.status_code), _CODES.get(error.status_code, "CLIENT_ERROR"))
    answer.headers.update(error.headers or {})
    return answer


def _archival(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ArchivalError)  # noqa: S101 - installed for this class
    if isinstance(error, RequestError):
        problem = FieldProblem(value=str(error.value)[:_SHOWN], field=error.field, message=error.summary)
        return _answer(request, HTTPStatus.BAD_REQUEST, "BAD_REQUEST", [problem])
    _log.error("request failed: %s", error)
    status = HTTPStatus.SERVICE_UNAVAILABLE if isinstance(error, DatabaseError) else HTTPStatus.INTERNAL_SERVER_ERROR
    return _answer(request, status, "RUNTIME_ERROR")
