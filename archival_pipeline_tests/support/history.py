"""Events and transports for tests of the execution history."""

from __future__ import annotations

from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from confluent_kafka import Producer as RawProducer

from archival_pipeline.database import migrations
from archival_pipeline.database.connections import connect
from archival_pipeline.history.events.fields import ENTITIES, PROCESS_OWN_FIELDS, TASK_FIELDS
from archival_pipeline.history.events.model import HistoryEvent
from archival_pipeline.history.events.wire import Topics
from archival_pipeline.history.transport.kafka import KafkaConsumer, KafkaProducer
from archival_pipeline.history.transport.table import TableConsumer, TableProducer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archival_pipeline.history.events.fields import Kind, Value
    from archival_pipeline.history.transport.ports import Consumer, Producer
    from archival_pipeline.settings import DatabaseSettings

TOPICS = Topics("bpm-history-process", "bpm-history-task")
GROUP = "process-history-api"
# librdkafka's own brokers keep a member that has left until its session ends.
_IMPATIENT = {"session.timeout.ms": 4_000, "heartbeat.interval.ms": 300}
START = datetime(2026, 3, 1, 8, 30)  # noqa: DTZ001 - the store's times are UTC without saying so


def migrate(database: DatabaseSettings) -> None:
    """Builder of a history database."""
    migrations.upgrade(database, "history")


def process_event(number: int, version: int, event_type: str = "START", **values: Value) -> HistoryEvent:
    """A whole picture of a process instance; ``values`` by column name replace what is usual."""
    usual: dict[str, Value] = {
        "process_definition_id": "loan:1:d",
        "process_definition_key": "loan",
        "process_definition_name": "Позика",
        "business_key": f"key-{number}",
        "start_time": START + timedelta(minutes=number),
        "start_user_id": "olena",
        "state": "ACTIVE",
    }
    return _event("process", f"p{number}", version, event_type, PROCESS_OWN_FIELDS, {**usual, **values})


def task_event(number: int, version: int, event_type: str = "CREATE", **values: Value) -> HistoryEvent:
    """A whole picture of a task of process ``p<number>``."""
    usual: dict[str, Value] = {
        "task_definition_key": "sign",
        "task_definition_name": "Підписати",
        "process_instance_id": f"p{number}",
        "root_process_instance_id": f"p{number}",
        "process_definition_id": "loan:1:d",
        "process_definition_key": "loan",
        "process_definition_name": "Позика",
        "start_time": START + timedelta(minutes=number, seconds=1),
    }
    return _event("task", f"sign:{number}", version, event_type, TASK_FIELDS, {**usual, **values})


def variable_event(number: int, version: int, name: str, value: str | None) -> HistoryEvent:
    """One field that a system variable says."""
    kind = "UPDATE" if value is not None else "DELETE"
    return HistoryEvent("process", f"p{number}", {name: value}, version, kind, f"v{number}-{version}")


def _event(
    kind: Kind, entity_id: str, version: int, event_type: str, names: Sequence[str], columns: dict[str, Value]
) -> HistoryEvent:
    by_name = {field.name: columns.get(field.column) for field in ENTITIES[kind].fields if field.name in names}
    return HistoryEvent(kind, entity_id, by_name, version, event_type, f"{entity_id}-{version}")


def rows(database: DatabaseSettings) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in the two tables, in order of the key."""
    with connect(database, purpose="test") as session:
        return {
            entity.table: session.execute(f"SELECT * FROM {entity.table} ORDER BY 1").fetchall()  # noqa: S608
            for entity in ENTITIES.values()
        }


def columns(database: DatabaseSettings, table: str, key: str) -> dict[str, Any]:
    """One row by column name."""
    with connect(database, purpose="test") as session:
        cursor = session.execute(f"SELECT * FROM {table}")  # noqa: S608
        names = [column.name for column in cursor.description or ()]
        found = [dict(zip(names, row, strict=True)) for row in cursor if row[0] == key]
    assert len(found) == 1, f"{len(found)} rows of {key}"
    return found[0]


class Wires:
    """One transport with everything that a test needs of it."""

    def __init__(self, name: str, database: DatabaseSettings, servers: str | None) -> None:
        self.name = name
        self._database = database
        self._connection = {"bootstrap.servers": servers}

    def producer(self) -> Producer:
        """A producer that the test closes."""
        return TableProducer(self._database) if self.name == "table" else KafkaProducer(self._connection)

    def consumer(self, topics: Sequence[str] = TOPICS.names, group: str = GROUP) -> Consumer:
        """A consumer that the test closes."""
        if self.name == "table":
            return TableConsumer(self._database, group, topics)
        return KafkaConsumer(self._connection | _IMPATIENT, group, topics)


def collect(consumer: Consumer, number: int, *, seconds: float = 30) -> list[Any]:
    """Poll until so many records came; fewer come back when a round of that length brings none."""
    found: list[Any] = []
    while len(found) < number:
        records = consumer.poll(number - len(found), seconds)
        if not records:
            break
        found += records
    return found


@contextmanager
def mock_brokers() -> Iterator[str]:
    """A cluster of three brokers that librdkafka plays in this process; yields its addresses."""
    with_cluster = RawProducer({"test.mock.num.brokers": 3, "bootstrap.servers": "mock"})
    brokers = with_cluster.list_topics(timeout=10).brokers.values()
    yield ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
    with_cluster.flush(0)


def closed(*things: Any) -> closing[Any]:
    """Close several things at the end of a block."""

    class _All:
        def close(self) -> None:
            for thing in things:
                thing.close()

    return closing(_All())
