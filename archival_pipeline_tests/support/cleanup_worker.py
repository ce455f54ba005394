"""A cleanup in a process of its own that kills itself, as by `kill -9`, before its n-th statement.

``python -m archival_pipeline_tests.support.cleanup_worker N MOMENT`` with the settings in the environment.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time
from datetime import datetime
from typing import Any

import psycopg

from archival_pipeline.history.cleanup.running import Surroundings, clean
from archival_pipeline.settings_camunda import load_camunda
from archival_pipeline_tests.support.camunda_cleanup import cleanup_settings


def main() -> None:
    """Clean until the statement at which this process dies, or to the end."""
    last, moment = int(sys.argv[1]), datetime.fromisoformat(sys.argv[2])
    statements = itertools.count(1)
    execute = psycopg.Connection.execute

    def counting(self: psycopg.Connection[Any], *arguments: Any, **options: Any) -> Any:
        if next(statements) == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return execute(self, *arguments, **options)

    psycopg.Connection.execute = counting  # type: ignore[method-assign]
    settings = load_camunda()
    assert settings is not None
    clean(settings, cleanup_settings(historyCleanupBatchSize="5"), Surroundings(lambda: moment, time.sleep))
    print(next(statements) - 1)


if __name__ == "__main__":
    main()
