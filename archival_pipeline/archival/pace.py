"""How fast an operation may go, and until when: pauses, the operator's requests, the end of the window.

Asked by a lane before it takes a batch; while it waits, no transaction is open. Not here: windows of the calendar.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from archival_pipeline.archival.lanes import StopSignal
    from archival_pipeline.archival.ledger import Control

Item = TypeVar("Item")

# How often a paused lane looks whether it may go on.
_PAUSED_LOOK_SECONDS = 0.5


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
    _delete_seconds: float = 0.0

    def copying(self, batches: Sequence[Item]) -> Iterator[Item]:
        """Batches to copy: as many as can be copied, and then deleted, before the window closes."""
        began = self.clock()
        for taken, batch in enumerate(batches):
            per_batch = (self.clock() - began).total_seconds() / taken if taken else 0.0
            # Until the first deletion is measured, it is taken to last as long as the copy.
            ahead = (taken + 1) * (self._delete_seconds or per_batch) + per_batch
            if not self._may_begin(timedelta(seconds=ahead)):
                return
            yield batch

    def deleting(self, batches: Sequence[Item]) -> Iterator[Item]:
        """Batches to delete: all that were copied, because a batch that was begun is finished."""
        began = self.clock()
        for taken, batch in enumerate(batches):
            if not self._wait_while_paused():
                return
            if taken:
                self._delete_seconds = (self.clock() - began).total_seconds() / taken
            yield batch

    def rest(self) -> None:
        """Rest after a batch, as long as the operator wants now."""
        asked = self.control().pause_ms
        self.signal.rest((self.pause_ms if asked is None else asked) / 1_000)

    def _may_begin(self, ahead: timedelta) -> bool:
        if not self._wait_while_paused():
            return False
        if self.stop_at is not None and self.clock() + ahead >= self.stop_at:
            self.ended_because = f"the window closes at {self.stop_at.isoformat()}"
            return False
        return True

    def _wait_while_paused(self) -> bool:
        """Wait until the operator lets the work go on; whether it does."""
        while not self.signal.is_set:
            asked = self.control()
            if asked.stop_requested:
                self.signal.stop("an operator asked it to stop")
                return False
            if not asked.paused:
                return True
            if self.stop_at is not None and self.clock() >= self.stop_at:
                return True
            self.signal.rest(_PAUSED_LOOK_SECONDS)
        return False
