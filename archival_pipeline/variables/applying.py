"""Makes plans with what the engine says now, and applies them: check, claim, then one request after the other.

The check is optimistic: between it and the last request the instance may still move, as the engine's REST API has no
condition to send along; a suspended instance cannot. Not here: what a plan says (``planning``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from archival_pipeline.variables import planning, state
from archival_pipeline.variables.failures import EngineError, PlanRefusedError

if TYPE_CHECKING:
    from archival_pipeline.variables.audit import Audit
    from archival_pipeline.variables.engine import Engine
    from archival_pipeline.variables.plan import Plan
    from archival_pipeline.variables.planning import Wishes
    from archival_pipeline.variables.service import Shown
    from archival_pipeline.variables.state import Ended, Live


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of a plan.

    Attributes:
        audit_id: under which it stands in the audit.
        steps: how many requests were sent.
        process_instance_id: the instance; for a restart the new one.
    """

    audit_id: str
    steps: int
    process_instance_id: str


def make(engine: Engine, shown: Shown, wishes: Wishes, *, plan_id: str, made_at: str) -> Plan:
    """The plan for an instance: a modification while it runs, a restart once it is over.

    Raises:
        PlanRefusedError: the wishes do not fit.
        EngineError: the engine refused or gave no answer.
    """
    process = shown.snapshot.process
    if process.end is None:
        alive = state.live(engine, process.id)
        return planning.modification(shown, alive, wishes, plan_id=plan_id, made_at=made_at)
    over = state.ended(engine, process.id)
    return planning.restart(shown, over, wishes, plan_id=plan_id, made_at=made_at)


def apply(engine: Engine, plan: Plan, audit: Audit, *, accept_inexact: bool) -> Applied:
    """Send what the plan says, in its order; the first refusal stops it.

    Args:
        engine: where to send it.
        plan: made earlier, perhaps on another machine.
        audit: gets a row before and after each request.
        accept_inexact: the user has read what cannot be put back exactly.

    Raises:
        PlanRefusedError: the instance moved on, the plan was applied before, or its losses were not accepted.
        EngineError: the engine refused a request; says what was done before.
    """
    if plan.inexact and not accept_inexact:
        listing = ", ".join(sorted({remark.name for remark in plan.inexact}))
        raise PlanRefusedError(
            f"The plan cannot put everything back as it was: {listing}.",
            resolve="Read the reasons in the plan; apply it with the acceptance of what is inexact.",
        )
    check(engine, plan)
    audit.begin()
    answer: Any = None
    for number, step in enumerate(plan.steps, start=1):
        audit.write("in_progress", number, f"Sending: {step.title}", step=step)
        try:
            status, answer = engine.send(step.method, step.path, step.body)
        except EngineError as error:
            audit.write("failed", number, step.title, step=step, http_status=error.status, error=error)
            raise _said_what_is_done(error, plan, number) from error
        audit.write("in_progress", number, f"Done: {step.title}", step=step, http_status=status)
    instance = answer["id"] if plan.operation == "restart" and answer else plan.process_instance_id
    audit.write("completed", len(plan.steps), f"Applied to {instance}")
    return Applied(audit.audit_id, len(plan.steps), instance)


def check(engine: Engine, plan: Plan) -> None:
    """Whether the instance is still as the plan expects it.

    Raises:
        PlanRefusedError: it moved on.
    """
    found: Live | Ended
    if plan.operation == "modify":
        found = state.live(engine, plan.process_instance_id)
        _require_own(plan, _of_instance(found))
    else:
        found = state.ended(engine, plan.process_instance_id)
        _require_own(plan, {("POST", f"/process-definition/{quote(found.definition_id, safe='')}/start")})
    if found.fingerprint() != plan.expects:
        raise PlanRefusedError(
            f"The instance {plan.process_instance_id} moved on since the plan was made: "
            "a token, an execution or a variable is not as it was. Nothing was sent.",
            resolve="Make a new plan. Suspend the instance before, if it moves on faster than you read.",
        )


def _of_instance(live: Live) -> set[tuple[str, str]]:
    """The requests that change this instance, and nothing else."""
    executions = {execution for node in live.nodes.values() for execution in node.execution_ids}
    place = f"/process-instance/{quote(live.id, safe='')}"
    return {
        ("POST", f"{place}/variables"),
        ("PUT", f"{place}/suspended"),
        ("POST", f"{place}/modification"),
        *(("POST", f"/execution/{quote(execution, safe='')}/localVariables") for execution in executions),
    }


def _require_own(plan: Plan, allowed: set[tuple[str, str]]) -> None:
    """A plan comes from outside and is sent with our credentials: it may change what it is about, and nothing else.

    Raises:
        PlanRefusedError: a step is about something else.
    """
    strange = [f"{step.method} {step.path}" for step in plan.steps if (step.method, step.path) not in allowed]
    if strange:
        raise PlanRefusedError(
            f"The plan is not about {plan.process_instance_id} alone, as it is now: {strange[0]}. Nothing was sent.",
            resolve="Apply a plan as it was made. If it was, the instance moved on: make a new plan.",
        )


def _said_what_is_done(error: EngineError, plan: Plan, number: int) -> EngineError:
    done = (
        f" {number - 1} of {len(plan.steps)} step(s) were done before." if number > 1 else " Nothing was done before."
    )
    unsure = " It is not known whether this step was carried out." if error.may_have_happened else ""
    return EngineError(
        f"Step {number} of {len(plan.steps)}: {error.summary}{done}{unsure}",
        resolve=error.resolve,
        code=error.code,
        status=error.status,
        may_have_happened=error.may_have_happened,
    )
