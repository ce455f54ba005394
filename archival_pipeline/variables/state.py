"""What the engine says about an instance now, and its fingerprint: how a plan knows that the instance moved on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote

from archival_pipeline.variables.failures import EngineError, PlanRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline.variables.engine import Engine

_GONE = 404


@dataclass(frozen=True, slots=True)
class Node:
    """A live activity instance, or a token that waits for a job (``transition``)."""

    id: str
    parent_id: str | None
    activity_id: str
    execution_ids: tuple[str, ...]
    transition: bool = False


@dataclass(frozen=True, slots=True)
class Live:
    """A running instance.

    Attributes:
        id: of the instance.
        definition_id: of its definition.
        suspended: whether it is suspended.
        nodes: its live activity instances by id, the instance itself among them.
        variables: what the engine says about each live variable.
    """

    id: str
    definition_id: str
    suspended: bool
    nodes: dict[str, Node]
    variables: tuple[dict[str, Any], ...]

    def of_activity(self, activity_id: str | None) -> list[Node]:
        """Live instances of an activity."""
        return [node for node in self.nodes.values() if node.activity_id == activity_id and not node.transition]

    def process_names(self) -> set[str]:
        """Names of the variables of the process instance itself."""
        return {row["name"] for row in self.variables if row.get("executionId") == self.id}

    def fingerprint(self) -> str:
        """The same as long as no token, execution or variable changed."""
        tree = sorted([node.id, node.parent_id or "", *sorted(node.execution_ids)] for node in self.nodes.values())
        kept = ("id", "name", "type", "value", "executionId")
        variables = sorted(
            json.dumps([row.get(name) for name in kept], sort_keys=True, default=str) for row in self.variables
        )
        return _digest([self.definition_id, self.suspended, tree, variables])


@dataclass(frozen=True, slots=True)
class Ended:
    """A finished instance, as the engine's history has it."""

    id: str
    definition_id: str
    business_key: str | None
    end_time: str

    def fingerprint(self) -> str:
        """The same as long as the history row is."""
        return _digest([self.id, self.definition_id, self.business_key, self.end_time])


def live(engine: Engine, process_instance_id: str) -> Live:
    """Read a running instance.

    Raises:
        PlanRefusedError: it does not run any more.
        EngineError: the engine refused or gave no answer.
    """
    place = f"/process-instance/{quote(process_instance_id, safe='')}"
    try:
        about = engine.get(place)
        tree = engine.get(f"{place}/activity-instances")
    except EngineError as error:
        if error.status == _GONE:
            _moved_on(f"The instance {process_instance_id} does not run any more.", error)
        raise
    variables = engine.get("/variable-instance", processInstanceIdIn=process_instance_id, deserializeValues="false")
    nodes = {node.id: node for node in _walk(tree, None)}
    return Live(process_instance_id, about["definitionId"], bool(about["suspended"]), nodes, tuple(variables))


def ended(engine: Engine, process_instance_id: str) -> Ended:
    """Read a finished instance.

    Raises:
        PlanRefusedError: it still runs, or its history is gone.
        EngineError: the engine refused or gave no answer.
    """
    try:
        about = engine.get(f"/history/process-instance/{quote(process_instance_id, safe='')}")
    except EngineError as error:
        if error.status == _GONE:
            _moved_on(f"The engine has no history of the instance {process_instance_id}.", error)
        raise
    if about.get("endTime") is None:
        raise PlanRefusedError(
            f"The instance {process_instance_id} still runs.",
            resolve="Plan a modification instead of a restart.",
        )
    return Ended(process_instance_id, about["processDefinitionId"], about.get("businessKey"), about["endTime"])


def _walk(tree: dict[str, Any], parent: str | None) -> Iterator[Node]:
    yield Node(tree["id"], parent, tree["activityId"], tuple(tree.get("executionIds") or ()))
    for child in tree.get("childActivityInstances") or ():
        yield from _walk(child, tree["id"])
    for token in tree.get("childTransitionInstances") or ():
        yield Node(token["id"], tree["id"], token["activityId"], (token["executionId"],), transition=True)


def _moved_on(summary: str, error: EngineError) -> NoReturn:
    raise PlanRefusedError(summary, resolve="Make a new plan for the instance as it is now.") from error


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
