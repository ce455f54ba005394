"""Routes that list activity instances and show, compare and download what they saw."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request, Response
from pydantic import AwareDatetime

from archival_pipeline.api import pages
from archival_pipeline.api.auth import Access, requires
from archival_pipeline.api.errors import responses
from archival_pipeline.api.variables import bodies, restoring, stored
from archival_pipeline.api.variables.working import GROUP, ID, TAG, run
from archival_pipeline.api.workers import Workers
from archival_pipeline.settings_api import LimitSettings
from archival_pipeline.variables import documents, service
from archival_pipeline.variables.cut import Boundary
from archival_pipeline.variables.listing import Criteria

router = APIRouter(
    prefix="/variables",
    tags=[TAG["name"]],
    dependencies=[Depends(requires(Access.READ))],
    responses=responses(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)

_ProcessId = Annotated[
    str, Path(alias="processInstanceId", pattern=ID, description="The process instance.", examples=["3e41167d"])
]
_ActivityId = Annotated[
    str,
    Path(
        alias="activityInstanceId",
        pattern=ID,
        description="The activity instance, as the list of them names it.",
        examples=["approve:3e593280"],
    ),
]
_At = Annotated[Literal["start", "end"], Query(description="Before entry, or at the end event.")]


def install(app: FastAPI, prefix: str, limits: LimitSettings) -> None:
    """Add the routes and their threads to an app."""
    app.state.variable_workers = Workers({GROUP: limits.sessions})
    for part in (router, stored.router, restoring.router):
        app.include_router(part, prefix=prefix)


@router.get(
    "/process-instances/{processInstanceId}/activity-instances",
    response_model=list[bodies.ActivityInstance],
    operation_id="listActivityInstances",
    summary="List activity instances",
)
async def activity_instances(
    request: Request,
    response: Response,
    process_instance_id: _ProcessId,
    *,
    activity_id: Annotated[
        str | None, Query(alias="activityId", max_length=320, description="Only this activity of the model.")
    ] = None,
    activity_type: Annotated[
        str | None, Query(alias="activityType", max_length=320, description="Only this type, such as userTask.")
    ] = None,
    state: Annotated[Literal["running", "completed", "cancelled"] | None, Query(description="Only this state.")] = None,
    parent: Annotated[
        str | None,
        Query(alias="parentActivityInstanceId", max_length=320, description="Only what ran inside this one."),
    ] = None,
    loop_index: Annotated[int | None, Query(alias="loopIndex", ge=0, description="Only this round.")] = None,
    page_number: pages.PageNumber = 1,
    page_size: pages.PageSize = None,
) -> list[dict[str, Any]]:
    """List what ran in a process instance, oldest first; the header has the total. Choose one to see its variables."""
    criteria = Criteria(
        activity_id=activity_id,
        activity_type=activity_type,
        state=state,
        parent_id=parent,
        loop_index=loop_index,
        page_number=page_number or 1,
        page_size=pages.size_of_page(request, page_size),
    )
    settings = service.camunda()
    rows, total = await run(request, service.activities, settings, process_instance_id, criteria)
    response.headers[pages.TOTAL_HEADER] = str(total)
    return documents.activities(rows, ZoneInfo(settings.time_zone))


@router.get(
    "/process-instances/{processInstanceId}/snapshot",
    response_model=bodies.Snapshot,
    operation_id="processSnapshot",
    summary="All variables of a process instance at a moment",
)
async def process_snapshot(
    request: Request,
    process_instance_id: _ProcessId,
    moment: Annotated[AwareDatetime, Query(description="ISO 8601 with an offset from UTC.")],
) -> dict[str, Any]:
    """Show every variable that was alive, each with its owner; changes of that millisecond count."""
    wanted = service.Moment(process_instance_id=process_instance_id, at=moment)
    return documents.snapshot(await run(request, service.show, service.camunda(), wanted, now=_now()))


@router.get(
    "/activity-instances/{activityInstanceId}/snapshot",
    response_model=bodies.Snapshot,
    operation_id="activitySnapshot",
    summary="The variables that an activity instance saw",
)
async def activity_snapshot(
    request: Request,
    activity_instance_id: _ActivityId,
    *,
    at: _At = "start",
    after_outputs: Annotated[
        bool, Query(alias="afterOutputs", description="With `at=end`: count output parameters too.")
    ] = False,
) -> dict[str, Any]:
    """Show what was visible, what was hidden by nearer variables, and what history cannot say for sure."""
    wanted = service.Moment(activity_instance_id, Boundary(at), after_outputs)
    return documents.snapshot(await run(request, service.show, service.camunda(), wanted, now=_now()))


@router.get(
    "/diff",
    response_model=bodies.Comparison,
    operation_id="compareSnapshots",
    summary="What differs between two snapshots",
)
async def diff(
    request: Request,
    before: Annotated[str, Query(pattern=ID, description="Activity instance of the first snapshot.")],
    after: Annotated[str, Query(pattern=ID, description="Activity instance of the second snapshot.")],
    before_at: Annotated[_At, Query(alias="beforeAt")] = "start",
    after_at: Annotated[_At, Query(alias="afterAt")] = "end",
) -> dict[str, Any]:
    """Name each variable that was added, removed, changed, moved to another owner, or is uncertain on one side."""
    sides = (service.Moment(before, Boundary(before_at)), service.Moment(after, Boundary(after_at)))
    return documents.difference(*await run(request, service.diff, service.camunda(), *sides, now=_now()))


@router.get(
    "/changes/{changeId}/content",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}, "description": "The bytes."}},
    operation_id="downloadValue",
    summary="The bytes of a value",
)
async def content(
    request: Request,
    change_id: Annotated[str, Path(alias="changeId", pattern=ID, description="The `changeId` of a snapshot.")],
) -> Response:
    """Download a binary, file or object value as it is stored."""
    value = await run(request, service.content, service.camunda(), change_id)
    name = quote(value.file_name or "value.bin", safe="")
    headers = {
        # What a process stored is never shown as a page of this service.
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(value.content.data, headers=headers, media_type="application/octet-stream")


def _now() -> datetime:
    return datetime.now(UTC)
