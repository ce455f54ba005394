"""Where each variable of a snapshot goes in the instance that gets it.

The target's execution tree is another than the snapshot's: executions have come and gone. A variable is placed only
where it ends up on the same level; everything else is a remark, and the user decides.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from archival_pipeline.variables.cut import Flag
from archival_pipeline.variables.failures import PlanRefusedError
from archival_pipeline.variables.owners import OwnerKind
from archival_pipeline.variables.plan import Remark

if TYPE_CHECKING:
    from collections.abc import Collection

    from archival_pipeline.variables.service import Shown
    from archival_pipeline.variables.snapshot import Entry
    from archival_pipeline.variables.state import Live, Node

_DOUBTS = frozenset({Flag.AMBIGUOUS, Flag.TIE, Flag.DELETE_AMBIGUOUS, Flag.INCOMPLETE})


@dataclass(slots=True)
class Placed:
    """Variables by where they go, as the engine's REST API takes values.

    Attributes:
        process: on the process instance.
        locals: on live scopes, by execution id.
        instruction: local to what the instruction creates.
        inexact: what cannot be put back as it was.
        left_out: what is not put back on purpose.
        notes: what else to know.
    """

    process: dict[str, Any] = field(default_factory=dict)
    locals: defaultdict[str, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))
    instruction: dict[str, Any] = field(default_factory=dict)
    inexact: list[Remark] = field(default_factory=list)
    left_out: list[Remark] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Placing:
    """Places the entries of one snapshot.

    Args:
        shown: the snapshot with whole values.
        live: the running instance; None for a restart, which begins with an empty tree.
        parent: the live scope that the target will run in; None if it is created.
        accepted: names that the user takes despite their flags.
        crowded: the target shares its scope with a token that is cancelled right after, so that its branch is pruned.
    """

    def __init__(
        self, shown: Shown, live: Live | None, parent: Node | None, accepted: Collection[str], *, crowded: bool = False
    ) -> None:
        self._shown = shown
        self._live = live
        self._parent = parent
        self._accepted = accepted
        self._crowded = crowded
        self._placed = Placed()

    def place(self) -> Placed:
        """Place everything; outer owners first, so that a clash is told about the outer one."""
        snapshot, placed = self._shown.snapshot, self._placed
        for entry in sorted(snapshot.visible + snapshot.shadowed, key=lambda entry: entry.owner.depth):
            self._take(entry)
        for entry in snapshot.uncertain:
            self._inexactly(entry, _doubt(entry))
        for entry in snapshot.own_inputs:
            self._leave_out(entry, "an input parameter of the target itself: the engine evaluates it again")
        for entry in snapshot.task_local:
            self._leave_out(entry, "local to a task: set it on the new task once it is there")
        return placed

    def _take(self, entry: Entry) -> None:
        if Flag.TECHNICAL in entry.flags:
            self._leave_out(entry, "the engine keeps it for a multi-instance activity; setting it corrupts the loop")
        elif entry.flags & _DOUBTS and entry.name not in self._accepted:
            self._inexactly(entry, _doubt(entry))
        else:
            self._by_owner(entry)

    def _by_owner(self, entry: Entry) -> None:
        kind = entry.owner.kind
        if kind is OwnerKind.PROCESS:
            self._placed.process[entry.name] = self._value(entry)
        elif kind is OwnerKind.SCOPE:
            self._to_scope(entry)
        elif kind is OwnerKind.BRANCH:
            self._to_branch(entry)
        else:
            self._inexactly(entry, "owned by an event scope of compensation, which no request reaches")

    def _to_scope(self, entry: Entry) -> None:
        activity = self._shown.snapshot.activity
        assert activity is not None  # noqa: S101 - plans are made of activity instances
        scope = entry.owner
        if scope.activity_instance_id == activity.id:
            self._leave_out(entry, "local to the target itself: it ended with it, or its input parameters set it again")
            return
        alive = self._alive(scope.activity_instance_id, scope.activity_id)
        if len(alive) == 1:
            execution = alive[0].execution_ids[0]
            self._placed.locals[execution][entry.name] = self._value(entry)
        elif alive:
            self._inexactly(entry, f"{len(alive)} instances of {scope.activity_id} are alive: name one as the ancestor")
        elif scope.activity_instance_id == activity.parent_id:
            self._to_instruction(entry)
        else:
            self._inexactly(
                entry, f"the scope {scope.activity_id} is created together with a scope inside it: not in one request"
            )

    def _to_branch(self, entry: Entry) -> None:
        activity = self._shown.snapshot.activity
        assert activity is not None  # noqa: S101 - plans are made of activity instances
        if entry.owner.activity_instance_id != activity.id:
            self._inexactly(entry, f"local to the branch that led to {entry.owner.activity_id}; no request reaches it")
            return
        if self._parent is None or self._crowded:
            self._remark(entry, "local to a branch; lands on the scope around it, so other branches will see it")
        self._to_instruction(entry)

    def _to_instruction(self, entry: Entry) -> None:
        if entry.name in self._placed.instruction:
            self._inexactly(entry, "a nearer variable of the same name takes its place on the new scope")
            return
        self._placed.instruction[entry.name] = self._value(entry) | {"local": True}

    def _alive(self, instance_id: str | None, activity_id: str | None) -> list[Node]:
        if self._live is None:
            return []
        exact = self._live.nodes.get(instance_id or "")
        if exact is not None:
            return [exact]
        if self._parent is not None:
            # The scope that was chosen for the target, and those around it, are the ones meant.
            around = [node for node in self._upwards(self._parent) if node.activity_id == activity_id]
            if around:
                return around[:1]
        return self._live.of_activity(activity_id)

    def _upwards(self, node: Node) -> list[Node]:
        assert self._live is not None  # noqa: S101 - only asked of a running instance
        found = [node]
        while found[-1].parent_id is not None:
            found.append(self._live.nodes[found[-1].parent_id])
        return found

    def _value(self, entry: Entry) -> dict[str, Any]:
        value = self._shown.value_of(entry)
        if value is None:
            raise PlanRefusedError(f"{entry.name} has no value to send.", resolve="Leave it out of the accepted names.")
        if value.java:
            note = f"{entry.name} is a Java object: engines refuse those unless javaSerializationFormatEnabled is set."
            self._placed.notes.append(note)
        return value.for_engine()

    def _remark(self, entry: Entry, reason: str) -> None:
        self._placed.inexact.append(Remark(name=entry.name, reason=reason))

    def _inexactly(self, entry: Entry, reason: str) -> None:
        """A remark on something that is not placed at all."""
        target = self._placed.left_out if Flag.TECHNICAL in entry.flags else self._placed.inexact
        target.append(Remark(name=entry.name, reason=f"not put back: {reason}"))

    def _leave_out(self, entry: Entry, reason: str) -> None:
        self._placed.left_out.append(Remark(name=entry.name, reason=reason))


def _doubt(entry: Entry) -> str:
    flags = ", ".join(sorted(flag.value for flag in entry.flags if flag is not Flag.TECHNICAL))
    return f"history does not say for sure how it stood ({flags})"
