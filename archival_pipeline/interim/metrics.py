"""Numbers of interim data: one document for people and programs, and the same as Prometheus metrics.

Not here: who serves them.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.metrics_core import Metric

    from archival_pipeline.interim.books import Books

_PREFIX = "archival_interim"
_COUNTERS = {
    "deleted": "Keys and files removed, by keyspace and bucket",
    "bytes": "Bytes freed; an estimate for Redis",
    "processes": "Processes whose interim data was removed, by store",
    "scrubbed": "Access tokens taken out of form data",
}


def status(books: Books) -> dict[str, Any]:
    """What was done, what waits, what looks left behind."""
    totals: dict[str, dict[str, int]] = {}
    for (figure, place), amount in books.totals().items():
        totals.setdefault(figure, {})[place] = amount
    orphans = [
        {"store": store, "shape": shape, "found": found, "oldestSeconds": oldest}
        for store, shape, found, oldest in books.orphans()
    ]
    return {"totals": totals, "backlog": [_camel(asdict(one)) for one in books.backlog()], "orphans": orphans}


def exposition(books: Books) -> str:
    """The numbers in the text format of Prometheus."""
    registry = CollectorRegistry()
    registry.register(_Numbers(status(books)))
    return generate_latest(registry).decode("utf-8")


class _Numbers(Collector):
    def __init__(self, found: dict[str, Any]) -> None:
        self._found = found

    def collect(self) -> Iterable[Metric]:
        for figure, meaning in _COUNTERS.items():
            counter = CounterMetricFamily(f"{_PREFIX}_{figure}", meaning, labels=["place"])
            for place, amount in self._found["totals"].get(figure, {}).items():
                counter.add_metric([place], amount)
            yield counter
        yield from self._waiting()
        yield from self._left_behind()

    def _waiting(self) -> Iterable[Metric]:
        backlog = GaugeMetricFamily(f"{_PREFIX}_backlog_processes", "Processes that wait", labels=["store"])
        age = GaugeMetricFamily(f"{_PREFIX}_backlog_oldest_seconds", "How long the oldest has waited", labels=["store"])
        for one in self._found["backlog"]:
            backlog.add_metric([one["store"]], one["processes"])
            age.add_metric([one["store"]], one["oldestSeconds"])
        yield from (backlog, age)

    def _left_behind(self) -> Iterable[Metric]:
        labels = ["store", "shape"]
        found = GaugeMetricFamily(f"{_PREFIX}_orphans", "What looked left behind at the last sweep", labels=labels)
        age = GaugeMetricFamily(f"{_PREFIX}_orphans_oldest_seconds", "Since the oldest was first found", labels=labels)
        for one in self._found["orphans"]:
            found.add_metric([one["store"], one["shape"]], one["found"])
            age.add_metric([one["store"], one["shape"]], one["oldestSeconds"])
        yield from (found, age)


def _camel(content: dict[str, Any]) -> dict[str, Any]:
    return {"".join(w if n == 0 else w.title() for n, w in enumerate(k.split("_"))): v for k, v in content.items()}
