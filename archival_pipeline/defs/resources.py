"""The resource that opens a move for a run and closes it with the run, however the run ends."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dagster import ConfigurableResource
from pydantic import PrivateAttr

from archival_pipeline.archival.direction import direction_of
from archival_pipeline.archival.filters import parse_filters
from archival_pipeline.archival.move import Move, open_move, reopen_move
from archival_pipeline.archival.options import parse_options
from archival_pipeline.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dagster import InitResourceContext

    from archival_pipeline.archival.direction import OperationName


class Mover(ConfigurableResource):  # type: ignore[type-arg]
    """One move per run. The audit id is the root run's id, so that a re-execution takes up the same operation."""

    _audit_id: str = PrivateAttr("")
    _move: Move | None = PrivateAttr(None)
    _started: float = PrivateAttr(default_factory=time.monotonic)

    @contextmanager
    def yield_for_execution(self, context: InitResourceContext) -> Iterator[Mover]:
        """Remember the run; close what was opened when it ends."""
        run = context.run
        self._started = time.monotonic()
        self._audit_id = (run.root_run_id or run.run_id) if run else ""
        try:
            yield self
        finally:
            if self._move is not None:
                try:
                    self._move.end_if_open()
                finally:
                    self._move.close()

    def open(self, operation: OperationName, filters: Mapping[str, Any], options: Mapping[str, Any]) -> Move:
        """Open the run's move with the run's configuration."""
        chosen = parse_options(options)
        direction = direction_of(operation, chosen.database)
        self._move = open_move(load_settings(), self._audit_id, parse_filters(filters), chosen, direction)
        return self._move

    @property
    def move(self) -> Move:
        """The run's move; a run that begins in the middle takes it up from the ledger."""
        if self._move is None:
            self._move = reopen_move(load_settings(), self._audit_id)
        return self._move

    @property
    def seconds(self) -> float:
        """How long this run has been at work."""
        return time.monotonic() - self._started

    @property
    def operation(self) -> str:
        """Which of the operations the run is: backup, restore or delete."""
        return str(self.move.direction.operation)
