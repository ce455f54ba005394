"""What Prometheus may know of interim data; nothing where it is off. Read on demand, and kept a while."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily

from archival_pipeline.api.metrics import KeptCollector
from archival_pipeline.errors import ArchivalError, ConfigurationError
from archival_pipeline.interim import metrics, service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.core import Metric

_log = logging.getLogger(__name__)
_KEPT_SECONDS = 30.0


class InterimCollector(KeptCollector):
    """Reads the books in the backup database; while it is away, ``archival_interim_up`` says so."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(_KEPT_SECONDS, clock)

    def read(self) -> Iterator[Metric]:
        """Ask the books."""
        up = GaugeMetricFamily("archival_interim_up", "Whether the source of these metrics answered.")
        try:
            found = list(metrics.families(service.numbers()))
        except ArchivalError as error:
            _log.warning("no metrics", extra={"source": "interim data", "reason": str(error)})
            up.add_metric([], 0)
        else:
            up.add_metric([], 1)
            yield from found
        yield up


def interim_collector() -> InterimCollector | None:
    """A collector by the environment; None where no store is configured. Wrong settings do not keep it away."""
    try:
        return InterimCollector() if service.is_configured() else None
    except ConfigurationError:
        return InterimCollector()
