"""What the engine's database says: which processes have ended, which still run, which keys running ones name.

One reading of the ended ones is a *pass*: pages in the order of the end, from some hours before the pass before. Of the
rows in that overlap only those count that the pass before cannot have seen, by the version of the row: an end that was
committed late, or written by a server with a slow clock, is found by the next pass. Not here: where a pass is
remembered (``books.py``).
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, LiteralString

from archival_pipeline.database.sqlfiles import load_sql
from archival_pipeline.interim.keys import START_VARIABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import psycopg

EngineName = Literal["camunda", "jbpm"]
_FOLDERS: dict[EngineName, str] = {"camunda": "camunda", "jbpm": "primary"}
_BEGINNING = "-infinity"
_MOST_DIGITS = 18
_TABLE = re.compile(r"\bact_(?=hi_|ru_)")


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that is over.

    Attributes:
        process_id: the instance.
        is_root: whether it is the root of its tree, so that files are kept under its id.
        named: start variables it had, as pairs of name and value.
    """

    process_id: str
    is_root: bool
    named: tuple[tuple[str, str], ...] = ()

    def as_json(self) -> list[Any]:
        """Short, because there are many."""
        return [self.process_id, self.is_root, [list(pair) for pair in self.named]]

    @classmethod
    def from_json(cls, content: Sequence[Any]) -> Ended:
        """The other way round."""
        return cls(content[0], content[1], tuple((name, value) for name, value in content[2]))


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far the reading is.

    Attributes:
        identity: the database that was read; another one is read from the beginning.
        ended_at: end of the last row read in this pass, in the engine's own time.
        process_id: its id.
        horizon: rows of older versions were seen by an earlier pass; None in the first.
        next_from: where the next pass begins, and its horizon; None between two passes.
        next_horizon: see ``next_from``.
    """

    identity: str = ""
    ended_at: str = _BEGINNING
    process_id: str = ""
    horizon: str | None = None
    next_from: str | None = None
    next_horizon: str | None = None

    def as_json(self) -> dict[str, Any]:
        """For the books."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Page:
    """One step of a pass: what ended, and the cursor for the step after."""

    ended: tuple[Ended, ...]
    cursor: Cursor
    is_last: bool


@dataclass(frozen=True, slots=True)
class Running:
    """Those of some processes that run, and those whose tree does."""

    processes: frozenset[str]
    trees: frozenset[str]


