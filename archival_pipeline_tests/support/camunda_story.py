"""Builds histories event by event, as the engine would write them: for tests of one trap each.

Ids are UUIDs of version 1 that tell the order; the clock moves only when told. Not here: random runs
(``camunda_simulator.py``).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from archival_pipeline.variables.history import Activity, Change, History, JobSuccess, Process, Variable, Wait

BEGIN = datetime(2026, 3, 1, 12, 0, 0)  # noqa: DTZ001 - the engine writes wall clock times without a zone


class Story:
    """One process instance; times are milliseconds since it began."""

    def __init__(self, *, counters: bool = False) -> None:
        self.now = 0
        self._ticks = 1_000_000
        self._counters = counters
        self.root = self.new_id()
        self.activities: dict[str, Activity] = {}
        self.variables: dict[str, Variable] = {}
        self.changes: list[Change] = []
        self.jobs: list[JobSuccess] = []
        self.waits: list[Wait] = []

    def new_id(self) -> str:
        """The next generated id."""
        self._ticks += 1
        if self._counters:
            return str(self._ticks)
        text = f"{self._ticks:015x}"
        return f"{text[7:]}-{text[3:7]}-1{text[:3]}-a2ee-02fc00000001"

    def time(self) -> datetime:
        """Now."""
        return BEGIN + timedelta(milliseconds=self.now)

    def wait(self, milliseconds: int = 1) -> None:
        """Let time pass."""
        self.now += milliseconds

    def enter(
        self, activity_id: str, *, parent: str | None = None, execution: str | None = None, kind: str = "serviceTask",
        row_id: str | None = None,
    ) -> str:  # fmt: skip
        """An activity instance begins."""
        made = row_id or f"{activity_id}:{self.new_id()}"
        self.activities[made] = Activity(
            made, parent or self.root, execution or self.root, activity_id, None, kind, self.time(), None, 0, None
        )
        return made

    def leave(self, row_id: str, *, state: int = 4, execution: str | None = None) -> None:
        """It ends."""
        row = self.activities[row_id]
        self.activities[row_id] = row._replace(end=self.time(), state=state, execution_id=execution or row.execution_id)

    def create(
        self, name: str, *, source: str | None, execution: str | None = None, named: str | None = None, **more: Any
    ) -> str:
        """A variable is created; ``named`` is VARINST's activity instance."""
        made = self.new_id()
        self.variables[made] = Variable(
            made, name, execution or self.root, named or source, more.pop("task", None), False, "string"  # noqa: FBT003 - the row's column
        )  # fmt: skip
        self.change(made, source=source, execution=execution, **more)
        return made

    def change(self, variable: str, *, source: str | None, execution: str | None = None, **more: Any) -> str:
        """A variable changes; returns the id of the change."""
        before = [change for change in self.changes if change.variable_id == variable]
        owner = execution or (before[-1].execution_id if before else self.root)
        made = self.new_id()
        self.changes.append(
            Change(
                made, variable, source, owner, len(before) + 1, more.get("revision", 0), self.time(),
                more.get("type", "string"), more.get("empty", False), more.get("counter"),
            )
        )  # fmt: skip
        return made

    def deleted(self, variable: str) -> None:
        """VARINST says that the variable was removed."""
        self.variables[variable] = self.variables[variable]._replace(deleted=True)

    def wait_for_job(self, execution: str) -> int:
        """A token waits for a job; returns the number of the wait."""
        self.waits.append(Wait(execution, self.time(), None))
        return len(self.waits) - 1

    def job_done(self, number: int) -> None:
        """The token goes on."""
        self.waits[number] = self.waits[number]._replace(end=self.time())

    def history(self) -> History:
        """What the engine's tables hold now."""
        process = Process(self.root, "p:1:x", "p", self.root, "ACTIVE", BEGIN, None, None, None)
        return History(
            process,
            list(self.activities.values()),
            list(self.variables.values()),
            list(self.changes),
            list(self.jobs),
            self.waits,
        )
