"""What the routes on variables share: their tag, their threads, and how their errors are told."""

from __future__ import annotations

from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from archival_pipeline.api.errors import ApiError
from archival_pipeline.variables import failures
from archival_pipeline.variables.failures import EngineError, PlanRefusedError, SnapshotError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi import Request

    from archival_pipeline.api.workers import Workers

TAG = {"name": "variables", "description": "The variables of a Camunda process instance as an activity saw them."}
GROUP = "variables"
ID = r"^[^\x00-\x1f]{1,320}$"
LARGEST_ID = 2**63 - 1
_STATUSES = {failures.NOT_FOUND: HTTPStatus.NOT_FOUND}


@contextmanager
def _told() -> Iterator[None]:
    """What stands against the history or the instance is a conflict; what the engine says is another server's fault."""
    try:
        yield
    except (SnapshotError, PlanRefusedError) as error:
        status = _STATUSES.get(error.code, HTTPStatus.CONFLICT)
        raise ApiError(status, error.code, error.summary, resolve=error.resolve) from error
    except EngineError as error:
        raise ApiError(HTTPStatus.BAD_GATEWAY, error.code, error.summary, resolve=error.resolve) from error


async def run(request: Request, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Call a function of the room in one of its threads.

    Raises:
        ApiError: what the room refused.
    """
    workers: Workers = request.app.state.variable_workers
    with _told():
        return await workers.run(GROUP, function, *arguments, **named)
