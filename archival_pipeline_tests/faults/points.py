"""Fault points of the mover without hooks in the product: the driver is wrapped, every statement is two points.

A point lies before and after each statement sent on any session: execute, executemany, COPY (begin, each piece, end),
BEGIN, COMMIT, ROLLBACK and savepoints. Points are numbered in order; at one of them something happens. Only the worker
process of the tests calls ``install``. Not here: what is checked afterwards.
"""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

import psycopg
from psycopg import sql

from archival_pipeline.database.connections import connection_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from archival_pipeline.settings import Settings

Action = Literal["kill9", "stop", "sigterm", "sigint", "raise", "terminate", "sql"]
_SIGNALS = {
    "kill9": signal.SIGKILL,
    "sigterm": signal.SIGTERM,
    "sigint": signal.SIGINT,
}
_BLANKS = re.compile(r"(?:--[^\n]*\n|\s)+")
_TERMINATE = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name LIKE 'archival-pipeline: %'"
)
_LABEL_LENGTH = 70


class InjectedError(Exception):
    """Stands for any defect in the code that runs at the point."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens, and where.

    Attributes:
        action: what.
        number: at the point of this number, counted from 1; or else
        match: at a point whose label matches this pattern,
        nth: the n-th such point.
        later: whether points count only once every other fault has happened.
        side: for ``terminate`` and ``sql``: on which side.
        statement: for ``sql``: what somebody else does at this moment, in a transaction of its own.
    """

    action: Action
    number: int | None = None
    match: str | None = None
    nth: int = 1
    later: bool = False
    side: Literal["primary", "backup"] = "primary"
    statement: str = ""

    def as_json(self) -> str:
        """The value of the worker's option."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what ``as_json`` wrote."""
        return cls(**json.loads(text))


class Points(Protocol):
    """Whoever wants to hear of each point."""

    def reached(self, connection: psycopg.Connection[Any] | None, when: str, what: str) -> None:
        """Called at a point.

        Args:
            connection: the session at work.
            when: ``before`` or ``after``.
            what: the first words of the statement.
        """
        ...


class FaultPoints:
    """Counts the points and lets the fault happen once."""

    def __init__(self, settings: Settings, faults: Sequence[Fault], log: int) -> None:
        """Keep what is needed at the point.

        Args:
            settings: where the databases are.
            faults: what happens; each once.
            log: file descriptor that gets a line for each point, so that a killed process has told where it was.
        """
        self._settings = settings
        self._waiting = list(faults)
        self._log = log
        self._guard = threading.RLock()
        self._connect = psycopg.Connection.connect
        self.count = 0
        self._matched: Counter[Fault] = Counter()
        self.fired = False
        self._acting = False

    def reached(self, connection: psycopg.Connection[Any] | None, when: str, what: str) -> None:
        """Count a point; if it is the one, let the fault happen. What a fault itself does is not counted."""
        if self._acting:
            return
        side = "?" if connection is None else self._side(connection)
        label = f"{when} {side} {what}"
        with self._guard:
            self.count += 1
            os.write(self._log, f"{self.count} {label}\n".encode())
            others = any(not fault.later for fault in self._waiting)
            due = [f for f in self._waiting if not (f.later and others) and self._is_it(f, label)]
            for fault in due:
                self._waiting.remove(fault)
        for fault in due:
            self.fired = True
            self._acting = True
            try:
                self._act(fault)
            finally:
                self._acting = False

    def _side(self, connection: psycopg.Connection[Any]) -> str:
        if connection.closed:
            return "closed"
        info = connection.info
        return "primary" if (info.port, info.dbname) == self._settings.primary.address[1:] else "backup"

    def _is_it(self, fault: Fault, label: str) -> bool:
        if fault.number is not None:
            return self.count == fault.number
        if fault.match is None or not re.search(fault.match, label):
            return False
        self._matched[fault] += 1
        return self._matched[fault] == fault.nth

    def _act(self, fault: Fault) -> None:
        if fault.action == "stop":
            # To this thread: sent to the process, another thread may be told first, and this one go on for a while.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
        elif fault.action in _SIGNALS:
            os.kill(os.getpid(), _SIGNALS[fault.action])
        elif fault.action == "raise":
            message = "injected"
            raise InjectedError(message)
        else:
            where = self._settings.primary if fault.side == "primary" else self._settings.backup
            arguments = connection_arguments(where, "x") | {"application_name": "somebody else"}
            statement = _TERMINATE if fault.action == "terminate" else fault.statement
            with self._connect(**arguments) as other:
                path = sql.SQL("SET search_path = {}").format(sql.Identifier(where.schema_name))
                _plain_execute(other.cursor(), path)
                _plain_execute(other.cursor(), statement)


_plain_execute = psycopg.Cursor.execute


def install(points: Points) -> None:
    """Wrap the driver of this process; there is no way back but the end of the process."""
    _wrap_method(psycopg.Cursor, "execute", points, lambda cursor, query, *_, **__: (cursor.connection, words(query)))
    _wrap_method(
        psycopg.Cursor, "executemany", points, lambda cursor, query, *_, **__: (cursor.connection, words(query))
    )
    _wrap_method(psycopg.Copy, "write", points, lambda copy, *_, **__: (copy.connection, "a piece of a COPY"))
    _wrap_method(psycopg.Copy, "finish", points, lambda copy, *_, **__: (copy.connection, "the end of a COPY"))
    _wrap_generator(psycopg.Connection, "_exec_command", points, lambda c, command, *_, **__: (c, words(command)))
    _wrap_generator(
        psycopg.Cursor, "_start_copy_gen", points, lambda cursor, query, *_, **__: (cursor.connection, words(query))
    )


def _wrap_method(
    owner: type, name: str, points: Points, describe: Callable[..., tuple[psycopg.Connection[Any], str]]
) -> None:
    inner = getattr(owner, name)

    def outer(self: Any, *arguments: Any, **named: Any) -> Any:
        connection, what = describe(self, *arguments, **named)
        points.reached(connection, "before", what)
        result = inner(self, *arguments, **named)
        points.reached(connection, "after", what)
        return result

    setattr(owner, name, outer)


def _wrap_generator(
    owner: type, name: str, points: Points, describe: Callable[..., tuple[psycopg.Connection[Any], str]]
) -> None:
    inner = getattr(owner, name)

    def outer(self: Any, *arguments: Any, **named: Any) -> Generator[Any, Any, Any]:
        connection, what = describe(self, *arguments, **named)
        points.reached(connection, "before", what)
        result = yield from inner(self, *arguments, **named)
        points.reached(connection, "after", what)
        return result

    setattr(owner, name, outer)


def words(query: Any) -> str:
    """The first words of a statement, on one line and without comments."""
    if isinstance(query, sql.Composable):
        query = query.as_string(None)
    text = query.decode() if isinstance(query, bytes) else str(query)
    return _BLANKS.sub(" ", f"{text}\n").strip()[:_LABEL_LENGTH]
