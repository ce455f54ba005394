"""Many readers of the REST interface, in a process of its own; prints, as one line of JSON, how they were served.

Each reader has a connection and asks in turn for the newest row of the running operation, a count, and the list of
operations; then it rests. They begin when the operation has left the queue.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
from collections import Counter
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import httpx

_ENDS = ("completed", "failed", "cancelled")


@dataclass(slots=True)
class Served:
    """How the readers were served.

    Attributes:
        seconds: of each request.
        errors: answers that are no answer, by status or name.
        ended: set when the operation has ended.
    """

    seconds: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def as_json(self, seconds: float) -> dict[str, Any]:
        """The numbers that count."""
        cuts = statistics.quantiles(self.seconds, n=100)
        return {
            "requests": len(self.seconds),
            "requests_per_second": len(self.seconds) / seconds,
            "errors": dict(self.errors),
            "p50_ms": cuts[49] * 1_000,
            "p95_ms": cuts[94] * 1_000,
            "max_ms": max(self.seconds) * 1_000,
        }


async def read(client: httpx.AsyncClient, served: Served, audit_id: str, delay: float, every: float) -> None:
    """Ask and rest, until the operation has ended."""
    await _rest(served, delay)
    while not served.ended.is_set():
        row = await _ask(client, served, "GET", f"/processes/audits/{audit_id}/latest")
        if row is not None and row["auditStatus"] in _ENDS:
            served.ended.set()
        await _rest(served, every)
        await _ask(client, served, "POST", "/processes/count", {"processStatus": "COMPLETED"})
        await _rest(served, every)
        await _ask(client, served, "GET", "/processes/audits?auditType=backup&pageSize=20")
        await _rest(served, every)


async def _ask(client: httpx.AsyncClient, served: Served, method: str, path: str, body: Any = None) -> Any:
    started = perf_counter()
    try:
        answer = await client.request(method, path, json=body)
        served.seconds.append(perf_counter() - started)
        if answer.status_code == 200:
            return answer.json()
        served.errors[str(answer.status_code)] += 1
    except httpx.HTTPError as error:
        served.errors[type(error).__name__] += 1
    return None


async def _rest(served: Served, seconds: float) -> None:
    """Rest; whoever rests when the operation ends, goes home."""
    try:
        await asyncio.wait_for(served.ended.wait(), seconds)
    except TimeoutError:
        return


async def main(url: str, audit_id: str, readers: int, every: float) -> dict[str, Any]:
    """Let all readers read until the operation has ended."""
    served = Served()
    limits = httpx.Limits(max_connections=readers, max_keepalive_connections=readers, keepalive_expiry=600)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits, trust_env=False) as client:
        # Spread over one rest, as people and programs are.
        await _begin(client, audit_id)
        started = perf_counter()
        delays = (every * number / readers for number in range(readers))
        await asyncio.gather(*(read(client, served, audit_id, delay, every) for delay in delays))
        return served.as_json(perf_counter() - started)


async def _begin(client: httpx.AsyncClient, audit_id: str) -> None:
    while (await client.get(f"/processes/audits/{audit_id}/latest")).raise_for_status().json()["id"] == 0:
        await asyncio.sleep(0.5)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))))
