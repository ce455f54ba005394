"""Events to messages and back, in the platform's own form.

The body is the platform's JSON: every field present, null where nothing is known, times in UTC with milliseconds and
a literal Z. What the platform's messages lack travels in headers: id, type, version, and which fields the event speaks
of. A message without those headers comes from the platform's own publisher: there a null says nothing, and the
record's time stands in for the version.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from archival_pipeline.history.events.fields import ENTITIES
from archival_pipeline.history.events.model import HistoryEvent
from archival_pipeline.history.events.records import Message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archival_pipeline.history.events.fields import Entity, Field, Kind, Value
    from archival_pipeline.history.events.records import Record

TYPE_HEADER = "__TypeId__"
ID_HEADER = "event-id"
EVENT_TYPE_HEADER = "event-type"
VERSION_HEADER = "event-version"
FIELDS_HEADER = "event-fields"
# Of a message that was put aside: when and where it was first, in its topic.
TIME_HEADER = "event-first-timestamp"
OFFSET_HEADER = "event-first-offset"
_LARGEST_VERSION = 2**63 - 1
# A 64-bit number of microseconds has room for so many digits of milliseconds.
_DIGITS = 16
# PostgreSQL stores neither a zero character nor half a surrogate pair.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z?")


class UnreadableError(Exception):
    """A message that no retry makes readable; the text says why and quotes no value."""


@dataclass(frozen=True, slots=True)
class Topics:
    """Names of the two topics."""

    process: str
    task: str

    def of(self, kind: Kind) -> str:
        """The topic of a kind of rows."""
        return self.process if kind == "process" else self.task

    def kind_of(self, topic: str) -> Kind:
        """The kind of rows of a topic."""
        return "process" if topic == self.process else "task"

    @property
    def names(self) -> tuple[str, str]:
        """Both."""
        return (self.process, self.task)


def encode(event: HistoryEvent, topics: Topics) -> Message:
    """The message of an event."""
    entity = event.entity
    body: dict[str, str | None] = {entity.key.name: event.entity_id}
    body |= {described.name: _written(event.values.get(described.name)) for described in entity.fields}
    said = ",".join(described.name for described in entity.fields if described.name in event.values)
    headers = {
        TYPE_HEADER: entity.type_id,
        ID_HEADER: event.event_id,
        EVENT_TYPE_HEADER: event.event_type,
        VERSION_HEADER: str(event.version),
        FIELDS_HEADER: said,
    }
    return Message(
        topic=topics.of(event.kind),
        key=event.entity_id,
        value=orjson.dumps(body),
        headers=tuple((name, value.encode()) for name, value in headers.items()),
    )


def decode(record: Record, topics: Topics) -> HistoryEvent | None:
    """The event of a record; None for a tombstone, which says nothing.

    Raises:
        UnreadableError: the record can never be read.
    """
    if record.value is None:
        return None
    entity = ENTITIES[topics.kind_of(record.topic)]
    body, suspect = _body(record.value)
    headers = record.texts()
    entity_id = _text(entity.key, body.get(entity.key.name), suspect=suspect)
    if not entity_id:
        message = f"{entity.key.name} is missing"
        raise UnreadableError(message)
    own_version = headers.get(VERSION_HEADER)
    said = _said(headers.get(FIELDS_HEADER) or "", entity.kind) if own_version is not None else _not_null(body, entity)
    return HistoryEvent(
        kind=entity.kind,
        entity_id=entity_id,
        values={described.name: _read(described, body.get(described.name), suspect=suspect) for described in said},
        version=_version(own_version) if own_version is not None else _version_of_time(record, headers),
        event_type=headers.get(EVENT_TYPE_HEADER) or "PATCH",
        event_id=headers.get(ID_HEADER) or f"{record.topic}-{record.partition}-{record.offset}",
    )


def _body(value: bytes) -> tuple[Mapping[str, Any], bool]:
    """The document, and whether its texts may hold what cannot be stored.

    The quick reader takes UTF-8 without lone surrogates only; then an escape is the one way for such a character.
    """
    try:
        body, suspect = orjson.loads(value), b"\\u" in value
    except orjson.JSONDecodeError:
        body, suspect = _slowly(value), True
    if not isinstance(body, dict):
        message = "the value is not a JSON object"
        raise UnreadableError(message)
    return body, suspect


def _slowly(value: bytes) -> Any:
    """What the quick reader refuses and the platform's writers may send, such as a byte order mark."""
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        message = "the value is not JSON"
        raise UnreadableError(message) from error


@lru_cache(maxsize=1_024)
def _said(names: str, kind: Kind) -> tuple[Field, ...]:
    found = names.split(",")
    return tuple(described for described in ENTITIES[kind].fields if described.name in found)


def _not_null(body: Mapping[str, Any], entity: Entity) -> tuple[Field, ...]:
    return tuple(described for described in entity.fields if body.get(described.name) is not None)


def _version(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:20]) <= _LARGEST_VERSION:
        message = f"{VERSION_HEADER} is not a positive 64-bit number"
        raise UnreadableError(message)
    return int(text)


def _version_of_time(record: Record, headers: Mapping[str, str]) -> int:
    # Our versions are microseconds. Within one millisecond the offset keeps the order of the partition.
    timestamp = _number(headers.get(TIME_HEADER), record.timestamp)
    offset = _number(headers.get(OFFSET_HEADER), record.offset)
    return max(timestamp, 0) * 1000 + offset % 1000 + 1


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < _DIGITS else otherwise


def _read(described: Field, value: Any, *, suspect: bool) -> Value:
    if value is None:
        return None
    text = _text(described, value, suspect=suspect)
    return _time(described, text) if described.is_time else text


def _text(described: Field, value: Any, *, suspect: bool) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or (suspect and _UNSTORABLE.search(value)):
        message = f"{described.name} is not a text that can be stored"
        raise UnreadableError(message)
    return value


def _time(described: Field, text: str) -> datetime:
    if _TIME.fullmatch(text):
        try:
            moment = datetime.fromisoformat(text.removesuffix("Z")[:26])
            below = moment.microsecond % 1000
            return moment.replace(microsecond=moment.microsecond - below) if below else moment
        except ValueError:
            pass
    message = f"{described.name} is not a time such as 2026-01-31T23:59:59.999Z"
    raise UnreadableError(message)


def _written(value: Value) -> str | None:
    return time_text(value) if isinstance(value, datetime) else value


def time_text(moment: datetime) -> str:
    """A UTC date-time, with or without zone, as the platform writes it."""
    plain = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    return f"{plain.isoformat(timespec='milliseconds')}Z"
