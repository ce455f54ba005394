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
# Batches that are copied together, as long as so many take no more than a moment: large ones stay apart, so that a
# stop or the end of a window never waits long.
_TOGETHER = 3
_SWIFT_SECONDS = 1.0


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
    def timing(self, work: Literal["copy", "delete"], batches: int = 1) -> Iterator[None]:
        """Measure how long a lane is at one batch, or at several; work that failed tells nothing."""
        began = self.clock()
        yield
        self._seconds[work].append((self.clock() - began).total_seconds() / batches)

    def copying(self, batches: Sequence[Item]) -> Iterator[Sequence[Item]]:
        """Batches to copy, some at a time: as many as can be copied, and then deleted, before the window closes."""
        taken = 0
        while taken < len(batches):
            some = batches[taken : taken + self._together(taken)]
            if not self._may_begin(taken + len(some), len(some)):
                return
            taken += len(some)
            yield some

    def _together(self, taken: int) -> int:
        """How many batches may be copied at a time; one by one at the end of a window, where only one has room."""
        swift = bool(self._seconds["copy"]) and self._slowest("copy") * _TOGETHER <= _SWIFT_SECONDS
        return _TOGETHER if swift and self._fits(taken + _TOGETHER, _TOGETHER) else 1

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

    def _may_begin(self, begun: int, at_once: int = 1) -> bool:
        """Whether another batch may be begun, or several at once; they are counted in ``begun``."""
        if not self._wait_while_paused():
            return False
        if self.stop_at is not None and not self._fits(begun, at_once):
            self.ended_because = f"the window closes at {self.stop_at.isoformat()}"
            return False
        return True

    def _fits(self, begun: int, at_once: int) -> bool:
        """Whether one more copy, of so many batches, and the deletion of all that were begun end within the window."""
        return self.stop_at is None or self.clock() + self._ahead(begun, at_once) < self.stop_at

    def _ahead(self, begun: int, at_once: int) -> timedelta:
        """How long one more copy, and then the deletion of all batches that were begun, are going to take."""
        # Copies of both: lanes that end at this moment add to them.
        copy = self._slowest("copy")
        # Until the first deletion is measured, it is taken to last as long as the copy.
        delete = self._slowest("delete") if self._seconds["delete"] else copy
        turns = -(-begun // self.lanes)
        return timedelta(seconds=at_once * copy + turns * delete + (turns - 1) * self._rest_seconds(self.control()))

    def _slowest(self, work: Literal["copy", "delete"]) -> float:
        """Seconds of the slowest of the last few batches; none where none was measured."""
        return max(tuple(self._seconds[work]), default=0.0)

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
