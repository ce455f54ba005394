"""Sessions that are kept open between questions, for a service that is asked many times a second.

Inside :meth:`SessionPools.use` every ``short_session`` takes a kept session instead of a new one; nothing else changes.
Not here: sessions that do long work, which are opened for it and closed after it (``connections.py``).
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from psycopg_pool import ConnectionPool, PoolTimeout

from archival_pipeline.database import connections

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from archival_pipeline.settings import DatabaseSettings

_PURPOSE = "service"
_IDLE_SECONDS = 60.0
_WAIT_SECONDS = 3.0


class SessionPools:
    """A pool for each database that is asked."""

    def __init__(self, most: int, limits: connections.Limits) -> None:
        """Open nothing yet.

        Args:
            most: sessions per database.
            limits: of every session.
        """
        self._most = most
        self._limits = limits
        self._lock = threading.Lock()
        self._pools: dict[tuple[str, int, str, str], ConnectionPool[psycopg.Connection[Any]]] = {}

    @contextmanager
    def use(self) -> Iterator[None]:
        """Let short sessions of this thread, or task, come from the pools."""
        token = connections.SESSION_SOURCE.set(self.session)
        try:
            yield
        finally:
            connections.SESSION_SOURCE.reset(token)

    @contextmanager
    def session(self, settings: DatabaseSettings) -> Iterator[psycopg.Connection[Any]]:
        """One transaction on a kept session; on a new one where the pool can give none, which then says why."""
        pool = self._pool(settings)
        try:
            session = pool.getconn()
        except PoolTimeout:
            with connections.connect(settings, purpose=_PURPOSE, limits=self._limits) as fresh:
                yield fresh
            return
        try:
            yield session
        except BaseException:
            if not session.closed:
                session.rollback()
            raise
        else:
            session.commit()
        finally:
            pool.putconn(session)

    def close(self) -> None:
        """Close every kept session."""
        with self._lock:
            for pool in self._pools.values():
                pool.close()
            self._pools.clear()

    def _pool(self, settings: DatabaseSettings) -> ConnectionPool[psycopg.Connection[Any]]:
        key = (*settings.address, settings.schema_name)
        with self._lock:
            if key not in self._pools:
                self._pools[key] = ConnectionPool(
                    kwargs={**connections.connection_arguments(settings, _PURPOSE), "autocommit": True},
                    configure=lambda session: _configure(session, settings.schema_name, self._limits),
                    check=ConnectionPool.check_connection,
                    reset=_reset,
                    min_size=0,
                    max_size=self._most,
                    max_idle=_IDLE_SECONDS,
                    timeout=_WAIT_SECONDS,
                    # Whoever asks while the server is away finds out for himself; nobody tries on in the background.
                    reconnect_timeout=_WAIT_SECONDS,
                    open=True,
                )
            return self._pools[key]


def _configure(session: psycopg.Connection[Any], schema: str, limits: connections.Limits) -> None:
    connections.pin(session, schema, limits)
    session.autocommit = False


def _reset(session: psycopg.Connection[Any]) -> None:
    session.read_only = None
