"""What a launcher needs to know of the archive before it starts an operation elsewhere, and what monitoring counts.

Not here: launching itself, which is Dagster's; running an operation in this process (``operating.py``).
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg.rows import class_row

from archival_pipeline.archival import audit
from archival_pipeline.archival.audit import AuditStatus
from archival_pipeline.database.connections import short_session
from archival_pipeline.database.locks import operation_in_progress
from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    import psycopg

    from archival_pipeline.settings import Settings


_ENDS = frozenset({AuditStatus.COMPLETED, AuditStatus.FAILED, AuditStatus.CANCELLED})
_RELEASE_SECONDS = 3.0
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to look and launch; nobody else has it meanwhile."""

    session: psycopg.Connection[Any]
    sleep: Callable[[float], None]

    def in_the_way(self) -> str | None:
        """The audit id of the operation that holds the operation lock, whoever started it; None if there is none.

        An operation that has told its end gives the lock back a moment later. Whoever has polled it to its end may
        launch the next one, so that moment is waited for.
        """
        holder = operation_in_progress(self.session)
        waits = int(_RELEASE_SECONDS / _POLL_SECONDS) if holder is not None and self.has_ended(holder) else 0
        for _ in range(waits):
            if holder is None:
                break
            self.sleep(_POLL_SECONDS)
            holder = operation_in_progress(self.session)
        return holder

    def has_ended(self, audit_id: str, since: datetime | None = None) -> bool:
        """Whether the newest audit row of an operation tells its end.

        Args:
            audit_id: the operation.
            since: only a row written later counts: an operation that is executed again has told an end before.
        """
        row = audit.latest(self.session, audit_id)
        return row is not None and row["audit_status"] in _ENDS and (since is None or row["created_at"] > since)


@contextmanager
def turn_to_launch(settings: Settings, sleep: Callable[[float], None] = time.sleep) -> Iterator[Turn]:
    """Let one launcher at a time look and launch, across all processes that launch."""
    with short_session(settings.backup, "launching an operation") as session:
        session.execute(load_sql("backup/launch_gate"))
        yield Turn(session, sleep)


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
