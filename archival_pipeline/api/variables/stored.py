"""Routes that list and show stored snapshots."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from archival_pipeline.api import pages
from archival_pipeline.api.auth import Access, requires
from archival_pipeline.api.errors import responses
from archival_pipeline.api.variables import bodies
from archival_pipeline.api.variables.working import ID, LARGEST_ID, TAG, run
from archival_pipeline.variables import documents, service
from archival_pipeline.variables.stored import Wanted

router = APIRouter(
    prefix="/variables/stored-snapshots",
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


@router.get(
    "",
    response_model=list[bodies.StoredSnapshot],
    operation_id="listStoredSnapshots",
    summary="List stored snapshots",
)
async def stored_snapshots(
    request: Request,
    response: Response,
    *,
    key: Annotated[
        str | None, Query(alias="processDefinitionKey", pattern=ID, description="Only of this process definition key.")
    ] = None,
    activity_id: Annotated[
        str | None, Query(alias="activityId", pattern=ID, description="Only of this activity of the model.")
    ] = None,
    process_instance_id: Annotated[
        str | None, Query(alias="processInstanceId", pattern=ID, description="Only of this process instance.")
    ] = None,
    at: Annotated[Literal["start", "end"] | None, Query(description="Only of this boundary.")] = None,
    page_number: pages.PageNumber = 1,
    page_size: pages.PageSize = None,
) -> list[dict[str, Any]]:
    """List stored snapshots over all process instances, newest first; the header has the total."""
    wanted = Wanted(
        key=key,
        activity_id=activity_id,
        process_instance_id=process_instance_id,
        boundary=at,
        page_number=page_number or 1,
        page_size=pages.size_of_page(request, page_size),
    )
    settings = service.camunda()
    rows, total = await run(request, service.stored_page, settings, wanted)
    response.headers[pages.TOTAL_HEADER] = str(total)
    return documents.stored(rows, ZoneInfo(settings.time_zone))


@router.get(
    "/{storedSnapshotId}",
    response_model=bodies.Snapshot,
    operation_id="storedSnapshot",
    summary="Show a stored snapshot",
)
async def stored_snapshot(
    request: Request,
    stored_snapshot_id: Annotated[
        int, Path(alias="storedSnapshotId", ge=1, le=LARGEST_ID, description="Its number in the list.", examples=[17])
    ],
) -> dict[str, Any]:
    """Show what was stored, with the values, which are read from the history that it refers to."""
    wanted = service.Moment(stored_id=stored_snapshot_id)
    return documents.snapshot(await run(request, service.show, service.camunda(), wanted, now=datetime.now(UTC)))
