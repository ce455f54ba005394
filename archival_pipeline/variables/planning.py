"""Makes the plan of a modification or a restart from a snapshot and what the engine says about the instance now.

Nothing is changed here. Order inside a modification: variables of scopes that are alive, then tokens. Old tokens are
cancelled by instance id before the new one starts, unless that would end the very scope that the new one needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from archival_pipeline.variables.cut import Boundary
from archival_pipeline.variables.failures import PlanRefusedError
from archival_pipeline.variables.placing import Placed, Placing
from archival_pipeline.variables.plan import Operation, Plan, Step

if TYPE_CHECKING:
    from archival_pipeline.variables.history import Activity
    from archival_pipeline.variables.service import Shown
    from archival_pipeline.variables.state import Ended, Live, Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the user wants besides the snapshot.

    Attributes:
        cancel: ids of activity or transition instances to cancel.
        ancestor: the live scope instance to start in, where there are several.
        accept: names to put back despite their flags.
        remove_newer: remove variables of the process instance that the snapshot does not have.
        activate: activate a suspended instance before its tokens are moved.
        skip_custom_listeners: as the engine's option of that name.
        skip_io_mappings: as the engine's option of that name.
        annotation: stands in the engine's user operation log.
    """

    cancel: tuple[str, ...] = ()
    ancestor: str | None = None
    accept: frozenset[str] = frozenset()
    remove_newer: bool = False
    activate: bool = False
    skip_custom_listeners: bool = False
    skip_io_mappings: bool = False
    annotation: str | None = None


def modification(shown: Shown, live: Live, wishes: Wishes, *, plan_id: str, made_at: str) -> Plan:
    """The plan that puts a snapshot back into a running instance.

    Raises:
        PlanRefusedError: the wishes do not fit the instance.
    """
    activity = _activity(shown)
    _check_same(shown, live.definition_id)
    _check_wishes(live, wishes)
    parent = _parent(shown, activity, live, wishes)
    start_first = parent is not None and parent.parent_id is not None and _empties(live, parent, wishes.cancel)
    crowded = start_first and all(
        node.id in wishes.cancel for node in live.nodes.values() if parent is not None and node.parent_id == parent.id
    )
    placed = Placing(shown, live, parent, wishes.accept, crowded=crowded).place()
    newer = sorted(live.process_names() - {entry.name for entry in shown.snapshot.entries()})
    steps = _variable_steps(live, placed, newer if wishes.remove_newer else [])
    if live.suspended:
        steps.append(_activation(live))
    steps.append(_modify(shown, activity, live, placed, wishes, parent=parent, start_first=start_first))
    notes = _modification_notes(live, newer, wishes, start_first=start_first)
    about = {"plan_id": plan_id, "made_at": made_at, "expects": live.fingerprint()}
    return _plan("modify", shown, placed, steps, notes=notes, **about)


def restart(shown: Shown, ended: Ended, wishes: Wishes, *, plan_id: str, made_at: str) -> Plan:
    """The plan that starts a new instance of the same definition where the snapshot was taken.

    Raises:
        PlanRefusedError: the wishes do not fit.
    """
    activity = _activity(shown)
    _check_same(shown, ended.definition_id)
    if wishes.cancel or wishes.ancestor or wishes.remove_newer or wishes.activate:
        raise PlanRefusedError(
            "A restart begins with an empty instance: there is nothing to cancel, to choose, to remove or to activate.",
            resolve="Leave these wishes out.",
        )
    placed = Placing(shown, None, None, wishes.accept).place()
    body: dict[str, Any] = {
        "variables": placed.process,
        "startInstructions": [_start(shown, activity, placed, None)],
        "skipCustomListeners": wishes.skip_custom_listeners,
        "skipIoMappings": wishes.skip_io_mappings,
    }
    if ended.business_key is not None:
        body["businessKey"] = ended.business_key
    step = Step(
        title=f"Start a new instance at {activity.activity_id}",
        method="POST",
        path=f"/process-definition/{_quoted(ended.definition_id)}/start",
        body=body,
    )
    notes = [
        "The new instance gets an id of its own, and the engine does not record which instance it repeats.",
        "Called instances of the finished instance are not started again.",
    ]
    about = {"plan_id": plan_id, "made_at": made_at, "expects": ended.fingerprint()}
    return _plan("restart", shown, placed, [step], notes=notes, **about)


def _plan(
    operation: Operation, shown: Shown, placed: Placed, steps: list[Step], *, notes: list[str], **about: str
) -> Plan:
    snapshot, activity = shown.snapshot, _activity(shown)
    return Plan(
        plan_id=about["plan_id"],
        made_at=about["made_at"],
        operation=operation,
        process_instance_id=snapshot.process.id,
        process_definition_id=snapshot.process.definition_id,
        activity_instance_id=activity.id,
        at="end" if snapshot.boundary is Boundary.END else "start",
        after_outputs=snapshot.after_outputs,
        target_activity_id=activity.activity_id,
        expects=about["expects"],
        steps=steps,
        inexact=placed.inexact,
        left_out=placed.left_out,
        notes=placed.notes + notes,
    )


def _activity(shown: Shown) -> Activity:
    activity = shown.snapshot.activity
    if activity is None:
        raise PlanRefusedError(
            "A plan needs the snapshot of an activity instance: a moment of a whole instance says nowhere to go on.",
            resolve="Choose an activity instance from the list.",
        )
    return activity


