"""What a key of interim data says about itself: its shape, and whose it is.

The shapes are those of the engine's services. What fits none of them is ``OTHER``: somebody's free key, which is
counted and shown but never removed. Not here: reading or removing keys (``redis_store.py``, ``file_store.py``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

# Ids of Camunda (UUID or number) and of jBPM (number). No underscore: it separates the parts of a signature's key.
_ID = r"[0-9A-Za-z-]{1,64}"
_UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
INDEX = "process-instance-id:"
FILES = "process/"


class Shape(StrEnum):
    """The kinds of interim data."""

    TASK_FORM = "task form"
    START_FORM = "start form"
    EXTERNAL_START = "external start"
    SYSTEM_SIGNATURE = "system signature"
    BATCH_SIGNATURE = "batch signature"
    MESSAGE_PAYLOAD = "message payload"
    PROCESS_INDEX = "process index"
    FILE = "file"
    OTHER = "other"


STARTS = frozenset({Shape.START_FORM, Shape.EXTERNAL_START, Shape.MESSAGE_PAYLOAD})
"""Data from before the start of a process: the key names no instance, a process variable names the key."""
OF_THE_ROOT = frozenset({Shape.SYSTEM_SIGNATURE, Shape.BATCH_SIGNATURE, Shape.FILE})
"""Data that lives until the whole tree is over."""


class Parsed(NamedTuple):
    """A key that was understood.

    Attributes:
        shape: what it holds.
        owners: process instances it names; the data is needed while any of them is.
        name: the key without its keyspace.
    """

    shape: Shape
    owners: tuple[str, ...] = ()
    name: str = ""


class _Shapes:
    """Patterns of shapes, tried in one go: keys come by the hundred thousand."""

    def __init__(self, patterns: Mapping[Shape, str]) -> None:
        self._pattern = re.compile("|".join(f"(?P<{shape.name}>{one})" for shape, one in patterns.items()), re.DOTALL)
        first = self._pattern.groupindex
        self._owners = {
            shape.name: (shape, slice(first[shape.name], first[shape.name] + re.compile(one).groups))
            for shape, one in patterns.items()
        }

    def parse(self, key: str) -> Parsed:
        plain = key.isascii() and "\0" not in key
        found = self._pattern.fullmatch(key) if plain or _storable(key) else None
        if found is None or found.lastgroup is None:
            return Parsed(Shape.OTHER, (), key)
        # The group that was closed last is the one around its owners.
        shape, owners = self._owners[found.lastgroup]
        return Parsed(shape, found.groups()[owners], key)


_FORMS = _Shapes(
    {
        Shape.TASK_FORM: rf"process/({_ID})/task/[^/]+",
        Shape.START_FORM: rf"process-definition/[^/]+/start-form/{_UUID}",
        Shape.EXTERNAL_START: rf"lowcode_[^/]+_start_form_{_UUID}",
        Shape.SYSTEM_SIGNATURE: rf"lowcode_({_ID})_({_ID})_system_signature_ceph_key",
        Shape.BATCH_SIGNATURE: rf"lowcode_({_ID})_system_signature_ceph_key_[0-9]+",
        Shape.PROCESS_INDEX: rf"{INDEX}({_ID})",
    }
)
_PAYLOADS = _Shapes({Shape.MESSAGE_PAYLOAD: rf"process-definition/[^/]+/start-message/{_UUID}"})
_OBJECTS = _Shapes({Shape.FILE: rf"{FILES}({_ID})/.+"})
_OTHER = Parsed(Shape.OTHER)


def parse_form(key: str) -> Parsed:
    """Read a key of the form data, without its keyspace."""
    return _FORMS.parse(key)


def parse_payload(key: str) -> Parsed:
    """Read a key of the message payloads, without its keyspace."""
    return _PAYLOADS.parse(key)


def parse_object(key: str) -> Parsed:
    """Read a key of the bucket."""
    return _OBJECTS.parse(key)


def _storable(key: str) -> bool:
    """Whether our books can hold it: no NUL, no byte that is not UTF-8. The engine's services write neither."""
    return "\0" not in key and (key.isascii() or not any("\ud800" <= c <= "\udfff" for c in key))


@dataclass(frozen=True, slots=True)
class Keyspaces:
    """The two keyspaces of Redis: each the prefix of its keys, and the name of the set that lists them.

    Attributes:
        forms: form data and signatures.
        payloads: payloads of messages.
    """

    forms: str
    payloads: str

    def split(self, full: str) -> tuple[str, str] | None:
        """A full Redis key as keyspace and key; None if it is in neither."""
        space, colon, key = full.partition(":")
        return (space, key) if colon and key and space in (self.forms, self.payloads) else None

    def parse(self, full: str) -> Parsed:
        """Read a full Redis key."""
        parts = self.split(full)
        if parts is None:
            return _OTHER
        return parse_form(parts[1]) if parts[0] == self.forms else parse_payload(parts[1])

    def index_of(self, process_id: str) -> str:
        """The set that lists the keys of a process."""
        return f"{self.forms}:{INDEX}{process_id}"

    def start_key(self, variable: str, value: str) -> str | None:
        """The full key that a process variable names, if it is one that a start may leave."""
        space, parse = (self.forms, parse_form) if variable == START_FORM else (self.payloads, parse_payload)
        return f"{space}:{value}" if parse(value).shape in STARTS else None


START_FORM = "start_form_ceph_key"
START_PAYLOAD = "start_message_payload_storage_key"
START_VARIABLES = (START_FORM, START_PAYLOAD)
