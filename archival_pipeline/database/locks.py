"""The operation lock: a session-level advisory lock in the backup database.

The session that holds it is also the one that writes the ledger: if the lock is lost, so is the session, and with it
every way to record progress. Not here: the Dagster run queue, which only keeps runs waiting.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import psycopg

from archival_pipeline.database.connections import Limits, connect
from archival_pipeline.database.sqlfiles import load_sql
from archival_pipeline.errors import BusyError, FencedError

if TYPE_CHECKING:
    from archival_pipeline.settings import DatabaseSettings

# PostgreSQL keeps 63 bytes of an application's name: room for the product, this word and a UUID.
_PURPOSE = "op"
_HOLDER = re.compile(rf"{_PURPOSE} (\S+)$")


class OperationLock:
    """Holds the lock from ``acquire`` until ``release`` or the end of the session.

    Attributes:
        connection: the autocommit session that holds the lock and writes ledger and audit.
    """

    def __init__(self, connection: psycopg.Connection[Any], backend: int) -> None:
        self.connection = connection
        self._backend = backend

    @classmethod
    def acquire(cls, backup: DatabaseSettings, audit_id: str) -> OperationLock:
        """Take the lock or fail at once.

        Args:
            backup: the database whose schema the lock guards.
            audit_id: shown to others as the holder.

        Raises:
            BusyError: another session holds it; carries the audit id of the operation in progress.
        """
        # The session waits for its owner for as long as the operation lasts: no limit on its idle time is right.
        limits = Limits(idle_in_transaction=0)
        connection = connect(backup, purpose=f"{_PURPOSE} {audit_id}", limits=limits, autocommit=True)
        try:
            return cls(connection, _take(connection))
        except BaseException:
            connection.close()
            raise

    def fence(self, session: psycopg.Connection[Any]) -> None:
        """Refuse to go on if the lock is no longer ours, as seen by a session of the backup database.

        Raises:
            FencedError: the holding session is gone, so another operation may be at work.
        """
        row = session.execute(load_sql("backup/lock_is_held"), {"backend": self._backend}).fetchone()
        if row is None or not row[0]:
            raise FencedError(
                "The operation lock was lost while working; nothing further was written.",
                resolve="Run the same job again: it takes up what the ledger says is open.",
            )

    def release(self) -> None:
        """Free the lock and close the session.

        A session that only closes frees it too, but a moment later: the next operation would find it taken.
        """
        try:
            if not self.connection.closed:
                self.connection.execute(load_sql("backup/lock_release"))
        except psycopg.OperationalError:
            # The server is gone, and the lock with it.
            return
        finally:
            self.connection.close()


def _take(connection: psycopg.Connection[Any]) -> int:
    """Try the lock; return the server's process id of the session that has it now."""
    row = connection.execute(load_sql("backup/lock_try")).fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM returns one row
    taken, backend = row
    if not taken:
        raise BusyError(_holder(connection))
    return int(backend)


def operation_in_progress(connection: psycopg.Connection[Any]) -> str | None:
    """Return the audit id of the operation that holds the lock, or None."""
    row = connection.execute(load_sql("backup/lock_holder")).fetchone()
    if row is None:
        return None
    return _audit_id(row[0])


def _holder(connection: psycopg.Connection[Any]) -> str:
    return operation_in_progress(connection) or "unknown"


def _audit_id(application_name: str) -> str:
    found = _HOLDER.search(application_name)
    return found.group(1) if found else application_name
