"""Which keys must stay: those of running processes, and whatever we cannot tell whose it is.

Asked right before every removal, so that the answer is about this moment and not about when the work was written down:
a database that was set back to an earlier time has processes running that had ended. Not here: when a key that may go
is old enough to go (``sweeper.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from archival_pipeline.interim.keys import OF_THE_ROOT, STARTS, Shape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archival_pipeline.interim.engines import EngineReader, Running
    from archival_pipeline.interim.keys import Parsed

Verdict = Literal["over", "running", "named", "unknown"]
"""Over: may go. Running: a process it names, or its tree, runs. Named: a running process needs it for its start.
Unknown: no shape of ours, or an id of another engine."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Asks the engine about keys, in two queries whatever their number."""

    engine: EngineReader

    def verdicts(self, keys: Mapping[str, Parsed]) -> dict[str, Verdict]:
        """What is to be done with keys, given without their keyspace."""
        running = self.engine.running(owner for parsed in keys.values() for owner in parsed.owners)
        named = self.engine.named_by_running(key for key, parsed in keys.items() if parsed.shape in STARTS)
        return {key: self._verdict(key, parsed, running, named) for key, parsed in keys.items()}

    def _verdict(self, key: str, parsed: Parsed, running: Running, named: set[str]) -> Verdict:
        if parsed.shape is Shape.OTHER or not all(map(self.engine.owns, parsed.owners)):
            return "unknown"
        if parsed.shape in STARTS:
            return "named" if key in named else "over"
        needed_by = running.trees if parsed.shape in OF_THE_ROOT else running.processes
        return "over" if needed_by.isdisjoint(parsed.owners) else "running"
