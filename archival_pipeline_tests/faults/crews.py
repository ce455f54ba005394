"""Shares cases among movers, one for each core, and remembers which states crashes have left.

Not here: what a case does to a mover, what is asserted of it.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from archival_pipeline_tests.faults.stage import Stages
    from archival_pipeline_tests.faults.states import State
    from archival_pipeline_tests.support.oracle import Judgement

Case = TypeVar("Case")
Found = TypeVar("Found")

# The next run is tried this way and that from each state that was left, and from one in so many of those known.
_TRIED = 2
_ONE_IN_KNOWN = 20


def in_turns(
    crew: Sequence[Stages], cases: Iterator[Case], work: Callable[[Stages, Case], Found | None]
) -> list[Found]:
    """Do one case after the other until none is left, or one of them finds nothing, in turns of all movers.

    Args:
        crew: the stages, once for each mover.
        cases: what to do.
        work: does one case on the stages of one mover.

    Returns:
        What was found, in the order of the cases.
    """
    guard, end = threading.Lock(), threading.Event()
    numbered = enumerate(cases)
    found: dict[int, Found] = {}

    def drain(stages: Stages) -> None:
        try:
            while not end.is_set():
                with guard:
                    number, case = next(numbered, (0, None))
                seen = None if case is None else work(stages, case)
                if seen is None:
                    break
                found[number] = seen
        finally:
            end.set()

    with ThreadPoolExecutor(len(crew)) as pool:
        for done in [pool.submit(drain, stages) for stages in crew]:
            done.result()
    return [found[number] for number in sorted(found)]


@dataclass(slots=True)
class Known:
    """A state that was left.

    Attributes:
        left: what was found in it.
        finished: from how often it was left the next run was tried.
    """

    left: Judgement
    finished: int = 0


@dataclass(slots=True)
class Memory:
    """The states that were left so far."""

    _known: dict[State, Known] = field(default_factory=dict)

    def meet(self, state: State, look: Callable[[], Judgement]) -> Known:
        """What is known of a state; one that is new is looked at."""
        return self._known.get(state) or self._known.setdefault(state, Known(look()))

    @staticmethod
    def is_worth_finishing(known: Known, number: int) -> bool:
        """Whether to try the next run from this state once more; counts that it is tried."""
        known.finished += 1
        return known.finished <= _TRIED or number % _ONE_IN_KNOWN == 0
