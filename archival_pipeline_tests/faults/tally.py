"""Counts the faults that happened, for the last lines of a test run: a suite that tried nothing must not look green.

Not here: what they left, which each test judges.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from archival_pipeline_tests.faults.points import Fault

SHORT, MIDDLE, LONG = "short form", "middle tier", "long form"


@dataclass(slots=True)
class Tally:
    """What was tried in this session.

    Attributes:
        tier: of the test that is running.
        points: for each tier and job at how many points of how many the mover was killed.
        faults: how often each kind of fault happened, by tier.
    """

    tier: str = SHORT
    points: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    faults: Counter[tuple[str, str]] = field(default_factory=Counter)

    def killed(self, job: str, tried: int, of: int) -> None:
        """Count the kill points of one job."""
        self.points[self.tier, job] = (tried, of)

    def happened(self, faults: Iterable[Fault]) -> None:
        """Count the faults of one run."""
        for fault in faults:
            self.faults[self.tier, fault.action] += 1

    def lines(self) -> Iterator[str]:
        """What to print at the end."""
        for tier in (SHORT, MIDDLE, LONG):
            kinds = ", ".join(f"{kind} {number}" for (of, kind), number in sorted(self.faults.items()) if of == tier)
            if kinds:
                yield f"{tier}: {kinds}"
            for (of, job), (tried, every) in self.points.items():
                if of == tier:
                    yield f"{tier}: {job} killed at {tried} of its {every} points, and finished by the next run"


TALLY = Tally()
