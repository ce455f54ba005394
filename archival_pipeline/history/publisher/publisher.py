"""The publisher: one read of the engine, its changes as events, then the cursor.

Killed between any two steps, the next read publishes again what was not remembered; an event that arrives twice does
no harm, because a later version says the same or more. Not here: the pace of reads (``service.py``).
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg

from archival_pipeline import errors
from archival_pipeline.database.connections import connect
from archival_pipeline.history.events.model import HistoryEvent
from archival_pipeline.history.events.wire import encode
from archival_pipeline.history.publisher.cursor import Cursor
from archival_pipeline.history.publisher.source import Snapshot, kinds_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archival_pipeline.history.events.fields import Kind
    from archival_pipeline.history.events.wire import Topics
    from archival_pipeline.history.publisher.source import Change
    from archival_pipeline.history.transport.ports import Producer
    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline.settings_camunda import CamundaSettings
    from archival_pipeline.settings_history import HistoryLevel

# (published before, over) -> what happened, in the engine's words.
_TYPES: dict[str, dict[tuple[bool, bool], str]] = {
    "process": {(False, False): "START", (True, False): "UPDATE", (False, True): "END", (True, True): "END"},
    "task": {(False, False): "CREATE", (True, False): "UPDATE", (False, True): "COMPLETE", (True, True): "COMPLETE"},
}


@dataclass(slots=True)
class Published:
    """What one read published.

    Attributes:
        events: how many, by kind of change.
        version: of all of them.
        warnings: what an operator should know.
    """

    events: dict[str, int] = field(default_factory=dict)
    version: int = 0
    warnings: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All events."""
        return sum(self.events.values())


class Publisher:
    """Publishes the changes of one engine."""

    def __init__(
        self,
        engine: CamundaSettings,
        history: DatabaseSettings,
        producer: Producer,
        topics: Topics,
        *,
        level: HistoryLevel,
        batch_size: int,
    ) -> None:
        """Build a publisher; nothing is opened yet.

        Args:
            engine: database of the engine.
            history: database that remembers how far it was read.
            producer: takes the messages.
            topics: where they go.
            level: how much is published.
            batch_size: messages sent at a time.
        """
        self._engine = engine
        self._history = history
        self._producer = producer
        self._topics = topics
        self._level = level
        self._batch_size = batch_size

    def publish(self) -> Published:
        """Read once and publish everything that is new.

        Raises:
            BusyError: another publisher is at work on this engine.
            DatabaseError: one of the databases refused.
            TransportError: messages were not taken; the next call sends them again.
        """
        done = Published()
        kinds = kinds_of(self._level)
        if not kinds:
            return done
        try:
            with (
                closing(connect(self._engine, purpose="history publisher")) as engine,
                closing(connect(self._history, purpose="history cursor", autocommit=True)) as history,
            ):
                snapshot = Snapshot(engine, self._engine)
                cursor = Cursor(history, snapshot.moment.source)
                # First the version, then the picture: one that is older than another's must not get a newer version.
                done.version = cursor.next_version()
                engine.rollback()
                snapshot = Snapshot(engine, self._engine)
                if snapshot.moment.lacks_variables and "variable" in kinds:
                    done.warnings.append(_NO_VARIABLES)
                for kind in kinds:
                    done.events[kind] = self._publish_kind(kind, snapshot, cursor, done.version)
        except psycopg.Error as error:
            raise errors.from_database(error, "publishing the execution history") from error
        return done

    def _publish_kind(self, kind: str, snapshot: Snapshot, cursor: Cursor, version: int) -> int:
        horizon = cursor.horizon(kind, snapshot.moment)
        total = 0
        for changes in snapshot.changes(kind, horizon, self._batch_size):
            known = cursor.published(kind, changes)
            new = [change for change in changes if known.get(change.known_as) != change.row_version]
            if not new:
                continue
            events = [self._event(change, snapshot, version, known=change.known_as in known) for change in new]
            self._send(events)
            cursor.remember(kind, new)
            total += len(new)
        cursor.advance(kind, snapshot.moment, version)
        return total

    def _event(self, change: Change, snapshot: Snapshot, version: int, *, known: bool) -> HistoryEvent:
        kind: Kind = "task" if change.kind == "task" else "process"
        return HistoryEvent(
            kind=kind,
            entity_id=change.entity_id,
            values=change.values,
            version=version,
            event_type=_type_of(change, known=known),
            event_id=change.event_id(snapshot.moment.source),
        )

    def _send(self, events: Sequence[HistoryEvent]) -> None:
        self._producer.send([encode(event, self._topics) for event in events])


_NO_VARIABLES = (
    "The engine's history level is below AUDIT: it writes no history of variables, so completion results and excerpt "
    "ids cannot be published."
)


def _type_of(change: Change, *, known: bool) -> str:
    if change.kind != "variable":
        return _TYPES[change.kind][known, change.is_over]
    if all(value is None for value in change.values.values()):
        return "DELETE"
    return "UPDATE" if known else "CREATE"
