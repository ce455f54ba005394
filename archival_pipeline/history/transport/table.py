"""The transport without Kafka: a table of the history database, read by position like a log.

A topic has one partition. Writers of a topic take turns, so that positions become visible in their order and no reader
passes over one that commits late. One consumer of a group reads at a time; others wait until it is gone. Not here:
how long messages are kept (``store/retention.py``).
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from typing import TYPE_CHECKING, Any

import orjson
import psycopg
from psycopg.types.json import set_json_loads

from archival_pipeline import errors
from archival_pipeline.database.connections import Limits, connect
from archival_pipeline.database.sqlfiles import load_sql
from archival_pipeline.history.events.records import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archival_pipeline.history.events.records import Message
    from archival_pipeline.settings import DatabaseSettings

_CHANNEL = "history_queue"


class TableProducer:
    """Writes messages, all or none, in one transaction."""

    def __init__(self, database: DatabaseSettings) -> None:
        self._database = database
        self._session: psycopg.Connection[Any] | None = None

    def send(self, messages: Sequence[Message]) -> None:
        """Write and commit."""
        doing = "writing events to the queue"
        try:
            session = self._open(doing)
            with session.transaction():
                for topic in sorted({message.topic for message in messages}):
                    session.execute(load_sql("history/queue_lock"), {"topic": topic})
                with session.cursor() as cursor, cursor.copy(load_sql("history/queue_copy")) as copy:
                    for message in messages:
                        copy.write_row(_row(message))
                session.execute("SELECT pg_notify(%s, '')", [_CHANNEL])
        except psycopg.Error as error:
            raise errors.from_database(error, doing) from error

    def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            self._session.close()

    def _open(self, doing: str) -> psycopg.Connection[Any]:
        if self._session is None or self._session.closed:
            self._session = connect(self._database, purpose=doing, autocommit=True)
        return self._session


def _row(message: Message) -> tuple[Any, ...]:
    headers = [(name, b2a_base64(value, newline=False).decode()) for name, value in message.headers]
    return (message.topic, message.key, message.value, orjson.dumps(headers).decode())


class TableConsumer:
    """Reads the topics of one group."""

    def __init__(self, database: DatabaseSettings, group: str, topics: Sequence[str]) -> None:
        self._database = database
        self._group = group
        self._topics = tuple(topics)
        self._session: psycopg.Connection[Any] | None = None
        self._places: dict[str, int] | None = None

    def poll(self, limit: int, seconds: float) -> list[Record]:
        """Read on from where this consumer is; waits for a writer when there is nothing."""
        try:
            session = self._open()
            found = self._read(session, limit)
            if not found and seconds > 0:
                for _ in session.notifies(timeout=seconds, stop_after=1):
                    pass
                found = self._read(session, limit)
        except psycopg.Error as error:
            self.close()
            raise errors.from_database(error, "reading events from the queue") from error
        return found

    def commit(self, records: Sequence[Record]) -> None:
        """Remember the last position of each topic."""
        last: dict[str, int] = {}
        for record in records:
            last[record.topic] = max(last.get(record.topic, 0), record.offset)
        try:
            session = self._open()
            for topic, position in sorted(last.items()):
                values = {"reader_group": self._group, "topic": topic, "position": position}
                session.execute(load_sql("history/queue_commit"), values)
        except psycopg.Error as error:
            self.close()
            raise errors.from_database(error, "committing a position of the queue") from error

    def lag(self) -> dict[str, int]:
        """Count what is behind the committed positions."""
        values = {"reader_group": self._group, "topics": list(self._topics)}
        try:
            rows = self._open().execute(load_sql("history/queue_lag"), values).fetchall()
        except psycopg.Error as error:
            raise errors.from_database(error, "counting events in the queue") from error
        return dict(rows)

    def close(self) -> None:
        """Close the session; what was read and not committed is read again by the next consumer."""
        if self._session is not None:
            self._session.close()
        self._session = None
        self._places = None

    def _open(self) -> psycopg.Connection[Any]:
        if self._session is None or self._session.closed:
            limits = Limits(idle_in_transaction=0)
            self._session = connect(self._database, purpose="history subscriber", limits=limits, autocommit=True)
            set_json_loads(orjson.loads, self._session)
            self._session.execute(f"LISTEN {_CHANNEL}")
            self._places = None
        return self._session

    def _read(self, session: psycopg.Connection[Any], limit: int) -> list[Record]:
        if self._places is None and not self._take_over(session):
            return []
        assert self._places is not None  # noqa: S101 - set by the line before
        found: list[Record] = []
        for topic in self._topics:
            values = {"topic": topic, "after": self._places[topic], "limit": limit - len(found)}
            rows = session.execute(load_sql("history/queue_read"), values).fetchall()
            found += [_record(topic, row) for row in rows]
            if rows:
                self._places[topic] = rows[-1][0]
        # The other topic is first next time: a long one must not keep a short one waiting.
        self._topics = (*self._topics[1:], *self._topics[:1])
        return found

    def _take_over(self, session: psycopg.Connection[Any]) -> bool:
        """Become the group's reader, if nobody is, and start at what is committed."""
        taken = session.execute(load_sql("history/queue_reader"), {"reader_group": self._group}).fetchone()
        if taken is None or not taken[0]:
            return False
        rows = session.execute(load_sql("history/queue_offsets"), {"reader_group": self._group}).fetchall()
        known = dict(rows)
        self._places = {topic: known.get(topic, 0) for topic in self._topics}
        return True


def _record(topic: str, row: tuple[Any, ...]) -> Record:
    position, key, value, headers, timestamp = row
    return Record(
        topic=topic,
        partition=0,
        offset=position,
        timestamp=timestamp,
        key=key,
        value=value,
        headers=tuple([(name, a2b_base64(content)) for name, content in headers]),
    )
