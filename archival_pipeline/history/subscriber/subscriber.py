"""The subscriber: records in, rows up to date, then the place in the stream.

One round: poll, decode, one transaction of the history database, dead letters, commit of the place. Killed between any
two of these, the records come again; the rows are the same after it, and at worst a dead letter is there twice.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
import tenacity

from archival_pipeline import errors
from archival_pipeline.database.connections import connect
from archival_pipeline.errors import DatabaseError, TransientDatabaseError
from archival_pipeline.history.events.wire import UnreadableError, decode
from archival_pipeline.history.store.writing import write
from archival_pipeline.history.subscriber.dead_letters import dead_letter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from archival_pipeline.history.events.model import HistoryEvent
    from archival_pipeline.history.events.records import Message, Record
    from archival_pipeline.history.events.wire import Topics
    from archival_pipeline.history.transport.ports import Consumer, Producer
    from archival_pipeline.settings import DatabaseSettings

_ATTEMPTS = 6
# What the record itself is to blame for, by class of the SQLSTATE: data that does not fit, constraints.
_RECORDS_FAULT = ("22", "23")


@contextmanager
def _uncollected() -> Iterator[None]:
    """Leave the search for cycles to the time between two rounds.

    A round makes hundreds of thousands of objects and drops them all, none of them in a cycle. The collector would
    walk over them again and again: a third of the whole work.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@dataclass(slots=True)
class Progress:
    """What a subscriber has done since it started."""

    records: int = 0
    rows: int = 0
    dead: int = 0
    batches: int = 0


class Subscriber:
    """Takes records from a consumer into the history."""

    def __init__(
        self,
        database: DatabaseSettings,
        consumer: Consumer,
        producer: Producer,
        topics: Topics,
        *,
        batch_size: int,
        sleep: Callable[[float], None],
    ) -> None:
        """Build a subscriber; nothing is opened yet.

        Args:
            database: of the history.
            consumer: of both topics.
            producer: takes the dead letters.
            topics: their names.
            batch_size: at most so many records in one transaction.
            sleep: waits before another try; may return early when the caller wants to stop.
        """
        self.progress = Progress()
        self._database = database
        self._consumer = consumer
        self._producer = producer
        self._topics = topics
        self._batch_size = batch_size
        self._sleep = sleep
        self._session: psycopg.Connection[Any] | None = None

    def run(self, *, stop: Callable[[], bool], follow: bool, seconds: float = 1.0) -> Progress:
        """Take records until told to stop or, unless ``follow``, until there are none left.

        Args:
            stop: asked before each round.
            follow: wait for more.
            seconds: how long one round waits for records.

        Raises:
            DatabaseError: the history database refused for good, or for longer than the tries last.
            TransportError: the stream cannot be read.
        """
        try:
            while not stop():
                if not self.round(seconds) and not follow and not any(self._consumer.lag().values()):
                    break
            return self.progress
        finally:
            self.close()

    def close(self) -> None:
        """Close the session; consumer and producer are their owner's."""
        if self._session is not None:
            self._session.close()

    def round(self, seconds: float) -> int:
        """One round; returns how many records it took."""
        with _uncollected():
            return self._round(seconds)

    def _round(self, seconds: float) -> int:
        records = self._consumer.poll(self._batch_size, seconds)
        if not records:
            return 0
        events, dead = self._read(records)
        rows, refused = self._store(events)
        dead += refused
        if dead:
            self._producer.send(dead)
        self._consumer.commit(records)
        self.progress.records += len(records)
        self.progress.rows += rows
        self.progress.dead += len(dead)
        self.progress.batches += 1
        return len(records)

    def _read(self, records: Sequence[Record]) -> tuple[list[tuple[Record, HistoryEvent]], list[Message]]:
        events: list[tuple[Record, HistoryEvent]] = []
        dead: list[Message] = []
        for record in records:
            try:
                event = decode(record, self._topics)
            except UnreadableError as error:
                dead.append(dead_letter(record, str(error)))
                continue
            if event is not None:
                events.append((record, event))
        return events, dead

    def _store(self, pairs: Sequence[tuple[Record, HistoryEvent]]) -> tuple[int, list[Message]]:
        """Write events in one transaction; where one of them is to blame, find it by halves and put it aside."""
        if not pairs:
            return 0, []
        try:
            return self._write([event for _, event in pairs]), []
        except DatabaseError as error:
            if not error.code.startswith(_RECORDS_FAULT):
                raise
            if len(pairs) == 1:
                return 0, [dead_letter(pairs[0][0], f"the history database answered {error.code}")]
        middle = len(pairs) // 2
        halves = [self._store(half) for half in (pairs[:middle], pairs[middle:])]
        return sum(rows for rows, _ in halves), [letter for _, dead in halves for letter in dead]

    def _write(self, events: Sequence[HistoryEvent]) -> int:
        tries = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TransientDatabaseError),
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            wait=tenacity.wait_exponential_jitter(multiplier=0.2, max=10),
            sleep=self._sleep,
            reraise=True,
        )
        return tries(self._write_once, events)

    def _write_once(self, events: Sequence[HistoryEvent]) -> int:
        doing = "writing the execution history"
        try:
            if self._session is None or self._session.closed:
                self._session = connect(self._database, purpose="history store", autocommit=True)
            with self._session.transaction():
                return write(self._session, events)
        except psycopg.Error as error:
            raise errors.from_database(error, doing) from error
