"""What a launcher needs to know of the archive before it starts an operation elsewhere, and what monitoring counts.

Not here: launching itself, which is Dagster's; running an operation in this process (``operating.py``).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg.rows import class_row

from archival_pipeline.database.connections import short_session
from archival_pipeline.database.locks import operation_in_progress
from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline.settings import Settings


@contextmanager
def turn_to_launch(settings: Settings) -> Iterator[str | None]:
    """Let one launcher at a time look and launch, across all processes that launch.

    Yields:
        The audit id of the operation that is at work now, whoever started it; None if there is none.
    """
    with short_session(settings.backup, "launching an operation") as session:
        session.execute(load_sql("backup/launch_gate"))
        yield operation_in_progress(session)


def reach(settings: Settings, side: str) -> None:
    """Connect to one of the databases and say something.

    Raises:
        DatabaseError: it cannot be reached.
    """
    with short_session(settings.primary if side == "primary" else settings.backup, "readiness") as session:
        session.execute("SELECT 1")


@dataclass(frozen=True, slots=True)
class Counter:
    """What the operations of one kind that are in one state have done.

    Attributes:
        operation: backup, restore or delete.
        status: how far they are.
        operations: how many.
        row_count: rows that they moved or deleted.
        instance_count: process instances in them.
        last_end: when the newest of them ended, in seconds since 1970.
    """

    operation: str
    status: str
    operations: int
    row_count: int
    instance_count: int
    last_end: float | None


def counters(settings: Settings) -> list[Counter]:
    """Sums over the whole ledger."""
    with (
        short_session(settings.backup, "counting for monitoring") as session,
        session.cursor(row_factory=class_row(Counter)) as cursor,
    ):
        return cursor.execute(load_sql("backup/ledger_counters")).fetchall()
