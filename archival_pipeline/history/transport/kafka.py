"""The transport over Kafka, on librdkafka.

The producer is idempotent and waits for all replicas; the consumer reads what is committed, from the earliest message,
and commits by hand. Not here: what the messages mean.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from archival_pipeline.history.events.records import Record
from archival_pipeline.history.transport.ports import TransportError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from confluent_kafka import Message as KafkaMessage

    from archival_pipeline.history.events.records import Message
    from archival_pipeline.settings_history import HistoryKafkaSettings

_SEND_SECONDS = 60.0
_ASK_SECONDS = 15.0
_GATHER_SECONDS = 0.05
_QUEUE_MESSAGES = 50_000
# The group has moved on without us: whoever has the partition now receives the records again, which does no harm.
_MOVED_ON = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError._ASSIGNMENT_LOST,  # noqa: SLF001 - the names of librdkafka's own errors begin like this
        KafkaError._STATE,  # noqa: SLF001
        KafkaError._NO_OFFSET,  # noqa: SLF001
    }
)


def connection_of(settings: HistoryKafkaSettings) -> dict[str, Any]:
    """The client configuration of the settings, password included: hand it to a client, never to a log."""
    configuration: dict[str, Any] = {"bootstrap.servers": settings.servers, "security.protocol": settings.protocol}
    if settings.protocol.startswith("SASL") and settings.password is not None:
        configuration |= {
            "sasl.mechanism": settings.mechanism,
            "sasl.username": settings.username,
            "sasl.password": settings.password.get_secret_value(),
        }
    if settings.ca_cert_path is not None:
        configuration["ssl.ca.location"] = str(settings.ca_cert_path)
    return configuration


def create_topics(
    connection: Mapping[str, Any], names: Sequence[str], *, partitions: int, replicas: int, keep_ms: int
) -> list[str]:
    """Create the topics that are missing, and return their names.

    Raises:
        TransportError: the brokers cannot be reached or refused.
    """
    client = AdminClient(dict(connection))
    wanted = [
        NewTopic(name, num_partitions=partitions, replication_factor=replicas, config={"retention.ms": str(keep_ms)})
        for name in names
    ]
    made = []
    for name, answer in client.create_topics(wanted, request_timeout=_ASK_SECONDS).items():
        try:
            answer.result()
            made.append(name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise _failure(f"Topic {name} could not be created", error.args[0]) from error
    return made


class KafkaProducer:
    """Sends and waits."""

    def __init__(self, connection: Mapping[str, Any]) -> None:
        self._producer = Producer(
            {
                **connection,
                "client.id": "archival-pipeline",
                "enable.idempotence": True,
                "acks": "all",
                "compression.type": "lz4",
                "linger.ms": 5,
                "queue.buffering.max.messages": _QUEUE_MESSAGES,
                "delivery.timeout.ms": int(_SEND_SECONDS * 1000),
            }
        )

    def send(self, messages: Sequence[Message]) -> None:
        """Return when all replicas in sync have every message."""
        failed: list[KafkaError] = []

        def delivered(error: KafkaError | None, _: KafkaMessage) -> None:
            if error is not None:
                failed.append(error)

        for message in messages:
            self._produce(message, delivered)
        left = self._producer.flush(_SEND_SECONDS + _ASK_SECONDS)
        if failed:
            raise _failure(f"{len(failed)} of {len(messages)} messages were not taken", failed[0])
        if left:
            raise TransportError(
                f"{left} messages were not acknowledged in time.", resolve="Check the brokers, then run it again."
            )

    def close(self) -> None:
        """Nothing is left to send after ``send``."""
        self._producer.flush(0)

    def _produce(self, message: Message, delivered: Any) -> None:
        arguments: dict[str, Any] = {"key": message.key, "value": message.value, "headers": list(message.headers)}
        try:
            while True:
                try:
                    self._producer.produce(message.topic, on_delivery=delivered, **arguments)
                except BufferError:
                    # The local queue is full: let answers arrive.
                    self._producer.poll(1.0)
                else:
                    self._producer.poll(0)
                    return
        except KafkaException as error:
            raise _failure("A message cannot be sent", error.args[0]) from error


class KafkaConsumer:
    """A member of a consumer group; joins it with the first poll."""

    def __init__(self, connection: Mapping[str, Any], group: str, topics: Sequence[str]) -> None:
        self._topics = list(topics)
        self._subscribed = False
        self._configuration = {
            **connection,
            "client.id": "archival-pipeline",
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "partition.assignment.strategy": "cooperative-sticky",
        }
        self._consumer = Consumer(self._configuration)
        # A member of the group waits with its questions while the group sorts itself: this one never joins.
        self._onlooker: Consumer | None = None

    def poll(self, limit: int, seconds: float) -> list[Record]:
        """Wait for a record, then take those that are here already; what librdkafka mends by itself is no error."""
        deadline = time.monotonic() + seconds
        try:
            if not self._subscribed:
                self._consumer.subscribe(self._topics)
                self._subscribed = True
            while True:
                first = self._consumer.poll(max(deadline - time.monotonic(), 0))
                if first is not None and (found := _good([first])):
                    break
                if time.monotonic() >= deadline:
                    return []
            rest = self._consumer.consume(limit - 1, _GATHER_SECONDS) if limit > 1 else []
        except KafkaException as error:
            raise _failure("Records cannot be read", error.args[0]) from error
        return found + _good(rest)

    def commit(self, records: Sequence[Record]) -> None:
        """Commit the place after the last record of each partition, and wait for the answer."""
        after: dict[tuple[str, int], int] = {}
        for record in records:
            place = (record.topic, record.partition)
            after[place] = max(after.get(place, 0), record.offset + 1)
        if not after:
            return
        offsets = [TopicPartition(topic, partition, offset) for (topic, partition), offset in after.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() not in _MOVED_ON:
                raise _failure("Offsets cannot be committed", error.args[0]) from error

    def lag(self) -> dict[str, int]:
        """High-water mark less committed offset, over all partitions; does not join the group."""
        try:
            if self._onlooker is None:
                self._onlooker = Consumer(self._configuration)
            return {topic: _lag_of(self._onlooker, topic) for topic in self._topics}
        except KafkaException as error:
            raise _failure("The lag cannot be read", error.args[0]) from error

    def close(self) -> None:
        """Leave the group, so that others take over at once."""
        self._consumer.close()
        if self._onlooker is not None:
            self._onlooker.close()


def _lag_of(onlooker: Consumer, topic: str) -> int:
    described = onlooker.list_topics(topic, timeout=_ASK_SECONDS).topics[topic]
    if described.error is not None and described.error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
        raise KafkaException(described.error)
    places = [TopicPartition(topic, number) for number in described.partitions]
    total = 0
    for place in onlooker.committed(places, timeout=_ASK_SECONDS) if places else []:
        low, high = onlooker.get_watermark_offsets(place, timeout=_ASK_SECONDS, cached=False)
        total += high - max(place.offset, low)
    return total


def _good(messages: Sequence[KafkaMessage]) -> list[Record]:
    for message in messages:
        fault = message.error()
        if fault is not None and not _passes(fault):
            raise _failure("Records cannot be read", fault)
    return [_record(message) for message in messages if message.error() is None]


def _passes(fault: KafkaError) -> bool:
    """Whether librdkafka goes on by itself: brokers that are away, topics that do not exist yet, end of a partition."""
    waits = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._PARTITION_EOF, KafkaError._ALL_BROKERS_DOWN)  # noqa: SLF001
    return not fault.fatal() and (fault.retriable() or fault.code() in waits)


def _record(message: KafkaMessage) -> Record:
    key = message.key()
    headers: Iterable[tuple[str, Any]] = message.headers() or []  # type: ignore[assignment]
    return Record(
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        timestamp=message.timestamp()[1],
        key=key.decode("utf-8", "replace") if isinstance(key, bytes) else key,
        value=message.value(),
        headers=tuple((name, value if isinstance(value, bytes) else b"") for name, value in headers),
    )


def _failure(what: str, fault: KafkaError) -> TransportError:
    return TransportError(
        f"{what}: {fault.name()} ({fault.str()}).",
        resolve="Check the brokers and the HISTORY_KAFKA_* settings, then run it again: nothing is lost.",
    )
