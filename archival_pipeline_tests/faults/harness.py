"""Starts the mover as a process of its own, with a fault, and says how it ended.

Not here: the databases it works on (``stage.py``), what is checked (``support/oracle.py``).
"""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil

from archival_pipeline_tests.faults.tally import TALLY
from archival_pipeline_tests.support.archive import environment_of
from archival_pipeline_tests.support.forks import ForkServer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline_tests.faults.points import Fault

KILLED = -signal.SIGKILL
# Against a mover that hangs; no test waits for it otherwise.
_LONGEST_RUN = 900.0


@dataclass(frozen=True, slots=True)
class Job:
    """What the mover is told to do.

    Attributes:
        operation: backup, restore or delete.
        filters: under their REST names.
        options: under their REST names; one lane unless they say otherwise, so that points come in order.
        statement_timeout: milliseconds; None for the product's own limit.
    """

    operation: str
    filters: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    statement_timeout: int | None = None

    def arguments(self, audit_id: str) -> list[str]:
        """The worker's command line."""
        options = {"lanes": 1, **self.options}
        return [
            *("--operation", self.operation, "--audit-id", audit_id),
            *("--filters", json.dumps(dict(self.filters)), "--options", json.dumps(options)),
            *(("--statement-timeout", str(self.statement_timeout)) if self.statement_timeout else ()),
        ]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended.

    Attributes:
        exit: exit code of the process; negative for a signal.
        points: a line for each fault point that it reached.
        document: what it said, empty if it could not.
    """

    exit: int
    points: tuple[str, ...]
    document: dict[str, Any]

    @property
    def code(self) -> str:
        """Our code of the error that ended it; empty if it completed."""
        return str(self.document.get("code", "KILLED"))

    @property
    def fired(self) -> bool:
        """Whether the fault happened; a process that died by a signal met it."""
        return self.exit < 0 or bool(self.document["fired"])

    @property
    def last_point(self) -> str:
        """Where it was last."""
        return self.points[-1] if self.points else "no point reached"

    def require_done(self) -> Ended:
        """Fail the test unless the run completed."""
        assert self.exit == 0, self.document
        return self


class Running:
    """A mover at work in a process of its own."""

    def __init__(self, mover: Mover, pid: int, files: tuple[Path, Path], faults: Sequence[Fault]) -> None:
        self._mover = mover
        self.pid = pid
        self._files = files
        self._faults = faults

    def wait_until_stopped(self) -> None:
        """Wait until the process stands at its ``stop`` point; a run that ends before fails the test."""
        process = psutil.Process(self.pid)
        limit = time.monotonic() + _LONGEST_RUN
        while process.status() != psutil.STATUS_STOPPED:
            assert process.status() != psutil.STATUS_ZOMBIE, "the run ended before its stop point"
            assert time.monotonic() < limit, "the run did not reach its stop point"
            time.sleep(0.01)

    def go_on(self) -> None:
        """Let a stopped process go on."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End a run that a failed test has left, stopped or not."""
        os.kill(self.pid, signal.SIGKILL)
        self.end()

    def end(self) -> Ended:
        """Wait for the end."""
        code = self._mover.server.end()
        self._mover.running = None
        log, result = self._files
        document = json.loads(result.read_text(encoding="utf-8")) if result.exists() else {}
        ended = Ended(code, tuple(log.read_text(encoding="utf-8").splitlines()), document)
        if ended.fired:
            TALLY.happened(self._faults)
        return ended


class Mover:
    """Starts moves on demand; the imports are done once. One run at a time: a second mover is a second object."""

    def __init__(self, folder: Path) -> None:
        """Start the process that forks them.

        Args:
            folder: for what the runs say.
        """
        self._folder = folder
        self._number = 0
        self.running: Running | None = None
        self.server = ForkServer("archival_pipeline_tests.support.worker", _LONGEST_RUN)

    def __enter__(self) -> Mover:
        return self

    def __exit__(self, *_: object) -> None:
        if self.running is not None:
            self.running.kill()
        self.server.close()

    def run(
        self, sides: tuple[DatabaseSettings, DatabaseSettings], job: Job | None, audit_id: str, *faults: Fault
    ) -> Ended:
        """Run a job to its end, or with no job take up the operation of the audit id again."""
        return self.start(sides, job, audit_id, *faults).end()

    def start(
        self, sides: tuple[DatabaseSettings, DatabaseSettings], job: Job | None, audit_id: str, *faults: Fault
    ) -> Running:
        """Start a job; the caller waits for its end."""
        if self.running is not None:
            self.running.kill()
        self._number += 1
        log, result = (self._folder / f"{self._number}.{kind}" for kind in ("points", "json"))
        arguments = job.arguments(audit_id) if job else ["--resume", "--audit-id", audit_id]
        arguments += ["--log", str(log), "--result", str(result)]
        for fault in faults:
            arguments += ["--fault", fault.as_json()]
        pid = self.server.start(arguments, environment_of(*sides))
        self.running = Running(self, pid, (log, result), faults)
        return self.running
