"""What Prometheus may know of the archive: runs, queue, rows moved, last success. Read on demand, and kept a while."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from archival_pipeline.api.archival.launcher import JOBS
from archival_pipeline.api.metrics import KeptCollector
from archival_pipeline.archival import launching
from archival_pipeline.errors import ArchivalError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.core import Metric

    from archival_pipeline.api.archival.state import Archive

_log = logging.getLogger(__name__)
_KEPT_SECONDS = 10.0
_STATES = ("NOT_STARTED", "QUEUED", "STARTING", "STARTED", "CANCELING", "SUCCESS", "FAILURE", "CANCELED")


class ArchiveCollector(KeptCollector):
    """Asks the ledger and Dagster; a part whose source is away is left out, and ``archival_up`` says so."""

    def __init__(self, archive: Archive, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(_KEPT_SECONDS, clock)
        self._archive = archive

    def read(self) -> Iterator[Metric]:
        """Ask both."""
        up = GaugeMetricFamily("archival_up", "Whether a source of these metrics answered.", labels=["source"])
        for source, read in (("ledger", self._of_ledger), ("dagster", self._of_dagster)):
            try:
                found = list(read())
            except ArchivalError as error:
                _log.warning("no metrics", extra={"source": source, "reason": str(error)})
                up.add_metric([source], 0)
                continue
            up.add_metric([source], 1)
            yield from found
        yield up

    def _of_ledger(self) -> Iterator[Metric]:
        if isinstance(self._archive.found, ConfigurationError):
            raise self._archive.found
        names = ("operation", "status")
        operations = GaugeMetricFamily("archival_operations", "Operations in the ledger, by state.", labels=names)
        rows = CounterMetricFamily("archival_rows_moved", "Rows moved, or deleted by a deletion.", labels=names[:1])
        trees = CounterMetricFamily("archival_instances_moved", "Process instances in them.", labels=names[:1])
        sums: dict[str, tuple[int, int]] = {kind.value: (0, 0) for kind in JOBS}
        for counter in launching.counters(self._archive.found):
            operations.add_metric([counter.operation, counter.status], counter.operations)
            before = sums[counter.operation]
            sums[counter.operation] = (before[0] + counter.row_count, before[1] + counter.instance_count)
        for operation, (row_count, instance_count) in sums.items():
            rows.add_metric([operation], row_count)
            trees.add_metric([operation], instance_count)
        yield from (operations, rows, trees)

    def _of_dagster(self) -> Iterator[Metric]:
        dagster = self._archive.dagster
        runs = GaugeMetricFamily("archival_runs", "Runs that Dagster knows, by state.", labels=["state"])
        counts = dagster.counts(_STATES)
        for state, number in counts.items():
            runs.add_metric([state.lower()], number)
        yield runs
        yield GaugeMetricFamily("archival_queue_length", "Runs that wait in Dagster's queue.", counts["QUEUED"])
        success = GaugeMetricFamily(
            "archival_last_success_timestamp_seconds", "When a job last succeeded; absent if never.", labels=["job"]
        )
        for job in JOBS.values():
            run = dagster.last_success(job)
            if run is not None and run.ended is not None:
                success.add_metric([job], run.ended)
        yield success
