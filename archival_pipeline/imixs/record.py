"""The record of one backup space in the backup database: files held, entries locked, runs.

One session does it all, and holds the advisory lock of its space while it lives: two processes never work on the same
space. If the session is lost, so is every way to record progress, and the run ends. Several lanes share it; a lock in
this process keeps their statements apart. Not here: what the files hold.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

import psycopg
from psycopg.rows import class_row, dict_row

from archival_pipeline import errors
from archival_pipeline.database.connections import Limits, connect
from archival_pipeline.database.sqlfiles import load_sql
from archival_pipeline.imixs.failures import PollerBusyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime
    from types import TracebackType

    from archival_pipeline.settings import DatabaseSettings

_MANY = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Held:
    """One file.

    Attributes:
        snapshot_id: of the snapshot in it.
        document_id: of its document.
        snapshot_ms: the time in the snapshot's id.
        place: ``incoming``, ``current`` or ``history``.
        state: ``good``, ``damaged`` or ``missing``.
        month: its folder, year and month.
        path: in the space.
        size: of the file as it is stored.
        sha256: of the same.
        xml_size: of the XML in it; None if it could not be opened.
        xml_sha256: of the same.
        damaged_at_source: attachments that do not fit their digest in the instance either.
    """

    snapshot_id: str
    document_id: str
    snapshot_ms: int
    place: str
    state: str
    month: str
    path: str
    size: int
    sha256: str
    xml_size: int | None
    xml_sha256: str | None
    damaged_at_source: list[str] = field(default_factory=list)


class Record:
    """The record of one space."""

    def __init__(self, session: psycopg.Connection[Any], space: str) -> None:
        self._session = session
        self._lock = threading.RLock()
        self.space = space

    @classmethod
    def open(cls, database: DatabaseSettings, space: str, *, exclusive: bool = True) -> Self:
        """Open the record of a space.

        Args:
            database: the backup database.
            space: address of the space, without secrets.
            exclusive: take the lock of the space; readers do without it.

        Raises:
            PollerBusyError: another process works on the space.
        """
        limits = Limits(idle_in_transaction=0)
        session = connect(database, purpose="imixs", limits=limits, autocommit=True)
        record = cls(session, space)
        try:
            if exclusive:
                record.take_lock()
        except BaseException:
            session.close()
            raise
        return record

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the session, and free the lock with it."""
        self._session.close()

    @property
    def is_closed(self) -> bool:
        """Whether the session is gone."""
        return self._session.closed

    def take_lock(self) -> None:
        """Make sure that nobody else works on this space."""
        [[taken]] = self._rows("SELECT pg_try_advisory_lock(hashtextextended('imixs ' || %(space)s, 0))")
        if not taken:
            raise PollerBusyError(
                f"Another process works on the backup space {self.space}.", resolve="Wait for it to end."
            )

    def files_of(self, document_id: str) -> list[Held]:
        """Every file of a document, oldest snapshot first."""
        return self._held("imixs_held", document_id=document_id)

    def current(self, document_id: str) -> Held | None:
        """The current file of a document."""
        return next((held for held in self.files_of(document_id) if held.place == "current"), None)

    def files(
        self, *, month: str | None = None, before: datetime | None = None, limit: int | None = None
    ) -> list[Held]:
        """Files, those verified longest ago first.

        Args:
            month: of this month only.
            before: verified before this moment only.
            limit: at most so many.
        """
        return self._held("imixs_files", month=month, before=before, limit=limit or _MANY)

    def snapshots_by_path(self) -> dict[str, str]:
        """The snapshot in each file."""
        rows = self._rows(
            "SELECT path, snapshot_id FROM imixs_snapshot WHERE space = %(space)s AND place <> 'incoming'"
        )
        return {str(path): str(snapshot_id) for path, snapshot_id in rows}

    def put(self, held: Held) -> None:
        """Record a file, or what has become of it."""
        self._execute(load_sql("backup/imixs_put"), **asdict(held))

    def replace(self, taken_over: Held | None, new: Held) -> None:
        """Record that a file is the current one now.

        Args:
            taken_over: the file that was, with its new place; None if it is no more.
            new: the current one.
        """
        with self._transaction():
            self._execute(
                "DELETE FROM imixs_snapshot WHERE space = %(space)s AND document_id = %(document_id)s"
                " AND place = 'current' AND snapshot_id <> %(snapshot_id)s",
                document_id=new.document_id,
                snapshot_id=new.snapshot_id,
            )
            for held in (taken_over, new):
                if held is not None:
                    self.put(held)

    def forget(self, *snapshot_ids: str) -> None:
        """Files that are no more."""
        self._execute(
            "DELETE FROM imixs_snapshot WHERE space = %(space)s AND snapshot_id = ANY(%(ids)s)", ids=list(snapshot_ids)
        )

    def seen_good(self, snapshot_id: str) -> None:
        """A file was read back and is good."""
        self._execute(
            "UPDATE imixs_snapshot SET state = 'good', verified_at = now(),"
            " in_manifest = in_manifest AND state = 'good' WHERE space = %(space)s AND snapshot_id = %(id)s",
            id=snapshot_id,
        )

    def seen_bad(self, snapshot_id: str, state: str) -> None:
        """A file was read back and is damaged, or missing."""
        self._execute(
            "UPDATE imixs_snapshot SET state = %(state)s, verified_at = now(), in_manifest = FALSE"
            " WHERE space = %(space)s AND snapshot_id = %(id)s",
            id=snapshot_id,
            state=state,
        )

    def too_many(self, document_ids: Iterable[str], history: int, older_ms: int | None) -> list[tuple[str, str]]:
        """Snapshot id and path of files of the history that may go."""
        rows = self._rows(
            load_sql("backup/imixs_history_over"),
            document_ids=list(document_ids),
            history=history,
            older_ms=older_ms,
        )
        return [(str(snapshot_id), str(path)) for snapshot_id, path in rows]

    def documents_with_history(self) -> list[str]:
        """Documents that have more than their current file."""
        rows = self._rows(
            "SELECT DISTINCT document_id FROM imixs_snapshot WHERE space = %(space)s AND place = 'history'"
        )
        return [str(row[0]) for row in rows]

    def some_documents(self, number: int) -> list[str]:
        """Some documents that were stored of late."""
        rows = self._rows(
            "SELECT document_id FROM imixs_snapshot WHERE space = %(space)s AND place = 'current'"
            " ORDER BY snapshot_ms DESC LIMIT %(number)s",
            number=number,
        )
        return [str(row[0]) for row in rows]

    def hold(self, topic: str, event_id: str, snapshot_id: str) -> None:
        """Say that an entry is about to be locked."""
        self._execute(
            "INSERT INTO imixs_event_lock (space, topic, event_id, snapshot_id)"
            " VALUES (%(space)s, %(topic)s, %(event_id)s, %(snapshot_id)s)"
            " ON CONFLICT (space, topic, event_id) DO NOTHING",
            topic=topic,
            event_id=event_id,
            snapshot_id=snapshot_id,
        )

    def let_go(self, topic: str, *event_ids: str) -> None:
        """Say that entries are not locked by us any more."""
        self._execute(
            "DELETE FROM imixs_event_lock"
            " WHERE space = %(space)s AND topic = %(topic)s AND event_id = ANY(%(event_ids)s)",
            topic=topic,
            event_ids=list(event_ids),
        )

    def locks(self, topic: str) -> set[str]:
        """Entries that we have locked, or may have."""
        rows = self._rows(
            "SELECT event_id FROM imixs_event_lock WHERE space = %(space)s AND topic = %(topic)s", topic=topic
        )
        return {str(row[0]) for row in rows}

    def months_behind(self, minutes: int) -> list[str]:
        """Months whose manifest has to be written."""
        return [str(row[0]) for row in self._rows(load_sql("backup/imixs_months_behind"), minutes=minutes)]

    def manifest_written(self, month: str, snapshot_ids: Iterable[str]) -> None:
        """The manifest of a month lists these files."""
        with self._transaction():
            self._execute(
                "UPDATE imixs_snapshot SET in_manifest = TRUE WHERE space = %(space)s AND snapshot_id = ANY(%(ids)s)",
                ids=list(snapshot_ids),
            )
            self._execute(
                "INSERT INTO imixs_manifest (space, month) VALUES (%(space)s, %(month)s)"
                " ON CONFLICT (space, month) DO UPDATE SET written_at = now()",
                month=month,
            )

    def begin_run(self, operation: str) -> int:
        """Note that a run begins; one of the same kind that still stands as running has died."""
        if operation != "restore":
            self._execute(
                "UPDATE imixs_run SET status = 'failed', problem = 'The process ended.', ended_at = now()"
                " WHERE space = %(space)s AND operation = %(operation)s AND status = 'running'",
                operation=operation,
            )
        [[run_id]] = self._rows(
            "INSERT INTO imixs_run (space, operation) VALUES (%(space)s, %(operation)s) RETURNING run_id",
            operation=operation,
        )
        return int(run_id)

    def end_run(self, run_id: int, status: str, numbers: Mapping[str, int], problem: str | None = None) -> None:
        """Note how a run ended."""
        self._execute(
            "UPDATE imixs_run SET status = %(status)s, numbers = %(numbers)s, problem = %(problem)s, ended_at = now()"
            " WHERE space = %(space)s AND run_id = %(run_id)s",
            run_id=run_id,
            status=status,
            numbers=json.dumps(numbers),
            problem=problem,
        )

    def totals(self) -> dict[str, Any]:
        """What the space holds."""
        return self._documents(load_sql("backup/imixs_totals"))[0]

    def run_totals(self) -> list[dict[str, Any]]:
        """Sums over all runs, an entry for each operation."""
        return self._documents(load_sql("backup/imixs_run_totals"))

    def latest_runs(self, number: int) -> list[dict[str, Any]]:
        """The latest runs, newest first."""
        return self._documents(
            "SELECT run_id, operation, status, started_at, ended_at, numbers, problem FROM imixs_run"
            " WHERE space = %(space)s ORDER BY run_id DESC LIMIT %(number)s",
            number=number,
        )

    def _held(self, name: str, **values: Any) -> list[Held]:
        with self._lock, self._reported(), self._session.cursor(row_factory=class_row(Held)) as cursor:
            return cursor.execute(load_sql(f"backup/{name}"), {"space": self.space, **values}).fetchall()

    def _documents(self, statement: Any, **values: Any) -> list[dict[str, Any]]:
        with self._lock, self._reported(), self._session.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(statement, {"space": self.space, **values}).fetchall()

    def _rows(self, statement: Any, **values: Any) -> list[tuple[Any, ...]]:
        with self._lock, self._reported():
            return self._session.execute(statement, {"space": self.space, **values}).fetchall()

    def _execute(self, statement: Any, **values: Any) -> None:
        with self._lock, self._reported():
            self._session.execute(statement, {"space": self.space, **values})

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Statements that count together, and go to the server together: all lanes wait for this one session."""
        with self._lock, self._reported(), self._session.pipeline(), self._session.transaction():
            yield

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise errors.from_database(error, "writing the record of the Imixs backup") from error
