"""Sessions of the history database that are kept between requests. Not here: how many requests work at a time."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg

from archival_pipeline import errors
from archival_pipeline.database.connections import Limits, connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from archival_pipeline.settings import DatabaseSettings

T = TypeVar("T")
_LIMITS = Limits(lock_timeout=1_000, statement_timeout=10_000)


class Sessions:
    """Lends a session to a question; safe to use from several threads."""

    def __init__(self, database: DatabaseSettings) -> None:
        self._database = database
        self._idle: deque[psycopg.Connection[Any]] = deque()

    def ask(self, question: Callable[[psycopg.Connection[Any]], T]) -> T:
        """Answer a question that only reads; once more on a new session if a kept one turns out to be dead.

        Raises:
            DatabaseError: the database cannot be reached or refused.
        """
        kept = self._take()
        if kept is not None:
            try:
                return self._ask(kept, question)
            except psycopg.Error as error:
                # A dead session says nothing about the question: it is asked again on a new one.
                if not kept.closed:
                    raise errors.from_database(error, "reading the execution history") from error
        session = connect(self._database, purpose="history api", limits=_LIMITS, autocommit=True)
        session.read_only = True
        try:
            return self._ask(session, question)
        except psycopg.Error as error:
            raise errors.from_database(error, "reading the execution history") from error

    def close(self) -> None:
        """Close what is idle."""
        while (session := self._take()) is not None:
            session.close()

    def _ask(self, session: psycopg.Connection[Any], question: Callable[[psycopg.Connection[Any]], T]) -> T:
        try:
            return question(session)
        finally:
            if not session.closed:
                self._idle.append(session)

    def _take(self) -> psycopg.Connection[Any] | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None
