"""Routes that read process instances: count, find, children, script."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Depends, Request

from archival_pipeline.api import pages
from archival_pipeline.api.archival import bodies
from archival_pipeline.api.archival.state import SELECT, UsableArchive
from archival_pipeline.api.auth import Access, requires
from archival_pipeline.api.errors import responses
from archival_pipeline.archival import service

TAG = {"name": "planning", "description": "Which process instances there are, before anything is moved."}

router = APIRouter(
    prefix="/processes",
    tags=[TAG["name"]],
    dependencies=[Depends(requires(Access.READ))],
    responses=responses(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)


@router.post("/count", operation_id="countProcesses", summary="Count process instances")
async def count(body: bodies.CountRequest, archive: UsableArchive) -> bodies.Total:
    """Count the process instances that the filters pick now."""
    total = await archive.workers.run(SELECT, service.count, archive.settings, body.filters(), body.database)
    return bodies.Total(total_count=total)


@router.post("", operation_id="findProcesses", summary="List process instances")
async def find(body: bodies.FindRequest, request: Request, archive: UsableArchive) -> bodies.Found:
    """List the ids of the process instances that the filters pick, page by page."""
    found = await archive.workers.run(
        SELECT,
        service.find,
        archive.settings,
        body.filters(),
        page_size=pages.size_of_page(request, body.page_size),
        page_number=body.page_number,
        database=body.database,
    )
    return bodies.Found(process_instance_ids=found)


@router.post("/children/find", operation_id="findChildren", summary="List descendants")
async def children(body: bodies.ChildrenRequest, archive: UsableArchive) -> bodies.Children:
    """List all descendants of the given instances; those given are left out.

    A move takes descendants along by itself: this is for planning.
    """
    found = await archive.workers.run(
        SELECT, service.children, archive.settings, body.parent_process_instance_ids, body.database
    )
    return bodies.Children(child_process_instance_ids=found)


@router.post("/generate-sql", operation_id="generateSql", summary="Write the script of a backup")
async def generate_sql(body: bodies.ScriptRequest, archive: UsableArchive) -> bodies.Script:
    """Write the transaction that would put the instances and their descendants into the archive; nothing is changed.

    The script holds the rows' values. It is for rehearsals and for reading; a backup checks more than it does.
    """
    lines = await archive.workers.run(SELECT, service.generate_sql, archive.settings, body.process_instance_ids)
    return bodies.Script(backup_sql_script=lines)
