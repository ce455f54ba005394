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
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from prometheus_client.metrics_core import Metric

    from archival_pipeline.interim.books import Books

_PREFIX = "archival_interim"
_COUNTERS = {
    "deleted": "Keys and files removed, by keyspace and bucket",
    "bytes": "Bytes freed; an estimate for Redis",
    "processes": "Processes whose interim data was removed, by store",
    "scrubbed": "Access tokens taken out of form data",
}

_LAST = {
    "removed": "Keys or files that the last run removed",
    "failed": "Processes or keys that the last run had to leave for later",
    "on_hold": "Processes, or keys and files, that the last run left because of a legal hold",
    "down": "Whether a store was down at the last run",
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
    runs = [{"what": what, "at": at, **_camel(numbers)} for what, at, numbers in books.last_runs()]
    return {
        "lastRuns": runs,
        "totals": totals,
        "backlog": [_camel(asdict(one)) for one in books.backlog()],
        "orphans": orphans,
    }


def exposition(books: Books) -> str:
    """The numbers in the text format of Prometheus."""
    registry = CollectorRegistry()
    registry.register(_Numbers(status(books)))
    return generate_latest(registry).decode("utf-8")


class _Numbers(Collector):
    def __init__(self, found: dict[str, Any]) -> None:
        self._found = found

    def collect(self) -> Iterable[Metric]:
        return families(self._found)


def families(found: dict[str, Any]) -> Iterator[Metric]:
    """The numbers as metrics.

    Args:
        found: as :func:`status` tells them.
    """
    for figure, meaning in _COUNTERS.items():
        counter = CounterMetricFamily(f"{_PREFIX}_{figure}", meaning, labels=["place"])
        for place, amount in found["totals"].get(figure, {}).items():
            counter.add_metric([place], amount)
        yield counter
    yield _gauge("last_run_timestamp_seconds", "End of the last run", ["what"], found["lastRuns"], "at")
    for number, meaning in _LAST.items():
        yield _gauge(f"last_run_{number}", meaning, ["what"], found["lastRuns"], _camel_name(number))
    yield _gauge("backlog_processes", "Processes that wait", ["store"], found["backlog"], "processes")
    yield _gauge("backlog_on_hold", "Processes that wait for a release", ["store"], found["backlog"], "onHold")
    yield _gauge(
        "backlog_oldest_seconds", "How long the oldest has waited", ["store"], found["backlog"], "oldestSeconds"
    )
    labels, orphans = ["store", "shape"], found["orphans"]
    yield _gauge("orphans", "What looked left behind at the last sweep", labels, orphans, "found")
    yield _gauge("orphans_oldest_seconds", "Since the oldest was first found", labels, orphans, "oldestSeconds")


def _gauge(
    name: str, meaning: str, labels: Sequence[str], rows: Iterable[Mapping[str, Any]], number: str
) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(f"{_PREFIX}_{name}", meaning, labels=labels)
    for row in rows:
        if number in row:
            gauge.add_metric([str(row[label]) for label in labels], row[number])
    return gauge


def _camel(content: dict[str, Any]) -> dict[str, Any]:
    return {_camel_name(name): value for name, value in content.items()}


def _camel_name(name: str) -> str:
    return "".join(word if number == 0 else word.title() for number, word in enumerate(name.split("_")))
