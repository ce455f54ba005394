"""Routes that read the audit: what operations there were, how far they are, what each step did."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BeforeValidator, WithJsonSchema

from archival_pipeline.api import pages
from archival_pipeline.api.archival import bodies, launcher
from archival_pipeline.api.archival.moving import latest_row
from archival_pipeline.api.archival.state import AUDIT, RUNS, Archive, UsableArchive
from archival_pipeline.api.auth import Access, requires
from archival_pipeline.api.errors import responses
from archival_pipeline.api.pages import or_empty
from archival_pipeline.archival import service
from archival_pipeline.archival.audit import AuditCriteria, AuditRow, AuditStatus, AuditType, as_rest
from archival_pipeline.archival.filters import Moment, Text
from archival_pipeline.errors import NotFoundError, RequestError

TAG = {"name": "audits", "description": "What happened: a row for each step, the newest one says how far it is."}

router = APIRouter(
    prefix="/processes/audits",
    tags=[TAG["name"]],
    dependencies=[Depends(requires(Access.READ))],
    responses=responses(
        HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE
    ),
)
_NOT_FOUND = responses(HTTPStatus.NOT_FOUND)
_PAGED: dict[int | str, dict[str, Any]] = {
    200: {
        "headers": {
            pages.TOTAL_HEADER: {"description": "How many there are on all pages.", "schema": {"type": "integer"}}
        }
    }
}

# A client that writes every parameter leaves those empty that it does not mean.
_blank = BeforeValidator(lambda value: None if value == "" else value)
_MOMENT_OR_EMPTY = WithJsonSchema(or_empty({"type": "string", "format": "date-time"}))
_NAME_OR_EMPTY = WithJsonSchema(or_empty({"type": "string", "maxLength": 4_000}))
_TYPE_OR_EMPTY = WithJsonSchema(or_empty({"type": "string", "enum": [kind.value for kind in AuditType]}))
_STATUS_OR_EMPTY = WithJsonSchema(or_empty({"type": "string", "enum": [status.value for status in AuditStatus]}))
_AuditType = Annotated[
    AuditType | None, _blank, _TYPE_OR_EMPTY, Query(alias="auditType", description="Kind of operation.")
]
_AuditStatus = Annotated[
    AuditStatus | None, _blank, _STATUS_OR_EMPTY, Query(alias="auditStatus", description="How far it is.")
]
_ProcessName = Annotated[
    Text | None, _blank, _NAME_OR_EMPTY, Query(alias="processName", description="Process that was asked for.")
]
_DeploymentId = Annotated[
    Text | None, _blank, _NAME_OR_EMPTY, Query(alias="deploymentId", description="Deployment that was asked for.")
]
_From = Annotated[
    Moment | None,
    _blank,
    _MOMENT_OR_EMPTY,
    Query(alias="from", description="Newest row at this moment or later; ISO 8601 with an offset from UTC."),
]
_To = Annotated[
    Moment | None,
    _blank,
    _MOMENT_OR_EMPTY,
    Query(alias="to", description="Newest row before this moment; ISO 8601 with an offset from UTC."),
]
_AuditId = Annotated[
    str,
    Path(
        alias="auditId",
        pattern=r"^[A-Za-z0-9._-]{1,100}$",
        description="The operation, as the POST that started it returned it.",
        examples=["0f5c4f0e-9f43-4f8e-9f0a-5d3a1c2b7e11"],
    ),
]


def _criteria(
    audit_type: _AuditType = None,
    audit_status: _AuditStatus = None,
    process_name: _ProcessName = None,
    deployment_id: _DeploymentId = None,
    since: _From = None,
    until: _To = None,
) -> AuditCriteria:
    if since is not None and until is not None and since >= until:
        raise RequestError(
            "from must be earlier than to; as given, no audit can match.",
            resolve="Exchange from and to, or leave one out.",
            field="from",
        )
    return AuditCriteria(
        audit_type=audit_type,
        audit_status=audit_status,
        process_name=process_name,
        deployment_id=deployment_id,
        since=since,
        until=until,
    )


_Criteria = Annotated[AuditCriteria, Depends(_criteria)]


@router.get(
    "", response_model=list[bodies.Audit], responses=_PAGED, operation_id="listAudits", summary="List operations"
)
async def audits(
    request: Request,
    response: Response,
    criteria: _Criteria,
    archive: UsableArchive,
    page_number: pages.PageNumber = 1,
    page_size: pages.PageSize = None,
) -> list[dict[str, Any]]:
    """List the newest row of each audit that matches, newest audit first; the header has the total.

    An operation appears here with its first row, a moment after its run has left the queue.
    """
    size = pages.size_of_page(request, page_size)
    rows, total = await archive.workers.run(
        AUDIT, service.audits, archive.settings, criteria, page_size=size, page_number=page_number or 1
    )
    response.headers[pages.TOTAL_HEADER] = str(total)
    return [as_rest(row) for row in rows]


@router.get("/summary", operation_id="countAudits", summary="Count operations")
async def summary(criteria: _Criteria, archive: UsableArchive) -> bodies.Total:
    """Count the audits that match."""
    total = await archive.workers.run(AUDIT, service.audit_count, archive.settings, criteria)
    return bodies.Total(total_count=total)


@router.get(
    "/{auditId}",
    response_model=list[bodies.Audit],
    responses=_PAGED | _NOT_FOUND,
    operation_id="showAudit",
    summary="Show one operation",
)
async def timeline(
    request: Request,
    response: Response,
    audit_id: _AuditId,
    archive: UsableArchive,
    page_number: pages.PageNumber = 1,
    page_size: pages.PageSize = None,
) -> list[dict[str, Any]]:
    """Show the rows of one audit, oldest first; the header has the total."""
    size = pages.size_of_page(request, page_size)
    rows, total = await _timeline(archive, audit_id, page_number or 1, size)
    response.headers[pages.TOTAL_HEADER] = str(total)
    return [as_rest(row) for row in rows]


async def _timeline(archive: Archive, audit_id: str, number: int, size: int) -> tuple[list[AuditRow], int]:
    try:
        return await archive.workers.run(
            AUDIT, service.audit_timeline, archive.settings, audit_id, page_size=size, page_number=number
        )
    except NotFoundError:
        row = await archive.workers.run(RUNS, launcher.row_of_run, archive.dagster, audit_id)
        return ([row] if number == 1 else []), 1


@router.get(
    "/{auditId}/latest",
    response_model=bodies.Audit,
    responses=_NOT_FOUND,
    operation_id="showLatest",
    summary="Show how far one operation is",
)
async def latest(audit_id: _AuditId, archive: UsableArchive) -> dict[str, Any]:
    """Show the newest row of one audit; `auditStatus` completed, failed or cancelled is the end of it."""
    return as_rest(await latest_row(archive, audit_id))


@router.get(
    "/{auditId}/summary", responses=_NOT_FOUND, operation_id="countRows", summary="Count the rows of one operation"
)
async def rows(audit_id: _AuditId, archive: UsableArchive) -> bodies.Total:
    """Count the rows of one audit."""
    _, total = await _timeline(archive, audit_id, 1, 1)
    return bodies.Total(total_count=total)
