"""The operations of the execution history, for Dagster and the command line: settings in, an answer out.

Not here: the interface that users query (``api/history``), the cleanup of the engine (``cleanup``).
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg

from archival_pipeline import errors
from archival_pipeline.database import migrations
from archival_pipeline.database.connections import connect, short_session
from archival_pipeline.history.events.wire import Topics
from archival_pipeline.history.publisher.publisher import Published, Publisher
from archival_pipeline.history.publisher.source import Snapshot
from archival_pipeline.history.reconciliation import reconcile as _reconcile
from archival_pipeline.history.store.erasure import erase_user
from archival_pipeline.history.store.retention import forget_old
from archival_pipeline.history.subscriber import dead_letters
from archival_pipeline.history.subscriber.subscriber import Subscriber
from archival_pipeline.history.transport import kafka
from archival_pipeline.history.transport.table import TableConsumer, TableProducer
from archival_pipeline.settings_camunda import load_camunda
from archival_pipeline.settings_history import (
    is_history_configured,
    load_history_database,
    load_history_kafka,
    load_history_stream,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from archival_pipeline.history.publisher.source import Moment
    from archival_pipeline.history.reconciliation import Reconciliation
    from archival_pipeline.history.store.erasure import Erased
    from archival_pipeline.history.store.retention import Forgotten
    from archival_pipeline.history.subscriber.subscriber import Progress
    from archival_pipeline.history.transport.ports import Consumer, Producer
    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline.settings_camunda import CamundaSettings
    from archival_pipeline.settings_history import HistoryStreamSettings

# A read of the engine costs a scan of its history tables: at most a tenth of the time goes into reading.
_REST = 9
_SHORTEST_REST = 1.0
_LONGEST_REST = 600.0
_REPLAY_SECONDS = 20.0
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class History:
    """The settings of the stream, and the two databases between which it runs."""

    database: DatabaseSettings
    stream: HistoryStreamSettings

    @property
    def topics(self) -> Topics:
        """Names of the topics."""
        return Topics(self.stream.process_topic, self.stream.task_topic)

    def producer(self) -> Producer:
        """A producer of the configured transport; the caller closes it."""
        if self.stream.transport == "table":
            return TableProducer(self.database)
        return kafka.KafkaProducer(kafka.connection_of(load_history_kafka()))

    def consumer(self, topics: Sequence[str], group: str) -> Consumer:
        """A consumer of the configured transport; the caller closes it."""
        if self.stream.transport == "table":
            return TableConsumer(self.database, group, topics)
        return kafka.KafkaConsumer(kafka.connection_of(load_history_kafka()), group, topics)


def is_configured() -> bool:
    """Whether there is a history database; without one every operation here is off."""
    return is_history_configured()


def load() -> History:
    """Read the settings.

    Raises:
        ConfigurationError: one message that names every missing or wrong variable.
    """
    return History(load_history_database(), load_history_stream())


def load_engine() -> CamundaSettings:
    """Read where the engine is.

    Raises:
        ConfigurationError: it is not said, or something is wrong with it.
    """
    engine = load_camunda()
    if engine is None:
        raise errors.ConfigurationError(
            "No Camunda database is configured, so there is no history to publish.",
            resolve="Set the CAMUNDA_DB_* variables as docs/configuration.md says.",
        )
    return engine


def prepare(history: History) -> list[str]:
    """Bring the history database to this release and create missing topics; returns the names of new topics."""
    migrations.upgrade(history.database, "history")
    if history.stream.transport == "table":
        return []
    settings = load_history_kafka()
    names = [*history.topics.names, *_dead_letter_topics(history)]
    return kafka.create_topics(
        kafka.connection_of(settings),
        names,
        partitions=settings.partitions,
        replicas=settings.replicas,
        keep_ms=history.stream.queue_days * _DAY_MS,
    )


def publish(
    history: History, *, follow: bool = False, wait: Callable[[float], bool], told: Callable[[Published], None]
) -> Published:
    """Publish what changed since the last time.

    Args:
        history: settings.
        follow: go on until ``wait`` says so.
        wait: rests for so many seconds; true when it is time to stop.
        told: hears of each read.

    Returns:
        The last read.
    """
    producer = history.producer()
    stream = history.stream
    publisher = Publisher(
        load_engine(), history.database, producer, history.topics, level=stream.level, batch_size=stream.batch_size
    )
    with closing(producer):
        while True:
            before = time.monotonic()
            done = publisher.publish()
            told(done)
            rest = min(max((time.monotonic() - before) * _REST, _SHORTEST_REST), _LONGEST_REST)
            if not follow or wait(rest):
                return done


def subscribe(
    history: History, *, follow: bool = False, stop: Callable[[], bool], sleep: Callable[[float], None]
) -> Progress:
    """Bring the history up to date with the stream.

    Args:
        history: settings.
        follow: wait for more until ``stop`` says so.
        stop: asked between batches.
        sleep: waits before another try.
    """
    consumer = history.consumer(history.topics.names, history.stream.group)
    producer = history.producer()
    with closing(consumer), closing(producer):
        subscriber = Subscriber(
            history.database, consumer, producer, history.topics, batch_size=history.stream.batch_size, sleep=sleep
        )
        return subscriber.run(stop=stop, follow=follow)


def lag(history: History) -> dict[str, int]:
    """How many records of each topic wait for the subscriber, and how many dead letters for a replay."""
    found: dict[str, int] = {}
    for topics, group in ((history.topics.names, history.stream.group), _dead(history)):
        consumer = history.consumer(topics, group)
        with closing(consumer):
            found |= consumer.lag()
    return found


def replay_dead_letters(history: History) -> int:
    """Send every dead letter back to its topic; returns how many there were."""
    topics, group = _dead(history)
    consumer, producer = history.consumer(topics, group), history.producer()
    with closing(consumer), closing(producer):
        return dead_letters.replay(consumer, producer, limit=history.stream.batch_size, seconds=_REPLAY_SECONDS)


def forget(history: History, now: datetime) -> Forgotten:
    """Delete what is older than the settings keep it."""
    try:
        return forget_old(
            history.database, now, days=history.stream.retention_days, queue_days=history.stream.queue_days
        )
    except psycopg.Error as error:
        raise errors.from_database(error, "deleting old history") from error


def erase(history: History, user_id: str, now: datetime) -> Erased:
    """Forget one user for good."""
    with short_session(history.database, "erasing a user", read_only=False) as session:
        return erase_user(session, user_id, now.astimezone(UTC))


def reconcile(history: History, started: tuple[datetime, datetime], *, repair: bool) -> Reconciliation:
    """Hold the history against the engine for what started in a range of time, given with zones."""
    since, until = (moment.astimezone(UTC).replace(tzinfo=None) for moment in started)
    return _reconcile(load_engine(), history.database, (since, until), repair=repair)


def moment_of_engine() -> Moment:
    """Where the engine is now: cheap enough to be asked often."""
    engine = load_engine()
    try:
        with closing(connect(engine, purpose="history sensor")) as session:
            return Snapshot(session, engine).moment
    except psycopg.Error as error:
        raise errors.from_database(error, "looking at the engine") from error


def _dead_letter_topics(history: History) -> list[str]:
    return [f"{name}{dead_letters.SUFFIX}" for name in history.topics.names]


def _dead(history: History) -> tuple[list[str], str]:
    return _dead_letter_topics(history), f"{history.stream.group}-replay"
