"""What publisher and subscriber need of a transport.

Promises of both transports: what ``send`` returned from is durable; records of one key arrive in the order in which
they were sent; what was not committed arrives again; what was committed does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from archival_pipeline.errors import ArchivalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archival_pipeline.history.events.records import Message, Record


class TransportError(ArchivalError):
    """The transport could not do what was asked; nothing was lost, and another try may pass."""

    code = "HISTORY_TRANSPORT"


class Producer(Protocol):
    """Sends messages."""

    def send(self, messages: Sequence[Message]) -> None:
        """Return when every message is durable.

        Raises:
            TransportError: some may not be; send all of them again.
        """
        ...

    def close(self) -> None:
        """Free what is held."""
        ...


class Consumer(Protocol):
    """Receives records of a group's topics."""

    def poll(self, limit: int, seconds: float) -> list[Record]:
        """The next records, at most ``limit``; an empty list when none came within ``seconds``."""
        ...

    def commit(self, records: Sequence[Record]) -> None:
        """Remember that these records, and those before them, are done with."""
        ...

    def lag(self) -> dict[str, int]:
        """How many records of each topic the group has not done with."""
        ...

    def close(self) -> None:
        """Leave the group."""
        ...
