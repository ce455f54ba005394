"""Reads the rows of an engine's history that changed since a cursor, missing none.

Every row version carries the number of the transaction that wrote it. A snapshot says below which number every
transaction is over: its horizon. What a read could not see was therefore written by a transaction at or above that
read's horizon, however late it commits, and the next read takes every row version at or above it. What it meets twice
is told apart by the row version (``cursor.py``). Sub-transactions have numbers above their own transaction's, so they
are covered as well. Nothing is added to the engine's database, and nothing there is locked.

Not here: what was published already, versions of events, sending.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import IsolationLevel, sql
from psycopg.rows import dict_row

from archival_pipeline.database.sqlfiles import load_sql
from archival_pipeline.history.events.fields import PROCESS, TASK, VARIABLE_FIELDS
from archival_pipeline.settings_history import HistoryLevel

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime

    import psycopg

    from archival_pipeline.history.events.fields import Value
    from archival_pipeline.settings_camunda import CamundaSettings

CHANGE_KINDS = ("process", "task", "variable")
# Levels hold the ones before them; what the engine writes at FULL besides is not for users.
_KINDS_OF_LEVEL: dict[HistoryLevel, tuple[str, ...]] = {
    HistoryLevel.NONE: (),
    HistoryLevel.ACTIVITY: ("process", "task"),
    HistoryLevel.AUDIT: CHANGE_KINDS,
    HistoryLevel.FULL: CHANGE_KINDS,
}
_AUDIT = 2
_TABLE = re.compile(r"\bact_(ge_property|re_procdef|hi_procinst|hi_taskinst|hi_varinst)\b")
_BEGINNING = -(2**62)


def kinds_of(level: HistoryLevel) -> tuple[str, ...]:
    """What a level publishes."""
    return _KINDS_OF_LEVEL[level]


@dataclass(frozen=True, slots=True)
class Moment:
    """A snapshot of the engine's database.

    Attributes:
        source: names the engine's schema; changes when the server was rebuilt from a dump.
        horizon: every transaction below it is over.
        next_number: number of the next transaction.
        engine_level: history level of the engine; None where it says nothing.
    """

    source: str
    horizon: int
    next_number: int
    engine_level: int | None

    @property
    def lacks_variables(self) -> bool:
        """Whether the engine writes no history of variables."""
        return self.engine_level is not None and self.engine_level < _AUDIT


@dataclass(frozen=True, slots=True)
class Change:
    """A row that is not as it was.

    Attributes:
        kind: process, task or variable.
        known_as: identifies the row among those of its kind.
        entity_id: the row of the history that it changes.
        row_version: number of the transaction that wrote it.
        is_over: it will not change any more.
        values: what it says, by field name.
    """

    kind: str
    known_as: str
    entity_id: str
    row_version: int
    is_over: bool
    values: Mapping[str, Value]

    def event_id(self, source: str) -> str:
        """The same for the same row version of the same engine, however often it is published."""
        text = "\0".join((source, self.kind, self.known_as, str(self.row_version)))
        return hashlib.sha256(text.encode()).hexdigest()[:32]


class Snapshot:
    """One read of the engine: everything in it is of one moment."""

    def __init__(self, session: psycopg.Connection[Any], engine: CamundaSettings) -> None:
        """Begin the read; the session's transaction lasts until its owner ends it.

        Args:
            session: of the engine's database, outside a transaction.
            engine: the zone of its times, and the prefix of its tables.
        """
        session.isolation_level = IsolationLevel.REPEATABLE_READ
        session.read_only = True
        self._session = session
        self._engine = engine
        row = session.execute(self._statement("moment")).fetchone()
        assert row is not None  # noqa: S101 - a SELECT without FROM returns one row
        self.moment = Moment(*row)

    def changes(
        self, kind: str, horizon: int, at_a_time: int, started: tuple[datetime, datetime] | None = None
    ) -> Iterator[list[Change]]:
        """The rows of a kind that were written at or above a horizon, in pieces.

        Args:
            kind: process, task or variable.
            horizon: of the last read; 0 for everything.
            at_a_time: rows in one piece.
            started: only what started from the first time on and before the second; both in UTC, without zone.
        """
        values = {
            # Numbers of long frozen rows may come out negative.
            "horizon": horizon or _BEGINNING,
            "next_number": self.moment.next_number,
            "zone": self._engine.time_zone,
            "names": list(VARIABLE_FIELDS),
            "from": started[0] if started else None,
            "to": started[1] if started else None,
        }
        with self._session.cursor(f"history_{kind}", row_factory=dict_row) as cursor:
            cursor.itersize = at_a_time
            cursor.execute(self._statement(f"{kind}_changes"), values)
            while rows := cursor.fetchmany(at_a_time):
                yield [_READERS[kind](row) for row in rows]

    def known(self, ids: Collection[str]) -> set[str]:
        """Which of these process instances the engine has any row of."""
        rows = self._session.execute(self._statement("known"), {"ids": list(ids)}).fetchall()
        return {str(row[0]) for row in rows}

    def _statement(self, name: str) -> sql.SQL:
        """A file of ours, with the names of the engine's tables as they are in this database."""
        text = load_sql(f"history/source_{name}")
        return sql.SQL(_TABLE.sub(lambda found: self._engine.table(found[0]), text))


def _process(row: Mapping[str, Any]) -> Change:
    values = {field.name: row[field.column] for field in PROCESS.fields if field.column in row}
    return Change("process", row["id"], row["id"], row["row_version"], row["end_time"] is not None, values)


def _task(row: Mapping[str, Any]) -> Change:
    values = {field.name: row[field.column] for field in TASK.fields}
    return Change(
        "task", row["id"], row["activity_instance_id"], row["row_version"], row["end_time"] is not None, values
    )


def _variable(row: Mapping[str, Any]) -> Change:
    field = VARIABLE_FIELDS[row["name"]]
    owner = row["process_instance_id"]
    # A deleted variable may be made anew as long as its process runs: only the process's end is the end.
    return Change(
        "variable", f"{owner} {row['name']}", owner, row["row_version"], row["is_over"], {field: row["value"]}
    )


_READERS = {"process": _process, "task": _task, "variable": _variable}
