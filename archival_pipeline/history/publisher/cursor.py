"""What the publisher remembers between reads, in the history database.

Per kind of change a horizon; per row that may be met again the version of it that was published last. Not here: the
reading (``source.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archival_pipeline.database.sqlfiles import load_sql
from archival_pipeline.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg

    from archival_pipeline.history.publisher.source import Change, Moment


class Cursor:
    """How far one engine was read. Holds a lock of the session: one publisher per engine."""

    def __init__(self, session: psycopg.Connection[Any], source: str) -> None:
        """Take the lock.

        Args:
            session: of the history database, in autocommit mode.
            source: the engine's name.

        Raises:
            BusyError: another publisher is at work on this engine.
        """
        self._session = session
        self._source = source
        row = session.execute(load_sql("history/cursor_lock"), {"source": source}).fetchone()
        if row is None or not row[0]:
            raise BusyError("history publisher")

    def next_version(self) -> int:
        """A version greater than every one before it, also when this memory was lost: microseconds since 1970."""
        row = self._session.execute(load_sql("history/cursor_version"), {"source": self._source}).fetchone()
        assert row is not None  # noqa: S101 - an aggregate returns one row
        return int(row[0])

    def horizon(self, kind: str, moment: Moment) -> int:
        """Where to read on; 0, which is everything, at first and when the engine was set back to an older state."""
        values = {"source": self._source, "kind": kind}
        row = self._session.execute(load_sql("history/cursor_read"), values).fetchone()
        known = int(row[0]) if row else 0
        if known <= moment.next_number:
            return known
        self._session.execute(load_sql("history/published_forget_all"), values)
        return 0

    def published(self, kind: str, changes: Sequence[Change]) -> Mapping[str, int]:
        """Row versions that were published last, of those rows that are remembered."""
        values = {"source": self._source, "kind": kind, "ids": [change.known_as for change in changes]}
        rows = self._session.execute(load_sql("history/published_among"), values).fetchall()
        return dict(rows)

    def remember(self, kind: str, changes: Sequence[Change]) -> None:
        """Note what is published now; call it only when it is durable."""
        values = {
            "source": self._source,
            "kind": kind,
            "ids": [change.known_as for change in changes],
            "versions": [change.row_version for change in changes],
            "over": [change.is_over for change in changes],
        }
        self._session.execute(load_sql("history/published_remember"), values)

    def advance(self, kind: str, moment: Moment, version: int) -> None:
        """Move the horizon after a complete read, and forget what cannot be met again."""
        values = {"source": self._source, "kind": kind, "horizon": moment.horizon, "version": version}
        with self._session.transaction():
            self._session.execute(load_sql("history/cursor_advance"), values)
            self._session.execute(load_sql("history/published_forget"), values)
