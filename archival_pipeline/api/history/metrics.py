"""What Prometheus may know of the stream behind the history: how many records wait. Asked on demand, kept a while."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from archival_pipeline.errors import ArchivalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from prometheus_client.core import Metric

_log = logging.getLogger(__name__)
# A question costs a session, or two members of a Kafka group that never join.
_KEPT_SECONDS = 15.0


class LagCollector(Collector):
    """Asks the stream how far the subscriber is behind, at most four times a minute whoever asks."""

    def __init__(self, lag: Callable[[], Mapping[str, int]], clock: Callable[[], float] = time.monotonic) -> None:
        self._lag = lag
        self._clock = clock
        self._lock = threading.Lock()
        self._found: list[Metric] = []
        self._read_at: float | None = None

    def describe(self) -> Iterable[Metric]:
        """Nothing: so that registering this asks nobody."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """What is known; if the stream is away there is no number, and ``archival_history_stream_up`` says so."""
        with self._lock:
            if self._read_at is None or self._clock() - self._read_at >= _KEPT_SECONDS:
                self._found = list(self._read())
                self._read_at = self._clock()
            return self._found

    def _read(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("archival_history_stream_up", "Whether the stream said how many records wait.")
        try:
            waiting = self._lag()
        except ArchivalError as error:
            _log.warning("no lag", extra={"reason": str(error)})
            up.add_metric([], 0)
        else:
            up.add_metric([], 1)
            behind = GaugeMetricFamily(
                "archival_history_lag_records",
                "Records that wait: for the subscriber, or, as dead letters, for a replay.",
                labels=["topic"],
            )
            for topic, number in sorted(waiting.items()):
                behind.add_metric([topic], number)
            yield behind
        yield up