def _check_same(shown: Shown, definition_id: str) -> None:
    recorded = shown.snapshot.process.definition_id
    if recorded != definition_id:
        raise PlanRefusedError(
            f"History says the definition is {recorded}, the engine says {definition_id}.",
            resolve="Check that CAMUNDA_REST_URL and the CAMUNDA_DB_ variables mean the same engine.",
        )


def _check_wishes(live: Live, wishes: Wishes) -> None:
    named = [*wishes.cancel, *filter(None, [wishes.ancestor])]
    strangers = [row_id for row_id in named if row_id not in live.nodes or row_id == live.id != wishes.ancestor]
    if strangers:
        raise PlanRefusedError(
            f"Not alive in this instance: {', '.join(strangers)}.",
            resolve=f"Alive are: {', '.join(sorted(live.nodes.keys() - {live.id}))}.",
        )
    if live.suspended and not wishes.activate:
        raise PlanRefusedError(
            f"The instance {live.id} is suspended; the engine starts no activity there.",
            resolve="Ask for the plan to activate it; its variables are set before that.",
        )


def _parent(shown: Shown, activity: Activity, live: Live, wishes: Wishes) -> Node | None:
    """The live scope that the target will run in."""
    scope = shown.snapshot.parent.activity_id if shown.snapshot.parent else None
    if wishes.ancestor is not None:
        chosen = live.nodes[wishes.ancestor]
        return chosen if chosen.activity_id == scope or chosen.id in {activity.parent_id, live.id} else None
    exact = live.nodes.get(activity.parent_id or live.id)
    if exact is not None:
        return exact
    alive = live.of_activity(scope)
    if len(alive) > 1:
        raise PlanRefusedError(
            f"{len(alive)} instances of the scope of {activity.activity_id} are alive.",
            resolve=f"Name one of them as the ancestor: {', '.join(node.id for node in alive)}.",
        )
    return alive[0] if alive else None


def _empties(live: Live, scope: Node, cancelled: tuple[str, ...]) -> bool:
    """Whether cancelling would leave nothing in a scope, which the engine then ends with its variables."""
    inside = [node for node in live.nodes.values() if node.parent_id == scope.id]
    return all(node.id in cancelled or (_children(live, node) and _empties(live, node, cancelled)) for node in inside)


def _children(live: Live, node: Node) -> bool:
    return any(other.parent_id == node.id for other in live.nodes.values())


def _variable_steps(live: Live, placed: Placed, deletions: list[str]) -> list[Step]:
    steps = []
    if placed.process or deletions:
        steps.append(
            Step(
                title=f"Set {len(placed.process)} and remove {len(deletions)} variable(s) of the process instance",
                method="POST",
                path=f"/process-instance/{_quoted(live.id)}/variables",
                body={"modifications": placed.process, "deletions": deletions},
            )
        )
    for execution, values in placed.locals.items():
        steps.append(
            Step(
                title=f"Set {len(values)} local variable(s) of a live scope",
                method="POST",
                path=f"/execution/{_quoted(execution)}/localVariables",
                body={"modifications": values},
            )
        )
    return steps


def _activation(live: Live) -> Step:
    return Step(
        title="Activate the instance",
        method="PUT",
        path=f"/process-instance/{_quoted(live.id)}/suspended",
        body={"suspended": False},
    )


def _modify(
    shown: Shown, activity: Activity, live: Live, placed: Placed, wishes: Wishes, *, parent: Node | None,
    start_first: bool,
) -> Step:  # fmt: skip
    cancels = [_cancel(live.nodes[row_id]) for row_id in wishes.cancel]
    ancestor = wishes.ancestor or (parent.id if parent is not None and parent.parent_id is not None else None)
    start = _start(shown, activity, placed, ancestor)
    body: dict[str, Any] = {
        "instructions": [start, *cancels] if start_first else [*cancels, start],
        "skipCustomListeners": wishes.skip_custom_listeners,
        "skipIoMappings": wishes.skip_io_mappings,
    }
    if wishes.annotation:
        body["annotation"] = wishes.annotation
    return Step(
        title=f"Cancel {len(cancels)} token(s) and start {activity.activity_id}",
        method="POST",
        path=f"/process-instance/{_quoted(live.id)}/modification",
        body=body,
    )


def _cancel(node: Node) -> dict[str, Any]:
    name = "transitionInstanceId" if node.transition else "activityInstanceId"
    return {"type": "cancel", name: node.id}


def _start(shown: Shown, activity: Activity, placed: Placed, ancestor: str | None) -> dict[str, Any]:
    before = shown.snapshot.boundary is Boundary.START
    instruction: dict[str, Any] = {
        "type": "startBeforeActivity" if before else "startAfterActivity",
        "activityId": activity.activity_id,
    }
    if ancestor is not None:
        instruction["ancestorActivityInstanceId"] = ancestor
    if placed.instruction:
        instruction["variables"] = placed.instruction
    return instruction


def _modification_notes(live: Live, newer: list[str], wishes: Wishes, *, start_first: bool) -> list[str]:
    notes = ["Each step is a transaction of its own in the engine: stopped half-way, the earlier ones stay done."]
    if newer and not wishes.remove_newer:
        notes.append(
            f"These variables of the process instance are newer than the snapshot and stay: {', '.join(newer)}."
        )
    if not wishes.cancel:
        notes.append("No token is cancelled: the new one runs beside those that are there.")
    if start_first:
        notes.append("The new token starts before the old ones are cancelled, so that their scope stays alive.")
    if live.suspended:
        notes.append("The instance is activated; its jobs may run from then on.")
    return notes


def _quoted(part: str) -> str:
    return quote(part, safe="")
