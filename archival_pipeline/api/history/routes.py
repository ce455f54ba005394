"""The paths of the interface: token and parameters in, one question to the store, rows out."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Query, Request
from fastapi.security import APIKeyHeader

from archival_pipeline.api.history import problems, rows, tokens
from archival_pipeline.api.history.titles import language_of
from archival_pipeline.database.connections import short_session
from archival_pipeline.errors import RequestError
from archival_pipeline.history.store import queries
from archival_pipeline.history.store.queries import Page

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from archival_pipeline.api.history.state import HistoryState

T = TypeVar("T")
_ERRORS = problems.responses(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
router = APIRouter(route_class=problems.HistoryRoute, responses=_ERRORS)
_token = APIKeyHeader(name=tokens.HEADER, auto_error=False, description="The user's JWT, without «Bearer».")
_LARGEST_OFFSET = 2**31 - 1


def _state(request: Request) -> HistoryState:
    state: HistoryState = request.app.state.history
    return state


async def _user(request: Request, token: Annotated[str | None, Depends(_token)]) -> tokens.User:
    state = _state(request)
    user = await state.workers.run("tokens", state.verifier.verify, token)
    request.state.caller = user.name
    return user


def _page(
    request: Request,
    limit: Annotated[int, Query(ge=1, description="Rows at most; the service has a limit of its own")] = 10,
    offset: Annotated[int, Query(ge=0, le=_LARGEST_OFFSET, description="Rows to pass over")] = 0,
    sort: Annotated[
        str, Query(description="`asc(field)` or `desc(field)`", examples=["desc(endTime)"])
    ] = queries.DEFAULT_SORT,
) -> Page:
    most = _state(request).settings.largest_page
    if limit > most:
        raise RequestError(f"must be at most {most}", resolve="Ask for pages.", field="limit", value=limit)
    return Page(limit, offset, sort)


User = Annotated[tokens.User, Depends(_user)]
Asked = Annotated[Page, Depends(_page)]
Lang = Annotated[str | None, Query(description="`uk` or `en`; anything else is the service's own language")]


@router.get("/api/process-instances", summary="The user's running processes (path of the design)")
@router.get("/api/runtime/process-instances", summary="The user's running processes")
async def running(request: Request, user: User, page: Asked, lang: Lang = None) -> list[rows.RunningProcess]:
    """Processes at the top level that the user started and that are not over."""
    found = await _ask(request, lambda session: queries.find(session, queries.RUNNING, user.name, page))
    language = language_of(lang, _state(request).settings.language)
    return [rows.running_process(row, language, officer=user.is_officer) for row in found]


@router.get("/api/process-instances/count", summary="How many processes of the user run (path of the design)")
@router.get("/api/runtime/process-instances/count", summary="How many processes of the user run")
async def running_count(request: Request, user: User) -> rows.Count:
    """The number of rows of the list of running processes."""
    return rows.Count(count=await _ask(request, lambda session: queries.count_running(session, user.name)))


@router.get("/api/history/process-instances", summary="The user's finished processes")
async def finished(request: Request, user: User, page: Asked, lang: Lang = None) -> list[rows.FinishedProcess]:
    """Processes at the top level that the user started and that are over."""
    found = await _ask(request, lambda session: queries.find(session, queries.FINISHED, user.name, page))
    language = language_of(lang, _state(request).settings.language)
    return [rows.finished_process(row, language, officer=user.is_officer) for row in found]


@router.get("/api/history/tasks", summary="The tasks that the user completed")
async def tasks(request: Request, user: User, page: Asked) -> list[rows.FinishedTask]:
    """Tasks of processes of any depth that were the user's when they were completed."""
    found = await _ask(request, lambda session: queries.find(session, queries.TASKS, user.name, page))
    return [rows.finished_task(row) for row in found]


async def _ask(request: Request, question: Callable[[psycopg.Connection[Any]], T]) -> T:
    state = _state(request)

    def answer() -> T:
        with short_session(state.database, "reading the execution history") as session:
            return question(session)

    return await state.workers.run("history", answer)