class EngineReader:
    """Reads one engine's database; writes nothing."""

    def __init__(
        self,
        name: EngineName,
        session: psycopg.Connection[Any],
        *,
        time_zone: str,
        overlap: timedelta,
        table_prefix: str = "",
    ) -> None:
        """Use a session in autocommit: each question is about this moment.

        Args:
            name: which engine.
            session: on its database and schema.
            time_zone: the zone in which the engine writes its times.
            overlap: how far each pass goes back behind the beginning of the pass before.
            table_prefix: what Camunda puts before the names of its tables; letters, digits and underscores.
        """
        self.name: EngineName = name
        self.session = session
        self.time_zone = time_zone
        self.overlap = overlap
        self._prefix = table_prefix

    def page(self, cursor: Cursor, size: int) -> Page:
        """Read the next page of a pass, beginning one where none is open."""
        here = cursor if cursor.next_from is not None else self._begin(cursor)
        parameters = {**here.as_json(), "variables": list(START_VARIABLES), "page": size}
        rows = self.session.execute(self._sql("interim_ended"), parameters).fetchall()
        ended = tuple(Ended(row[0], row[2], tuple(map(tuple, row[3] or ()))) for row in rows)
        if len(rows) == size:
            return Page(ended, replace(here, ended_at=rows[-1][1], process_id=rows[-1][0]), is_last=False)
        done = Cursor(here.identity, ended_at=here.next_from or _BEGINNING, horizon=here.next_horizon)
        return Page(ended, done, is_last=True)

    def running(self, process_ids: Iterable[str]) -> Running:
        """Which of these processes run now, and which are part of a tree that does."""
        asked = [one for one in set(process_ids) if self.owns(one)]
        if not asked:
            return Running(frozenset(), frozenset())
        rows = self.session.execute(self._sql("interim_running"), {"process_ids": asked}).fetchall()
        return Running(frozenset(r[0] for r in rows if r[1]), frozenset(r[0] for r in rows if r[1] or r[2]))

    def named_by_running(self, keys: Iterable[str]) -> set[str]:
        """Which of these keys, without their keyspace, a variable of a running process names now."""
        asked = list(set(keys))
        if not asked:
            return set()
        parameters = {"keys": asked, "variables": list(START_VARIABLES)}
        return {row[0] for row in self.session.execute(self._sql("interim_named"), parameters)}

    def relatives(
        self, asked: Mapping[str, Any], archive: psycopg.Connection[Any] | None
    ) -> list[tuple[str, str | None, str | None]]:
        """Processes and their children, each with its parent or root and the kind of hold that it meets by itself.

        Args:
            asked: ``ids``, and what is held: ``definitions`` and ``business_keys``.
            archive: where archived trees of jBPM are, if anywhere.
        """
        statement = self._sql("interim_relatives") if self.name == "camunda" else load_sql("common/hold_relatives")
        rows = [row for side in self._sides(archive) for row in side.execute(statement, asked)]
        return [(str(row[0]), None if row[1] is None else str(row[1]), row[2]) for row in rows]

    def named_by(self, keys: Iterable[str], archive: psycopg.Connection[Any] | None) -> list[tuple[str, str]]:
        """Which processes, over or not, name these keys, without their keyspace: pairs of key and process.

        Args:
            keys: the keys.
            archive: where archived trees of jBPM are, if anywhere.
        """
        parameters = {"keys": list(keys), "variables": list(START_VARIABLES)}
        statement = self._sql("interim_named_by") if self.name == "camunda" else load_sql("common/interim_named_by")
        return [(row[0], row[1]) for side in self._sides(archive) for row in side.execute(statement, parameters)]

    def is_filled(self) -> bool:
        """Whether the engine has ever done anything."""
        row = self.session.execute(self._sql("interim_is_filled")).fetchone()
        return bool(row and row[0])

    def owns(self, process_id: str) -> bool:
        """Whether it can be an id of this engine; data under any other belongs to somebody else."""
        return self.name == "camunda" or (process_id.isascii() and process_id.isdigit() and _fits(process_id))

    def _begin(self, cursor: Cursor) -> Cursor:
        """Begin a pass: what is committed from this moment on belongs to the next one."""
        parameters = {"time_zone": self.time_zone, "before": cursor.horizon}
        row = self.session.execute(load_sql("common/interim_snapshot"), parameters).fetchone()
        assert row is not None  # noqa: S101 - the current database exists
        horizon, now, identity, follows = row
        # A database that was rebuilt, or read elsewhere, counts its transactions anew: then everything is read again.
        known = cursor if follows and identity == cursor.identity else Cursor()
        started = datetime.fromisoformat(now) - self.overlap
        return replace(known, identity=identity, next_from=started.isoformat(sep=" "), next_horizon=horizon)

    def _sides(self, archive: psycopg.Connection[Any] | None) -> list[psycopg.Connection[Any]]:
        return [self.session] if archive is None else [self.session, archive]

    def _sql(self, name: str) -> LiteralString:
        text = load_sql(f"{_FOLDERS[self.name]}/{name}")
        # A setting, checked to be nothing but letters, digits and underscores; the engine writes it unquoted, too.
        named: LiteralString = _TABLE.sub(f"{self._prefix}act_", text)
        return named


def cursor_from(content: Mapping[str, Any] | None) -> Cursor:
    """The cursor as the books have it; a new one begins at the first end that the engine remembers."""
    return Cursor(**content) if content else Cursor()


def _fits(digits: str) -> bool:
    return len(digits) <= _MOST_DIGITS
