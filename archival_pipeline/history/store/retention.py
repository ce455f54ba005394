"""Forgets what ended long ago, in short transactions. Not here: forgetting one user (``erasure.py``)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from archival_pipeline.database.connections import connect
from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archival_pipeline.settings import DatabaseSettings

_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many rows went."""

    processes: int
    tasks: int
    messages: int


def forget_old(
    database: DatabaseSettings, now: datetime, *, days: int | None, queue_days: int, rows: int = _ROWS
) -> Forgotten:
    """Delete what ended before the limit, and messages of the table transport that are older than theirs.

    A task goes when its own end is that old and the process it belongs to is not running. Rows that only hold
    late events, without start and end, go by the time of their newest event.

    Args:
        database: of the history.
        now: an aware time.
        days: age in days at which ended rows go; None keeps them.
        queue_days: age at which messages go, read or not.
        rows: at most so many in one transaction.
    """
    limit = now.astimezone(UTC) - timedelta(days=days) if days is not None else None
    values = {
        "limit": limit.replace(tzinfo=None) if limit else None,
        "version": int(limit.timestamp() * 1_000_000) if limit else None,
        "rows": rows,
    }
    queue = {"limit": now - timedelta(days=queue_days), "version": None, "rows": rows}
    return Forgotten(
        tasks=_repeat(database, "history/retention_tasks", values) if limit else 0,
        processes=_repeat(database, "history/retention_processes", values) if limit else 0,
        messages=_repeat(database, "history/retention_queue", queue),
    )


def _repeat(database: DatabaseSettings, statement: str, values: Mapping[str, object]) -> int:
    total = 0
    with connect(database, purpose="history retention", autocommit=True) as session:
        while True:
            done = session.execute(load_sql(statement), values).rowcount
            total += done
            if not done:
                return total
