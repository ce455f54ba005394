"""Where in the execution hierarchy a variable lived, as an activity instance sees it.

History names the execution that owned a variable but not that execution's parent. The rules here find the owner on the
path from an activity instance up to the process instance; what only the missing parent could tell comes out as
uncertain. Their order matters: each one relies on those before it having said no.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from archival_pipeline.variables.cut import Boundary
from archival_pipeline.variables.history import MULTI_INSTANCE_BODY

if TYPE_CHECKING:
    from archival_pipeline.variables.cut import Kept
    from archival_pipeline.variables.history import Activity, History
    from archival_pipeline.variables.loops import Loops


class OwnerKind(StrEnum):
    """What kind of place owns a variable."""

    PROCESS = "process"
    SCOPE = "scope"
    BRANCH = "branch"
    EVENT_SCOPE = "event-scope"
    TASK = "task"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Owner:
    """The place that owns a variable.

    Attributes:
        kind: what kind of place.
        activity_instance_id: the scope; for a branch the activity instance whose branch it is; None if unknown.
        activity_id: its id in the model.
        execution_id: the execution as history names it.
        depth: how far from the activity instance that looks; 0 is its own scope, 1 its own branch, then outwards.
    """

    kind: OwnerKind
    activity_instance_id: str | None
    activity_id: str | None
    execution_id: str | None
    depth: int


class Path:
    """One activity instance's way up to the process instance, asked for the owner of variables."""

    def __init__(self, history: History, activity: Activity, boundary: Boundary, loops: Loops) -> None:
        self._history = history
        self._boundary = boundary
        self._loops = loops
        self.activity = activity
        self.ids = history.ancestors(activity)
        self._depth = {row_id: 2 * place for place, row_id in enumerate(self.ids)}
        self._rows = [history.activities[row_id] for row_id in self.ids if row_id in history.activities]
        # The outermost wins: a leaf without an execution of its own runs on that of its scope.
        self._by_execution = {row.execution_id: row for row in self._rows}
        self._before_siblings = self._earlier_siblings()

    def owner_of(self, kept: Kept) -> Owner | None:
        """The owner of a variable; of kind UNKNOWN where it may be visible; None where it surely is not."""
        change = kept.last or kept.first
        execution = change.execution_id
        if execution == self._history.process.id:
            return Owner(OwnerKind.PROCESS, self._history.process.id, None, execution, 2 * len(self.ids))
        return (
            self._on_the_path(kept, execution)
            or self._by_creation(kept, execution)
            or self._event_scope(kept, execution)
            or self._loop_or_unknown(kept, execution)
        )

    def _on_the_path(self, kept: Kept, execution: str | None) -> Owner | None:
        row = self._by_execution.get(execution or "")
        if row is None:
            return None
        own = row.is_scope or self._is_own_scope(row, kept)
        return self._at(row.id, OwnerKind.SCOPE if own else OwnerKind.BRANCH, execution)

    def _is_own_scope(self, leaf: Activity, kept: Kept) -> bool:
        """Whether a leaf's execution is its own: nothing else ran on it, and the variable began in it."""
        return kept.first.source == leaf.id and len(self._history.by_execution[leaf.execution_id]) == 1

    def _by_creation(self, kept: Kept, execution: str | None) -> Owner | None:
        named = kept.variable.activity_instance_id
        row = self._history.activities.get(named or "")
        if row is None or row.id not in self._depth or row.type == MULTI_INSTANCE_BODY:
            return None
        if execution in self._history.by_execution:
            return None
        return self._at(row.id, OwnerKind.SCOPE if row.is_scope else OwnerKind.BRANCH, execution)

    def _event_scope(self, kept: Kept, execution: str | None) -> Owner | None:
        source = kept.first.source
        if source is None or source == self._history.process.id or source not in self._depth:
            return None
        return None if source in self._history.activities else self._at(source, OwnerKind.EVENT_SCOPE, execution)

    def _loop_or_unknown(self, kept: Kept, execution: str | None) -> Owner | None:
        for row in self._rows:
            body = self._loops.body_of(row)
            if body is None or kept.first.source != body.id or execution == body.execution_id:
                continue
            owned = self._loops.execution_of(row, body)
            if owned is None:
                return self._unknown(execution)
            return self._at(row.id, OwnerKind.BRANCH, execution) if owned == execution else None
        if self._lives_elsewhere(kept, execution) or not self._may_be_ours(kept):
            return None
        return self._unknown(execution)

    def _lives_elsewhere(self, kept: Kept, execution: str | None) -> bool:
        """Whether the execution belongs for sure to something that is not on the path."""
        history = self._history
        creator = history.activities.get(kept.first.source or "")
        if creator is not None and creator.type == MULTI_INSTANCE_BODY and execution != creator.execution_id:
            # A loop variable dies with its round; only inner instances see it, and those were asked before.
            return True
        rows = history.by_execution.get(execution or "", [])
        return any(row.is_scope for row in rows)

    def _may_be_ours(self, kept: Kept) -> bool:
        """Whether the branch of the creator could have gone on to this path."""
        history = self._history
        creator = history.activities.get(kept.first.source or "")
        if creator is None or creator.id in self._depth:
            return True
        # The creator may have run inside a scope of that branch.
        for row_id in history.ancestors(creator):
            row = history.activities.get(row_id)
            if row_id in self._before_siblings or row is None:
                return True
            if row.parent_id in self._depth:
                return self._boundary is Boundary.END and row.parent_id == self.activity.id
        return False

    def _earlier_siblings(self) -> set[str]:
        history = self._history
        found: set[str] = set()
        for row in self._rows:
            parent = row.parent_id or history.process.id
            for sibling in history.children.get(parent, ()):
                if sibling.id == row.id:
                    if history.keys.comparable:
                        break
                    continue
                if history.keys.comparable or sibling.start <= row.start:
                    found.add(sibling.id)
        return found

    def _at(self, row_id: str, kind: OwnerKind, execution: str | None) -> Owner:
        row = self._history.activities.get(row_id)
        depth = self._depth[row_id] + (1 if kind is OwnerKind.BRANCH else 0)
        return Owner(kind, row_id, row.activity_id if row else None, execution, depth)

    def _unknown(self, execution: str | None) -> Owner:
        return Owner(OwnerKind.UNKNOWN, None, None, execution, -1)
