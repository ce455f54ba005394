"""Another client of Redis, in a process of its own: what it waits for its answers is what everybody else would."""

from __future__ import annotations

import multiprocessing
import time
from typing import TYPE_CHECKING

from archival_pipeline_tests.support.interim import FORMS, redis_client

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue
    from multiprocessing.synchronize import Event
    from types import TracebackType

_START_SECONDS = 60


class Bystander:
    """Asks for one key again and again, and times the answers, as long as the block lasts."""

    def __init__(self, port: int) -> None:
        """Prepare it."""
        context = multiprocessing.get_context("spawn")
        self._over = context.Event()
        self._ready = context.Event()
        self._answers: SimpleQueue[list[float]] = context.SimpleQueue()
        self._process = context.Process(target=_ask, args=(port, self._ready, self._over, self._answers))
        self._waits: list[float] = []

    def __enter__(self) -> Bystander:
        self._process.start()
        if not self._ready.wait(_START_SECONDS):
            message = "the bystander did not start"
            raise RuntimeError(message)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._waits = self._answers.get()
        self._process.join()

    def __str__(self) -> str:
        """Longest and middle wait."""
        waits = sorted(self._waits) or [0.0]
        middle, nearly = waits[len(waits) // 2], waits[len(waits) * 999 // 1000]
        return f"{waits[-1] * 1000:.1f} ms at most, 99.9 %: {nearly * 1000:.1f} ms, middle: {middle * 1000:.1f} ms"


def _ask(port: int, ready: Event, over: Event, answers: SimpleQueue[list[float]]) -> None:
    client = redis_client(port)
    waits = []
    client.hget(f"{FORMS}:bystander", "data")
    ready.set()
    while not over.wait(0.002):
        began = time.perf_counter()
        client.hget(f"{FORMS}:bystander", "data")
        waits.append(time.perf_counter() - began)
    client.close()
    answers.put(waits)
