"""Prometheus metrics of an HTTP service.

Reused by every service: :class:`HttpMetrics`, and :func:`exposition` for a route of its own. What a service counts
besides requests it registers in the same registry, as a :class:`KeptCollector` (``archival/metrics.py``). A registry
belongs to one app: two apps in one process, as in tests, do not mix.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client.core import Metric
    from starlette.types import Scope

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class HttpMetrics:
    """Counts requests and measures how long they take.

    Attributes:
        registry: takes what the service counts besides.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._requests = Counter(
            "archival_http_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "archival_http_request_seconds",
            "Time from the first byte of a request to the last byte of its answer.",
            ["method", "route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.in_flight = Gauge("archival_http_requests_in_flight", "Requests at work.", registry=self.registry)

    def record(self, scope: Scope, status: int, seconds: float) -> None:
        """Count one request. Paths are counted by their template: ids would make a series each."""
        method, route = scope["method"], route_of(scope)
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)


class KeptCollector(Collector):
    """Reads numbers on demand and keeps them a while: its sources are asked once in so many seconds, whoever asks."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._found: list[Metric] = []
        self._read_at: float | None = None

    def describe(self) -> Iterable[Metric]:
        """Nothing: so that registering this asks nobody."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """What is known."""
        with self._lock:
            if self._read_at is None or self._clock() - self._read_at >= self._seconds:
                self._found = list(self.read())
                self._read_at = self._clock()
            return self._found

    def read(self) -> Iterator[Metric]:
        """Ask the sources."""
        raise NotImplementedError


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def route_of(scope: Scope) -> str:
    """The path template of a request; one word for everything that no route serves."""
    path = getattr(scope.get("route"), "path", None)
    return str(path) if path and scope["method"] in _METHODS else "unmatched"


def exposition(registry: CollectorRegistry) -> Response:
    """The answer that Prometheus reads. Blocking where a collector asks a database: call it in a worker."""
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
