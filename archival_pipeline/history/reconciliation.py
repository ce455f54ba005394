"""Holds the history against the engine for a range of time, and mends it from the engine.

Events may be lost: a topic was deleted, a dead letter forgotten, the history database restored. What is mended carries
a version that was drawn before the engine was read, so that whatever the publisher reads later is newer. Not here:
what the engine has cleaned away and the history keeps, which is its purpose.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from archival_pipeline import errors
from archival_pipeline.database.connections import connect
from archival_pipeline.database.sqlfiles import load_sql
from archival_pipeline.history.events.fields import ENTITIES
from archival_pipeline.history.events.model import HistoryEvent
from archival_pipeline.history.publisher.source import CHANGE_KINDS, Snapshot
from archival_pipeline.history.store.erasure import without_erased
from archival_pipeline.history.store.writing import write

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from archival_pipeline.history.events.fields import Kind
    from archival_pipeline.history.publisher.source import Change
    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline.settings_camunda import CamundaSettings

_ROWS = 2_000
_EXAMPLES = 50


@dataclass(slots=True)
class Reconciliation:
    """What was found.

    Attributes:
        checked: rows of the engine that were compared, variables included.
        missing: of them, those that the history lacked.
        different: those of which some field differed.
        repaired: rows that were made or changed.
        unknown_to_engine: running in the history, gone in the engine: their end was never heard of.
        examples: ids and field names of the first differences; never values.
    """

    checked: int = 0
    missing: int = 0
    different: int = 0
    repaired: int = 0
    unknown_to_engine: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether both sides said the same."""
        return not (self.missing or self.different or self.unknown_to_engine)

    def note(self, what: str) -> None:
        """Keep an example, if there is room."""
        if len(self.examples) < _EXAMPLES:
            self.examples.append(what)


def reconcile(
    engine: CamundaSettings,
    history: DatabaseSettings,
    started: tuple[datetime, datetime],
    *,
    repair: bool,
    rows: int = _ROWS,
) -> Reconciliation:
    """Compare everything that started in a range of time.

    Args:
        engine: database of the engine.
        history: database of the history.
        started: from the first time on and before the second; both in UTC, without zone.
        repair: write what the engine says where the history says otherwise.
        rows: compared at a time.

    Raises:
        DatabaseError: one of the databases refused.
    """
    found = Reconciliation()
    try:
        with (
            closing(connect(engine, purpose="history reconciliation")) as source,
            closing(connect(history, purpose="history reconciliation", autocommit=True)) as store,
        ):
            version = _number(store)
            snapshot = Snapshot(source, engine)
            for kind in CHANGE_KINDS:
                for changes in snapshot.changes(kind, 0, rows, started):
                    _compare(store, _events(changes, version, snapshot), found, repair=repair)
            for ids in _running(store, started, rows):
                gone = sorted(set(ids) - snapshot.known(ids))
                found.unknown_to_engine += len(gone)
                for lost in gone:
                    found.note(f"process {lost}: runs in the history, unknown to the engine")
    except psycopg.Error as error:
        raise errors.from_database(error, "reconciling the execution history") from error
    return found


def _number(store: psycopg.Connection[Any]) -> int:
    row = store.execute("SELECT (extract(EPOCH FROM clock_timestamp()) * 1000000)::bigint").fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM returns one row
    return int(row[0])


def _events(changes: Sequence[Change], version: int, snapshot: Snapshot) -> list[HistoryEvent]:
    return [
        HistoryEvent(
            "task" if change.kind == "task" else "process",
            change.entity_id,
            change.values,
            version,
            "RECONCILED",
            change.event_id(snapshot.moment.source),
        )
        for change in changes
    ]


def _compare(
    store: psycopg.Connection[Any], events: Sequence[HistoryEvent], found: Reconciliation, *, repair: bool
) -> None:
    with store.transaction():
        kept = without_erased(store, events)
        wrong = []
        for kind in ENTITIES:
            of_kind = [event for event in kept if event.kind == kind]
            stored = _stored(store, kind, [event.entity_id for event in of_kind])
            wrong += [event for event in of_kind if _differs(event, stored.get(event.entity_id), found)]
        found.checked += len(kept)
        if repair and wrong:
            found.repaired += write(store, wrong)


def _differs(event: HistoryEvent, stored: dict[str, Any] | None, found: Reconciliation) -> bool:
    if stored is None:
        found.missing += 1
        found.note(f"{event.kind} {event.entity_id}: missing")
        return True
    columns = {described.name: described.column for described in event.entity.fields}
    names = [name for name, value in event.values.items() if stored[columns[name]] != value]
    if names:
        found.different += 1
        found.note(f"{event.kind} {event.entity_id}: {', '.join(names)}")
    return bool(names)


def _stored(store: psycopg.Connection[Any], kind: Kind, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    entity = ENTITIES[kind]
    key = entity.key.column
    statement = sql.SQL("SELECT * FROM {} WHERE {} = ANY(%(ids)s::text[])").format(
        sql.Identifier(entity.table), sql.Identifier(key)
    )
    with store.cursor(row_factory=dict_row) as cursor:
        return {row[key]: row for row in cursor.execute(statement, {"ids": list(ids)})}


def _running(store: psycopg.Connection[Any], started: tuple[datetime, datetime], rows: int) -> Iterator[list[str]]:
    values = {"from": started[0], "to": started[1]}
    ids = iter([str(row[0]) for row in store.execute(load_sql("history/running_started"), values)])
    while piece := list(islice(ids, rows)):
        yield piece
