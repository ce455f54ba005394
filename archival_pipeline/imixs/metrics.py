"""The numbers of a backup space as Prometheus reads them; counters go on over restarts, because the record has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client.core import Metric

_TOTALS = {
    "documents": "Documents with a current file.",
    "older_snapshots": "Files in the history.",
    "damaged": "Files that were found damaged.",
    "missing": "Files that were found missing.",
    "bytes": "Bytes held.",
    "oldest_verification": "When the file not looked at for longest was verified, seconds since 1970.",
}


class _Numbers(Collector):
    def __init__(self, status: Mapping[str, Any], waiting: int | None) -> None:
        self._status, self._waiting = status, waiting

    def collect(self) -> Iterable[Metric]:
        yield from self._space()
        runs = CounterMetricFamily("imixs_runs", "Runs begun.", labels=["operation"])
        failed = CounterMetricFamily("imixs_runs_failed", "Runs that failed.", labels=["operation"])
        success = GaugeMetricFamily(
            "imixs_last_success_timestamp_seconds", "End of the last good run.", labels=["operation"]
        )
        numbers = CounterMetricFamily("imixs_numbers", "What the runs have counted.", labels=["operation", "number"])
        for row in self._status["operations"]:
            label = [row["operation"]]
            runs.add_metric(label, row["runs"])
            failed.add_metric(label, row["failed"])
            if row["last_success"] is not None:
                success.add_metric(label, float(row["last_success"]))
            for name, value in sorted((row["numbers"] or {}).items()):
                numbers.add_metric([row["operation"], name], float(value))
        yield from (runs, failed, success, numbers)

    def _space(self) -> Iterable[Metric]:
        for name, meaning in _TOTALS.items():
            value = self._status["totals"][name]
            if value is not None:
                yield GaugeMetricFamily(f"imixs_space_{name}", meaning, value=float(value))
        if self._waiting is not None:
            yield GaugeMetricFamily("imixs_queue_length", "Entries of the event log that wait.", value=self._waiting)


def render(status: Mapping[str, Any], waiting: int | None) -> str:
    """The text that Prometheus reads.

    Args:
        status: as the service tells it.
        waiting: entries in the queue; None if the instance does not answer.
    """
    registry = CollectorRegistry()
    registry.register(_Numbers(status, waiting))
    return generate_latest(registry).decode()
