"""The whole way over a real Apache Kafka: topics, keys, groups, two subscribers, one of them killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from archival_pipeline.database.connections import connect
from archival_pipeline.history.events.wire import encode
from archival_pipeline.history.subscriber.subscriber import Subscriber
from archival_pipeline.history.transport.kafka import KafkaConsumer, KafkaProducer, create_topics
from archival_pipeline_tests.support import kafka_broker
from archival_pipeline_tests.support.history import GROUP, START, TOPICS, closed, collect, process_event, rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline.settings import DatabaseSettings

pytestmark = pytest.mark.slow
_NAMES = [*TOPICS.names, *(f"{name}.DLT" for name in TOPICS.names)]


@pytest.fixture(scope="module")
def servers() -> Iterator[str]:
    """A broker with the topics."""
    reason = kafka_broker.missing()
    if reason:
        pytest.skip(reason)
    with kafka_broker.broker() as address:
        made = create_topics({"bootstrap.servers": address}, _NAMES, partitions=4, replicas=1, keep_ms=86_400_000)
        assert sorted(made) == sorted(_NAMES)
        again = create_topics({"bootstrap.servers": address}, _NAMES, partitions=4, replicas=1, keep_ms=86_400_000)
        assert again == []
        yield address


def test_events_of_one_key_stay_in_order_and_carry_what_the_platform_reads(servers: str) -> None:
    producer = KafkaProducer({"bootstrap.servers": servers})
    consumer = KafkaConsumer({"bootstrap.servers": servers}, "look", TOPICS.names)
    with closed(producer, consumer):
        producer.send([encode(process_event(number % 3, number + 1), TOPICS) for number in range(30)])
        records = collect(consumer, 30)
        assert len(records) == 30
        for key in ("p0", "p1", "p2"):
            versions = [int(r.header("event-version")) for r in records if r.key == key]
            assert versions == sorted(versions)
        assert records[0].header("__TypeId__") == "com.epam.digital.data.platform.bphistory.model.HistoryProcess"
        consumer.commit(records)
        assert sum(consumer.lag().values()) == 0


_SUBSCRIBE = """
import sys
from archival_pipeline.cli import main
sys.argv = ["archival-pipeline", "history", "subscribe", "--follow"]
sys.exit(main())
"""


def test_a_subscriber_that_is_killed_loses_nothing(servers: str, history_database: DatabaseSettings) -> None:
    """Killed outright while it works; another takes over; SIGTERM ends that one cleanly."""
    number = 20_000
    producer = KafkaProducer({"bootstrap.servers": servers})
    with closed(producer):
        producer.send([encode(process_event(n, 1), TOPICS) for n in range(number)])
        producer.send(
            [encode(process_event(n, 2, "END", state="COMPLETED", end_time=START), TOPICS) for n in range(number)]
        )
    first = _start(servers, history_database)
    _wait_for(history_database, 1)
    first.kill()
    first.communicate()
    second = _start(servers, history_database)
    _wait_for(history_database, number)
    second.send_signal(signal.SIGTERM)
    out, _ = second.communicate(timeout=60)
    assert second.returncode == 0, out

    consumer, dead = (
        KafkaConsumer({"bootstrap.servers": servers}, GROUP, TOPICS.names),
        KafkaProducer({"bootstrap.servers": servers}),
    )
    with closed(consumer, dead):
        Subscriber(history_database, consumer, dead, TOPICS, batch_size=5_000, sleep=lambda _: None).run(
            stop=lambda: False, follow=False, seconds=5
        )
    found = rows(history_database)["bpm_history_process"]
    assert (len(found), {row[9] for row in found}) == (number, {"COMPLETED"})


def _start(servers: str, database: DatabaseSettings) -> subprocess.Popen[str]:
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | {
        "HISTORY_DB_HOST": database.host,
        "HISTORY_DB_PORT": str(database.port),
        "HISTORY_DB_USERNAME": database.username,
        "HISTORY_DB_PASSWORD": database.password.get_secret_value(),
        "HISTORY_DB_NAME": database.database,
        "HISTORY_TRANSPORT": "kafka",
        "HISTORY_KAFKA_SERVERS": servers,
        "HISTORY_BATCH_SIZE": "500",
    }
    return subprocess.Popen([sys.executable, "-c", _SUBSCRIBE], env=environment, stdout=subprocess.PIPE, text=True)


def _wait_for(database: DatabaseSettings, number: int) -> None:
    """Until so many rows are over, by the database's own clock; a subscriber that hangs ends in the test's time-out."""
    with connect(database, purpose="test", autocommit=True) as session:
        done = 0
        while done < number:
            row = session.execute(
                "SELECT count(*) FILTER (WHERE state = 'COMPLETED') + least(count(*), 1) * %s, pg_sleep(0.2)"
                " FROM bpm_history_process",
                [0 if number > 1 else 1],
            ).fetchone()
            assert row is not None
            done = row[0]
