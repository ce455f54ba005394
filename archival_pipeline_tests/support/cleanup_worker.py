"""A cleanup in a process of its own that kills itself, as by `kill -9`, before a statement.

``python -m archival_pipeline_tests.support.cleanup_worker WORK POINT MOMENT`` with the settings in the environment. The
work is ``clean``, ``archive``, ``restore`` or ``expire``; all but the first need the settings of the backup too, and
count what both sides are sent, beginnings and commits included. A point is ``@n`` for the n-th statement, or
``text@n+m``: m statements after the n-th that has the text.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from datetime import datetime
from typing import Any

import psycopg

from archival_pipeline.history.cleanup.archive import expiring, service
from archival_pipeline.history.cleanup.archive.opening import Target
from archival_pipeline.history.cleanup.running import Surroundings, clean
from archival_pipeline.settings import BackupSettings, read_part
from archival_pipeline.settings_camunda import load_camunda
from archival_pipeline_tests.support.camunda_cleanup import cleanup_settings

_BATCH = "5"


class Point:
    """Where this process dies."""

    def __init__(self, given: str) -> None:
        text, _, place = given.rpartition("@")
        number, _, later = place.partition("+")
        self._text = text
        self._matches = int(number)
        self._later = int(later or 0)
        self.passed = 0

    def before(self, statement: str) -> None:
        """Die, if this is the place."""
        self.passed += 1
        if self._matches > 0:
            self._matches -= self._text in statement
        else:
            self._later -= 1
        if self._matches == 0 and self._later == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Work until the statement at which this process dies, or to the end."""
    work, point, moment = sys.argv[1], Point(sys.argv[2]), datetime.fromisoformat(sys.argv[3])
    _watch(point, commands=work != "clean")
    settings = load_camunda()
    assert settings is not None
    cleanup = cleanup_settings(historyCleanupBatchSize=_BATCH, historyArchiveTimeToLive="P30D")
    around = Surroundings(lambda: moment, time.sleep)
    target = Target(read_part(BackupSettings), "killed") if work != "clean" else None
    if work == "restore" and target is not None:
        service.restore(settings, cleanup, around, target, service.Wanted(everything=True))
    elif work == "expire" and target is not None:
        expiring.expire(settings, cleanup, around, target)
    else:
        clean(settings, cleanup, around, target=target)
    print(point.passed)


def _watch(point: Point, *, commands: bool) -> None:
    execute, copy, command = psycopg.Connection.execute, psycopg.Cursor.copy, psycopg.Connection._exec_command

    def watched_execute(self: psycopg.Connection[Any], query: Any, params: Any = None, **options: Any) -> Any:
        state = params.get("state") if isinstance(params, dict) else None
        point.before(f"{query} state={state}")
        return execute(self, query, params, **options)

    def watched_copy(self: psycopg.Cursor[Any], *arguments: Any, **options: Any) -> Any:
        point.before("COPY")
        return copy(self, *arguments, **options)

    def watched_command(self: psycopg.Connection[Any], given: Any, *arguments: Any) -> Any:
        point.before(str(given))
        return command(self, given, *arguments)

    psycopg.Connection.execute = watched_execute  # type: ignore[method-assign]
    if commands:
        psycopg.Cursor.copy = watched_copy  # type: ignore[method-assign]
        psycopg.Connection._exec_command = watched_command  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    main()
