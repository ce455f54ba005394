"""Which loop counter an inner instance of a multi-instance activity has.

The engine creates the concurrent executions of a parallel body last to first and starts the inner instances first to
last, so the counter is the rank. Where inner instances start through jobs, the job log names the execution of each.

Not here: sequential bodies, whose variables all live on the body's own execution.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

from archival_pipeline.variables.history import LOOP_COUNTER, MULTI_INSTANCE_BODY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from archival_pipeline.variables.history import Activity, History


class Loops:
    """Executions, counters and inner instances of one history's multi-instance bodies."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._ranks: dict[str, dict[str, int]] = {}
        self._by_job: dict[str, str | None] = {}
        self._jobs_of: defaultdict[str, list[tuple[int, str | None]]] = defaultdict(list)
        if history.keys.comparable:
            for job in history.jobs:
                self._jobs_of[job.activity_id].append((history.keys[job.id], job.execution_id))

    def body_of(self, activity: Activity | None) -> Activity | None:
        """The body that an activity instance is an inner instance of."""
        parent = self._history.activities.get(activity.parent_id) if activity and activity.parent_id else None
        return parent if parent is not None and parent.type == MULTI_INSTANCE_BODY else None

    def executions(self, body: Activity) -> dict[str, int]:
        """Counter by concurrent execution of a body."""
        return self._counters.get(body.id, {})

    def execution_of(self, inner: Activity, body: Activity) -> str | None:
        """The concurrent execution that an inner instance ran on; None where history does not tell."""
        executions = self.executions(body)
        if inner.execution_id in executions:
            return inner.execution_id
        if not self._history.keys.comparable:
            return None
        if inner.activity_id in self._jobs_of:
            found = self._from_jobs(inner)
            return found if found in executions else None
        return self._from_rank(inner, body, executions)

    def index_of(self, activity: Activity) -> int | None:
        """The loop counter of an inner instance; None where there is none or history does not tell."""
        body = self.body_of(activity)
        if body is None:
            return None
        executions = self.executions(body)
        if not executions:
            # Sequential: rounds follow each other, so the rank is the counter.
            return self._rank(activity, body) if self._history.keys.comparable else None
        execution = self.execution_of(activity, body)
        return executions[execution] if execution is not None else None

    def _from_rank(self, inner: Activity, body: Activity, executions: Mapping[str, int]) -> str | None:
        if len(self._history.children[body.id]) > len(executions):
            return None
        rank = self._rank(inner, body)
        found = [execution for execution, value in executions.items() if value == rank]
        return found[0] if len(found) == 1 else None

    def _rank(self, inner: Activity, body: Activity) -> int:
        if body.id not in self._ranks:
            self._ranks[body.id] = {row.id: place for place, row in enumerate(self._history.children[body.id])}
        return self._ranks[body.id][inner.id]

    def _from_jobs(self, inner: Activity) -> str | None:
        """The first success after the inner instance's id is that of its job, unless another instance maps to it."""
        if inner.id not in self._by_job:
            self._by_job |= self._mapped(inner.activity_id)
        return self._by_job[inner.id]

    def _mapped(self, activity_id: str) -> dict[str, str | None]:
        history = self._history
        jobs = self._jobs_of[activity_id]
        # Instances of every body count: another round of the same activity writes to the same log.
        instances = [row for row in history.activities.values() if row.activity_id == activity_id]
        places = {row.id: _first_after(jobs, history.keys[row.id]) for row in instances}
        taken = Counter(places.values())
        return {row: jobs[at][1] if at is not None and taken[at] == 1 else None for row, at in places.items()}

    @cached_property
    def _counters(self) -> dict[str, dict[str, int]]:
        """Counter by execution by body."""
        found: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for body, execution, value in self._read():
            found[body][execution] = value
        return found

    def _read(self) -> Iterable[tuple[str, str, int]]:
        for variable in self._history.variables.values():
            changes = self._history.changes.get(variable.id)
            if variable.name != LOOP_COUNTER or not changes or changes[0].source is None:
                continue
            body = self._history.activities.get(changes[0].source)
            last = changes[-1]
            if body is None or body.type != MULTI_INSTANCE_BODY or last.counter is None or last.execution_id is None:
                continue
            if last.execution_id != body.execution_id:
                yield body.id, last.execution_id, last.counter


def _first_after(jobs: list[tuple[int, str | None]], key: int) -> int | None:
    return next((place for place, (job, _) in enumerate(jobs) if job > key), None)
