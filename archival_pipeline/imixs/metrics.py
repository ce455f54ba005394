"""The numbers of a backup space as Prometheus reads them; counters go on over restarts, because the record has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from prometheus_client.core import Metric

_TOTALS = {
    "documents": "Documents with a current file.",
    "older_snapshots": "Files in the history.",
    "damaged": "Files that were found damaged.",
    "missing": "Files that were found missing.",
    "bytes": "Bytes held.",
    "oldest_verification": "When the file not looked at for longest was verified, seconds since 1970.",
}


class _Found(Collector):
    def __init__(self, found: Iterable[Metric]) -> None:
        self._found = list(found)

    def collect(self) -> Iterable[Metric]:
        return self._found


def of_record(status: Mapping[str, Any]) -> Iterator[Metric]:
    """What a space holds, and what the runs on it have done.

    Args:
        status: as the service tells it.
    """
    for name, meaning in _TOTALS.items():
        value = status["totals"][name]
        if value is not None:
            yield GaugeMetricFamily(f"imixs_space_{name}", meaning, value=float(value))
    runs = CounterMetricFamily("imixs_runs", "Runs begun.", labels=["operation"])
    failed = CounterMetricFamily("imixs_runs_failed", "Runs that failed.", labels=["operation"])
    success = GaugeMetricFamily(
        "imixs_last_success_timestamp_seconds", "End of the last good run.", labels=["operation"]
    )
    numbers = CounterMetricFamily("imixs_numbers", "What the runs have counted.", labels=["operation", "number"])
    for row in status["operations"]:
        label = [row["operation"]]
        runs.add_metric(label, row["runs"])
        failed.add_metric(label, row["failed"])
        if row["last_success"] is not None:
            success.add_metric(label, float(row["last_success"]))
        for name, value in sorted((row["numbers"] or {}).items()):
            numbers.add_metric([row["operation"], name], float(value))
    yield from (runs, failed, success, numbers)


def of_queue(waiting: int) -> Iterator[Metric]:
    """How much waits.

    Args:
        waiting: entries in the queue.
    """
    yield GaugeMetricFamily("imixs_queue_length", "Entries of the event log that wait.", value=waiting)


def render(status: Mapping[str, Any], waiting: int | None) -> str:
    """The text that Prometheus reads.

    Args:
        status: as the service tells it.
        waiting: entries in the queue; None if the instance does not answer.
    """
    registry = CollectorRegistry()
    registry.register(_Found([*of_record(status), *(of_queue(waiting) if waiting is not None else ())]))
    return generate_latest(registry).decode()
