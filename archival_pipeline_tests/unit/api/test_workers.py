"""Groups of threads: a flood of one kind leaves room for the others, and nobody who gives up waits on."""

from __future__ import annotations

import asyncio
import threading

import pytest

from archival_pipeline.api.workers import Workers


def test_full_group_does_not_hold_up_another() -> None:
    go = threading.Event()
    at_work: list[int] = []
    most: list[int] = []

    def slow() -> None:
        at_work.append(1)
        most.append(len(at_work))
        go.wait(30)
        at_work.pop()

    async def flood() -> tuple[int, str]:
        workers = Workers({"count": 3, "audit": 1})
        counts = [asyncio.create_task(workers.run("count", slow)) for _ in range(50)]
        while len(at_work) < 3:
            await asyncio.sleep(0)
        while workers.waiting()["count"] < 47:
            await asyncio.sleep(0)
        answer = await workers.run("audit", lambda: "here")
        waiting = workers.waiting()["count"]
        go.set()
        await asyncio.gather(*counts)
        return waiting, answer

    assert asyncio.run(flood()) == (47, "here")
    assert max(most) <= 3


def test_caller_that_gives_up_is_not_kept_waiting() -> None:
    go = threading.Event()

    async def give_up() -> None:
        workers = Workers({"count": 1})
        call = asyncio.create_task(workers.run("count", go.wait, 30))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await call
        go.set()

    asyncio.run(give_up())
