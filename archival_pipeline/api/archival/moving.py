"""Routes that move and delete: backup, restore, delete-bulk. Each becomes a run of Dagster."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from archival_pipeline.api.archival import bodies, launcher
from archival_pipeline.api.archival.launcher import Launched, Order
from archival_pipeline.api.archival.state import AUDIT, MOVE, RUNS, Archive, UsableArchive
from archival_pipeline.api.auth import Access, Caller, requires
from archival_pipeline.api.errors import ApiError, responses
from archival_pipeline.api.logs import REQUEST_ID
from archival_pipeline.archival import service
from archival_pipeline.archival.audit import AuditRow, AuditStatus, AuditType
from archival_pipeline.archival.filters import Filters, require_scope
from archival_pipeline.archival.options import Options
from archival_pipeline.errors import NotFoundError

TAG = {"name": "moving", "description": "Operations that move or delete; one at a time, whoever starts it."}
BUSY = "Previous operation is still in progress, please wait for it to complete before retrying"
DELETE_PATH = "/processes/delete-bulk"
_POLL_SECONDS = 1.0
# Less than the limit of the request, so that the answer still gets out.
_MARGIN_SECONDS = 2.0

MayOperate = Annotated[Caller, Depends(requires(Access.OPERATE))]

router = APIRouter(
    tags=[TAG["name"]],
    responses=responses(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)
_INITIATED: dict[int | str, dict[str, Any]] = {
    201: {
        "description": "Started, or another operation is in its way; `message` says which. `auditId` is to be polled.",
        "content": {
            "application/json": {
                "examples": {
                    "started": {"value": {"message": "Backup initiated successfully", "auditId": "<uuid>"}},
                    "busy": {"value": {"message": BUSY, "auditId": "<uuid of the operation in progress>"}},
                }
            }
        },
    }
}


@router.post(
    "/processes/backup",
    status_code=HTTPStatus.CREATED,
    responses=_INITIATED,
    operation_id="backupProcesses",
    summary="Move process instances to the archive",
)
async def backup(caller: MayOperate, body: bodies.BackupRequest, archive: UsableArchive) -> bodies.Initiated:
    """Start to move finished process trees from the engine's database to the archive, whole and verified.

    Prefer terminal states (`COMPLETED`, `ABORTED`) and `beforeNoOfDays`. A body without any filter is refused unless
    `options.allowAll` says that every instance is meant.
    """
    options = body.move_options("audit_id")
    return await _initiate(archive, caller, AuditType.BACKUP, body.filters(), options)


@router.post(
    "/processes/restore",
    status_code=HTTPStatus.CREATED,
    responses=_INITIATED,
    operation_id="restoreProcesses",
    summary="Move process instances back",
)
async def restore(caller: MayOperate, body: bodies.RestoreRequest, archive: UsableArchive) -> bodies.Initiated:
    """Start to move archived process trees back to the engine's database, whole and verified.

    The filters apply to the archive; `options.auditId` picks what one backup moved.
    """
    options = body.move_options("include_running")
    return await _initiate(archive, caller, AuditType.RESTORE, body.filters(), options)


@router.post(
    DELETE_PATH, response_model_exclude_none=True, operation_id="deleteBulk", summary="Delete process instances"
)
async def delete_bulk(caller: MayOperate, body: bodies.DeleteRequest, archive: UsableArchive) -> bodies.Deleted:
    """Delete process instances with all their recursive children from one database, and wait for the end of it.

    Refuses instances that are not over unless `force` is set. A deletion that takes longer than the service waits goes
    on; the answer then names the audit to poll.
    """
    launched = await _launch(archive, caller, AuditType.DELETE, body.filters(), body.delete_options())
    if not launched.started:
        return bodies.Deleted(status=f"FAILURE: {BUSY}", audit_id=launched.audit_id)
    row = await _end_of(archive, launched.audit_id)
    return bodies.Deleted(status=_told(row, launched.audit_id), audit_id=launched.audit_id)


async def _initiate(
    archive: Archive, caller: Caller, kind: AuditType, filters: Filters, options: Options
) -> bodies.Initiated:
    require_scope(filters, options.allow_all or options.audit_id is not None)
    launched = await _launch(archive, caller, kind, filters, options)
    message = f"{kind.capitalize()} initiated successfully" if launched.started else BUSY
    return bodies.Initiated(message=message, audit_id=launched.audit_id)


async def _launch(archive: Archive, caller: Caller, kind: AuditType, filters: Filters, options: Options) -> Launched:
    order = Order(kind, filters, options, REQUEST_ID.get(), caller.name)
    return await archive.workers.run(MOVE, launcher.launch, archive.settings, archive.dagster, order)


async def _end_of(archive: Archive, audit_id: str) -> AuditRow | None:
    """The last row of an operation once its run has ended; None if that takes longer than we wait."""
    deadline = asyncio.get_running_loop().time() + archive.limits.delete_seconds - _MARGIN_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(_POLL_SECONDS)
        try:
            run = await archive.workers.run(RUNS, archive.dagster.run, audit_id)
            if run is not None and run.is_finished:
                return await latest_row(archive, audit_id)
        except ApiError:
            # Dagster is away for a moment; the deletion is in its queue all the same.
            continue
    return None


async def latest_row(archive: Archive, audit_id: str) -> AuditRow:
    """The newest row of an audit, or what its run says where nothing is written yet.

    Raises:
        NotFoundError: there is neither.
    """
    try:
        return await archive.workers.run(AUDIT, service.audit_latest, archive.settings, audit_id)
    except NotFoundError:
        # In a group of its own: a Dagster that hangs must not hold up those whose rows are there.
        return await archive.workers.run(RUNS, launcher.row_of_run, archive.dagster, audit_id)


def _told(row: AuditRow | None, audit_id: str) -> str:
    if row is None:
        return f"FAILURE: not finished yet; the deletion goes on, poll the audit {audit_id}"
    if row["audit_status"] != AuditStatus.COMPLETED:
        reason = row.get("error_summary") or f"the deletion has {row['audit_status']}"
        return f"FAILURE: {reason}"
    stayed = (row.get("details") or {}).get("stayed") or []
    if stayed:
        reasons = ", ".join(f"{tree['root_id']} ({tree['reason']})" for tree in stayed[:5])
        return f"FAILURE: {len(stayed)} of the given trees stay: {reasons}"
    return "SUCCESS"
