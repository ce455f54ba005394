"""What Prometheus may know of the Imixs backup; nothing where it is off. Read on demand, and kept a while."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily

from archival_pipeline.api.metrics import KeptCollector
from archival_pipeline.errors import ArchivalError, ConfigurationError
from archival_pipeline.imixs import metrics, service
from archival_pipeline.settings_imixs import load_imixs, missing_for_imixs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.core import Metric

    from archival_pipeline.settings_imixs import ImixsSettings

_log = logging.getLogger(__name__)
_KEPT_SECONDS = 30.0


class ImixsCollector(KeptCollector):
    """Asks the record and the instance; a part whose source is away is left out, and ``imixs_up`` says so."""

    def __init__(
        self, settings: ImixsSettings | ConfigurationError, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(_KEPT_SECONDS, clock)
        self._settings = settings

    def read(self) -> Iterator[Metric]:
        """Ask both."""
        up = GaugeMetricFamily("imixs_up", "Whether a source of these metrics answered.", labels=["source"])
        for source, ask in (("record", self._of_record), ("instance", self._of_instance)):
            try:
                found = list(ask())
            except ArchivalError as error:
                _log.warning("no metrics", extra={"source": f"imixs {source}", "reason": str(error)})
                up.add_metric([source], 0)
                continue
            up.add_metric([source], 1)
            yield from found
        yield up

    def _of_record(self) -> Iterator[Metric]:
        return metrics.of_record(service.numbers(self._read_settings()))

    def _of_instance(self) -> Iterator[Metric]:
        return metrics.of_queue(service.waiting(self._read_settings(), patience=service.SHORT_PATIENCE))

    def _read_settings(self) -> ImixsSettings:
        if isinstance(self._settings, ConfigurationError):
            raise self._settings
        return self._settings


def imixs_collector() -> ImixsCollector | None:
    """A collector by the environment; None where the backup is off. Wrong settings are told by ``imixs_up``."""
    if missing_for_imixs() is not None:
        return None
    try:
        return ImixsCollector(load_imixs())
    except ConfigurationError as error:
        return ImixsCollector(error)
