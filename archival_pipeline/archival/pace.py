"""How fast an operation may go, and until when: pauses, the operator's requests, the end of the window.

Asked by a lane before it takes a batch; while it waits, no transaction is open. Not here: windows of the calendar.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from archival_pipeline.archival.lanes import StopSignal
    from archival_pipeline.archival.ledger import Control

Item = TypeVar("Item")

# How often a lane that waits looks what the operator asks.
_LOOK_SECONDS = 0.5
# What the next batch takes is judged by the slowest of the last few: one that had bad luck counts for a while only.
_REMEMBERED = 10


def _durations() -> dict[str, deque[float]]:
    return {"copy": deque(maxlen=_REMEMBERED), "delete": deque(maxlen=_REMEMBERED)}


@dataclass(slots=True)
class Pace:
    """Hands out batches one by one, as long as another may be begun.

    Attributes:
        signal: stops the work altogether.
        control: reads what the operator asks.
        pause_ms: milliseconds to rest after a batch, as launched.
        stop_at: begin nothing that cannot end before; None for no limit.
        lanes: how many batches go at a time.
        clock: the time now, aware.
        ended_because: why batches were left; None while none was.
    """

    signal: StopSignal
    control: Callable[[], Control]
    pause_ms: int
    stop_at: datetime | None
    lanes: int
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ended_because: str | None = None
    _seconds: dict[str, deque[float]] = field(default_factory=_durations)

    @contextmanager
    def timing(self, work: Literal["copy", "delete"]) -> Iterator[None]:
        """Measure how long a lane is at one batch; a batch that failed tells nothing."""
        began = self.clock()
        yield
        self._seconds[work].append((self.clock() - began).total_seconds())

    def copying(self, batches: Sequence[Item]) -> Iterator[Item]:
        """Batches to copy: as many as can be copied, and then deleted, before the window closes."""
        for taken, batch in enumerate(batches):
            if not self._may_begin(taken + 1):
                return
            yield batch

    def removing(self, batches: Sequence[Item]) -> Iterator[Item]:
        """Batches of a bulk deletion, which copied nothing: as many as can be deleted before the window closes."""
        for taken, batch in enumerate(batches):
            if not self._may_begin(min(taken + 1, self.lanes)):
                return
            yield batch

    def deleting(self, batches: Sequence[Item]) -> Iterator[Item]:
        """Batches to delete: all that were copied, because a batch that was begun is finished."""
        for batch in batches:
            if not self._wait_while_paused(finishing=True):
                return
            yield batch

    def rest(self) -> None:
        """Rest after a batch, as long as the operator wants now: a rest that is shortened ends early."""
        began = self.clock()
        while not self.signal.is_set:
            asked = self.control()
            left = self._rest_seconds(asked) - (self.clock() - began).total_seconds()
            if asked.stop_requested or left <= 0:
                return
            self.signal.rest(min(left, _LOOK_SECONDS))

    def _rest_seconds(self, asked: Control) -> float:
        return (self.pause_ms if asked.pause_ms is None else asked.pause_ms) / 1_000

    def _may_begin(self, begun: int) -> bool:
        """Whether one more batch may be copied; it is counted in ``begun``."""
        if not self._wait_while_paused():
            return False
        if self.stop_at is not None and self.clock() + self._ahead(begun) >= self.stop_at:
            self.ended_because = f"the window closes at {self.stop_at.isoformat()}"
            return False
        return True

    def _ahead(self, begun: int) -> timedelta:
        """How long one more copy, and then the deletion of all batches that were begun, are going to take."""
        # Copies of both: lanes that end at this moment add to them.
        copy = max(tuple(self._seconds["copy"]), default=0.0)
        # Until the first deletion is measured, it is taken to last as long as the copy.
        delete = max(tuple(self._seconds["delete"]), default=copy)
        turns = -(-begun // self.lanes)
        return timedelta(seconds=copy + turns * delete + (turns - 1) * self._rest_seconds(self.control()))

    def _wait_while_paused(self, *, finishing: bool = False) -> bool:
        """Wait until the operator lets the work go on; whether it does.

        A window that closes meanwhile ends the wait. What was begun then stays in both databases, and in the ledger,
        for the next run: who has paused an operation wants nothing to be deleted behind his back.
        """
        while not self.signal.is_set:
            asked = self.control()
            if asked.stop_requested:
                self.signal.stop("an operator asked it to stop")
                return False
            if not asked.paused:
                return True
            if self.stop_at is not None and self.clock() >= self.stop_at:
                if finishing:
                    self.signal.stop("its window closed while an operator had paused it")
                return not finishing
            self.signal.rest(_LOOK_SECONDS)
        return False
