"""Routes for platforms: ping, readiness, metrics."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from archival_pipeline.api import metrics
from archival_pipeline.api.archival import bodies
from archival_pipeline.api.archival.state import HEALTH, AnyArchive, Archive
from archival_pipeline.api.auth import Access, requires
from archival_pipeline.api.errors import responses
from archival_pipeline.archival.launching import reach
from archival_pipeline.errors import ArchivalError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

TAG = {"name": "health", "description": "For load balancers and monitoring; ping and readiness ask for no token."}
_log = logging.getLogger(__name__)
# A server that does not even refuse is not there.
_PATIENCE_SECONDS = 5

router = APIRouter(tags=[TAG["name"]])


@router.get(
    "/ping",
    response_model=bodies.Ping,
    responses={503: {"model": bodies.Unhealthy, "description": "The configuration cannot be used."}},
    operation_id="ping",
    summary="Whether the service is there",
)
async def ping(archive: AnyArchive) -> Response:
    """Say ok, or why every operation is refused: the service is there, but its configuration cannot be used."""
    if isinstance(archive.found, ConfigurationError):
        told = bodies.Unhealthy(status="error", error_code=archive.found.code, error_message=f"{archive.found.summary}")
        return JSONResponse(told.model_dump(by_alias=True), HTTPStatus.SERVICE_UNAVAILABLE)
    return JSONResponse({"status": "ok"})


@router.get(
    "/ping/ready",
    response_model=bodies.Readiness,
    responses={503: {"model": bodies.Readiness, "description": "Something that the service needs is not there."}},
    operation_id="readiness",
    summary="Whether the service can do its work",
)
async def ready(archive: AnyArchive) -> Response:
    """Name what cannot be reached: primary, backup or Dagster."""
    sides = ("primary", "backup")
    *databases, dagster = await asyncio.gather(
        *(_database(archive, side) for side in sides), _reached(archive, "dagster", archive.dagster.reach)
    )
    states = dict(zip((*sides, "dagster"), (*databases, dagster), strict=True))
    good = all(state == "ok" for state in states.values())
    told = bodies.Readiness(status="ok" if good else "error", **states)
    return JSONResponse(told.model_dump(by_alias=True), HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE)


async def _database(archive: Archive, side: str) -> str:
    if isinstance(archive.found, ConfigurationError):
        return "not configured"
    settings = archive.found
    return await _reached(archive, side, lambda: reach(settings, side))


async def _reached(archive: Archive, name: str, call: Callable[[], None]) -> str:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await archive.workers.run(HEALTH, call)
    except (ArchivalError, TimeoutError) as error:
        _log.warning("not reachable", extra={"target": name, "reason": str(error)})
        return "unreachable"
    return "ok"


_TEXT: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus text."}
}


@router.get(
    "/metrics",
    dependencies=[Depends(requires(Access.READ))],
    response_class=Response,
    responses=_TEXT | responses(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE),
    operation_id="metrics",
    summary="Metrics for Prometheus",
)
async def show_metrics(request: Request, archive: AnyArchive) -> Response:
    """Requests, durations, runs by state, rows moved, last success per job, queue length."""
    return await archive.workers.run(HEALTH, metrics.exposition, request.app.state.metrics.registry)
