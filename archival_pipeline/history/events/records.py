"""What a transport carries: bytes with a key and headers. Not here: what the bytes mean (``wire.py``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Message:
    """Something to send."""

    topic: str
    key: str | None
    value: bytes | None
    headers: Headers = ()


class Record(NamedTuple):
    """Something received; a tuple, because thousands of them are made each second.

    Attributes:
        topic: where it was.
        partition: its partition; 0 where there are none.
        offset: its place there.
        timestamp: milliseconds since 1970, by the sender's clock.
        key: key of the entity, if the sender gave one.
        value: the payload; None for a tombstone.
        headers: names may repeat.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: str | None
    value: bytes | None
    headers: Headers = ()

    def header(self, name: str) -> str | None:
        """The last header of that name."""
        return self.texts().get(name)

    def texts(self) -> dict[str, str]:
        """The last header of each name, as text."""
        return {name: value.decode("utf-8", "replace") for name, value in self.headers}
