"""Records that cannot be stored: put aside with the reason, and sent again when somebody asks for it.

The names of the headers are those of the platform's own dead letters. Not here: the decision that a record is dead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archival_pipeline.history.events.records import Message
from archival_pipeline.history.events.wire import OFFSET_HEADER, TIME_HEADER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archival_pipeline.history.events.records import Record
    from archival_pipeline.history.transport.ports import Consumer, Producer

SUFFIX = ".DLT"
REASON_HEADER = "kafka_dlt-exception-message"
_TOPIC_HEADER = "kafka_dlt-original-topic"
_ADDED = "kafka_dlt-"


def dead_letter(record: Record, reason: str) -> Message:
    """The message that puts a record aside.

    Args:
        record: as it came.
        reason: why it cannot be stored; holds no value of the record.
    """
    # Without a version of its own the record's first time and place order it, also when it is sent again.
    first = {
        TIME_HEADER: record.header(TIME_HEADER) or str(record.timestamp),
        OFFSET_HEADER: record.header(OFFSET_HEADER) or str(record.offset),
    }
    added = {
        **first,
        _TOPIC_HEADER: record.topic,
        "kafka_dlt-original-partition": str(record.partition),
        "kafka_dlt-original-offset": str(record.offset),
        REASON_HEADER: reason,
    }
    kept = tuple(header for header in record.headers if header[0] not in added)
    headers = kept + tuple((name, value.encode()) for name, value in added.items())
    return Message(f"{record.topic}{SUFFIX}", record.key, record.value, headers)


def replay(consumer: Consumer, producer: Producer, *, limit: int, seconds: float) -> int:
    """Send every dead letter back to where it came from, and return how many there were.

    Those that die again meanwhile are left for the next replay.

    Args:
        consumer: of the dead-letter topics, with a group of its own.
        producer: of the same transport.
        limit: records at a time.
        seconds: how long to wait for records that are said to be there.
    """
    waiting = sum(consumer.lag().values())
    sent = 0
    while sent < waiting:
        records = consumer.poll(min(limit, waiting - sent), seconds)
        if not records:
            break
        producer.send(_revived(records))
        consumer.commit(records)
        sent += len(records)
    return sent


def _revived(records: Sequence[Record]) -> list[Message]:
    return [
        Message(
            record.header(_TOPIC_HEADER) or record.topic.removesuffix(SUFFIX),
            record.key,
            record.value,
            tuple(header for header in record.headers if not header[0].startswith(_ADDED)),
        )
        for record in records
    ]
