"""The rows of one process instance's history, and the indexes that the snapshot algorithm asks for.

Not here: where the rows come from (``reading``), and values: changes carry none, so that 100,000 of them stay light.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from archival_pipeline.variables.keys import KeySpace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

MULTI_INSTANCE_BODY = "multiInstanceBody"
_SCOPES = frozenset({MULTI_INSTANCE_BODY, "subProcess", "transaction", "adHocSubProcess", "callActivity"})
# The engine keeps these for itself on the executions of a multi-instance body.
TECHNICAL = frozenset({"nrOfInstances", "nrOfCompletedInstances", "nrOfActiveInstances", "loopCounter"})
LOOP_COUNTER = "loopCounter"


class Process(NamedTuple):
    """What ACT_HI_PROCINST says about the instance."""

    id: str
    definition_id: str
    definition_key: str
    root_id: str | None
    state: str
    start: datetime
    end: datetime | None
    removal: datetime | None
    tenant_id: str | None


class Activity(NamedTuple):
    """One row of ACT_HI_ACTINST. ``parent_id`` may name an instance that never got a row."""

    id: str
    parent_id: str | None
    execution_id: str
    activity_id: str
    name: str | None
    type: str
    start: datetime
    end: datetime | None
    state: int | None
    task_id: str | None

    @property
    def is_scope(self) -> bool:
        """Whether other activities run inside it."""
        return self.type in _SCOPES


class Variable(NamedTuple):
    """One row of ACT_HI_VARINST: a runtime variable from its creation on."""

    id: str
    name: str
    execution_id: str | None
    activity_instance_id: str | None
    task_id: str | None
    deleted: bool
    # Whether the row still names a value; a variable without one may have been null at the end.
    type: str | None


class Change(NamedTuple):
    """One VariableUpdate row of ACT_HI_DETAIL. ``source`` is where the change was made, not who owns the variable."""

    id: str
    variable_id: str
    source: str | None
    execution_id: str | None
    sequence: int
    revision: int
    time: datetime
    type: str | None
    # Every value column is null: a deletion, or a null value.
    empty: bool
    # LONG_ of a loop counter; the only value that the algorithm itself looks at.
    counter: int | None


class JobSuccess(NamedTuple):
    """A success row of ACT_HI_JOB_LOG of an asynchronous continuation before an activity."""

    id: str
    activity_id: str
    execution_id: str | None


class History:
    """Everything known about one process instance.

    Attributes:
        process: the instance.
        activities: by id.
        variables: by id.
        changes: per variable id, in the variable's own order.
        jobs: successes of asynchronous continuations, in key order.
        keys: the order of ids.
        has_unseen_tokens: a job was to continue a token and never did: that token has no activity instance.
    """

    def __init__(
        self,
        process: Process,
        activities: Sequence[Activity],
        variables: Sequence[Variable],
        changes: Sequence[Change],
        jobs: Sequence[JobSuccess] = (),
        *,
        has_unseen_tokens: bool = False,
    ) -> None:
        self.process = process
        self.has_unseen_tokens = has_unseen_tokens
        self.activities = {row.id: row for row in activities}
        self.variables = {row.id: row for row in variables}
        grouped: defaultdict[str, list[Change]] = defaultdict(list)
        for change in changes:
            grouped[change.variable_id].append(change)
        for group in grouped.values():
            group.sort(key=lambda change: change.sequence)
        self.changes: Mapping[str, list[Change]] = grouped
        self.keys = KeySpace.of([(change.id, change.time) for change in changes], [row.id for row in activities])
        self.jobs = self.keys.ordered(jobs)

    @cached_property
    def children(self) -> Mapping[str, list[Activity]]:
        """Activity instances by parent, in the order in which they began as far as ids tell."""
        found: defaultdict[str, list[Activity]] = defaultdict(list)
        for activity in self.activities.values():
            if activity.parent_id is not None:
                found[activity.parent_id].append(activity)
        return {parent: self.keys.ordered(rows) for parent, rows in found.items()}

    @cached_property
    def by_execution(self) -> Mapping[str, list[Activity]]:
        """Activity instances by the execution of their last event."""
        found: defaultdict[str, list[Activity]] = defaultdict(list)
        for activity in self.activities.values():
            found[activity.execution_id].append(activity)
        return found

    def ancestors(self, activity: Activity) -> list[str]:
        """Ids from the activity instance up to the process instance; one of them may have no row."""
        path = [activity.id]
        seen = {activity.id}
        parent = activity.parent_id
        while parent is not None and parent != self.process.id and parent not in seen:
            path.append(parent)
            seen.add(parent)
            row = self.activities.get(parent)
            parent = row.parent_id if row else None
        path.append(self.process.id)
        return path

    def subtree(self, activity: Activity) -> set[str]:
        """Ids of the activity instance and everything that ran inside it."""
        found: set[str] = set()
        open_ids = [activity.id]
        while open_ids:
            current = open_ids.pop()
            if current not in found:
                found.add(current)
                open_ids += [child.id for child in self.children.get(current, ())]
        return found
