"""Routes that plan and apply: a snapshot becomes requests to the engine, which the caller reads and then sends."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request

from archival_pipeline.api.auth import Access, requires
from archival_pipeline.api.errors import responses
from archival_pipeline.api.variables import bodies
from archival_pipeline.api.variables.working import ID, TAG, run
from archival_pipeline.settings_variables import load_backup
from archival_pipeline.variables import audit, restoring, service
from archival_pipeline.variables.cut import Boundary
from archival_pipeline.variables.plan import Plan
from archival_pipeline.variables.planning import Wishes

APPLY_PATH = "/variables/plans/apply"
PLAN_PATH = "/variables/plans"

router = APIRouter(
    tags=[TAG["name"]],
    dependencies=[Depends(requires(Access.OPERATE))],
    responses=responses(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)


@router.post(
    PLAN_PATH,
    response_model=Plan,
    operation_id="planRestore",
    summary="Plan to put a snapshot back",
)
async def plan(request: Request, body: bodies.PlanRequest) -> Plan:
    """Make a plan and change nothing: a running instance is modified, a finished one is started anew.

    Save the answer, read its `steps`, `inexact` and `leftOut`, then send it to be applied. It holds values.
    """
    wanted = service.Moment(
        body.activity_instance_id, Boundary(body.at), body.after_outputs, stored_id=body.stored_snapshot_id
    )
    wishes = Wishes(
        cancel=tuple(body.cancel),
        ancestor=body.ancestor,
        accept=frozenset(body.accept),
        remove_newer=body.remove_newer,
        activate=body.activate,
        skip_custom_listeners=body.skip_custom_listeners,
        skip_io_mappings=body.skip_io_mappings,
        annotation=body.annotation,
    )
    about: dict[str, Any] = {"plan_id": str(uuid.uuid4()), "now": datetime.now(UTC)}
    made: Plan = await run(request, restoring.plan, service.camunda(), restoring.rest(), wanted, wishes, **about)
    return made


@router.post(APPLY_PATH, operation_id="applyRestore", summary="Apply a plan")
async def apply(request: Request, body: bodies.ApplyRequest) -> bodies.Applied:
    """Send what a plan says to the engine, in its order; the first refusal stops it.

    Refused with 409, and nothing is sent, if the instance moved on since, if the plan was applied before, or if it
    cannot put everything back as it was and `acceptInexact` does not say that this is known. A plan is applied once,
    so the same request may be sent again after an answer was lost: it is refused, and the restores of the instance say
    what was done.
    """
    about: dict[str, Any] = {"audit_id": str(uuid.uuid4()), "accept_inexact": body.accept_inexact}
    done = await run(request, restoring.apply, restoring.rest(), load_backup(), body.plan, **about)
    return bodies.Applied(audit_id=done.audit_id, steps=done.steps, process_instance_id=done.process_instance_id)


@router.get(
    "/variables/process-instances/{processInstanceId}/restores",
    response_model=list[bodies.Restore],
    operation_id="listRestores",
    summary="What was sent to the engine for a process instance",
)
async def restores(
    request: Request,
    process_instance_id: Annotated[
        str, Path(alias="processInstanceId", pattern=ID, description="The process instance.", examples=["3e41167d"])
    ],
) -> list[bodies.Restore]:
    """List what plans did to a process instance, oldest first: a row before and after each request, without values."""
    rows = await run(request, audit.of_instance, load_backup(), process_instance_id)
    return [bodies.Restore(**row) for row in rows]
