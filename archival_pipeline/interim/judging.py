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
    from collections.abc import Iterator, Mapping

    from archival_pipeline.interim.engines import EngineReader, Running
    from archival_pipeline.interim.holding import OnHold
    from archival_pipeline.interim.keys import Parsed

Verdict = Literal["over", "running", "named", "held", "unknown"]
"""Over: may go. Running: a process it names, or its tree, runs. Named: a running process needs it for its start.
Held: it belongs to a process on legal hold. Unknown: no shape of ours, or an id of another engine."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Asks the engine about keys, in two queries whatever their number."""

    engine: EngineReader

    def verdicts(
        self, keys: Mapping[str, Parsed], running: Running | None = None, on_hold: OnHold | None = None
    ) -> dict[str, Verdict]:
        """What is to be done with keys, by whatever the caller calls them.

        Args:
            keys: what is known of them.
            running: what the engine has said about their owners a moment ago; it is asked by default.
            on_hold: what is on hold; by default nobody asks, as long as nothing goes.
        """
        if running is None:
            running = self.engine.running(owner for parsed in keys.values() for owner in parsed.owners)
        named = self.engine.named_by_running(parsed.name for parsed in keys.values() if parsed.shape in STARTS)
        owns = self.engine.owns
        found: dict[str, Verdict] = {}
        # Hundreds of thousands come through here: the questions are asked in the order of how often they decide.
        for key, (shape, owners, name) in keys.items():
            if shape is Shape.OTHER or not all(map(owns, owners)):
                found[key] = "unknown"
            elif owners:
                needed_by = running.trees if shape in OF_THE_ROOT else running.processes
                found[key] = "over" if needed_by.isdisjoint(owners) else "running"
            else:
                found[key] = "named" if name in named else "over"
        if on_hold is not None and on_hold.any:
            found |= dict.fromkeys(self._held(keys, on_hold), "held")
        return found

    def _held(self, keys: Mapping[str, Parsed], on_hold: OnHold) -> Iterator[str]:
        processes = on_hold.processes(owner for parsed in keys.values() for owner in parsed.owners)
        starts = on_hold.starts(parsed.name for parsed in keys.values() if parsed.shape in STARTS)
        for key, (shape, owners, name) in keys.items():
            if not processes.keys().isdisjoint(owners) or (shape in STARTS and name in starts):
                yield key
