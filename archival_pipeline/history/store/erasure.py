"""Forgets one user, for good: rows go, and old events about them do not bring them back.

What stays is a fingerprint of the user's name and the ids of rows that went. Not here: forgetting by age
(``retention.py``), the engine's own history, and messages that a broker still keeps.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    import psycopg

    from archival_pipeline.history.events.model import HistoryEvent


@dataclass(frozen=True, slots=True)
class Erased:
    """How many rows went."""

    processes: int
    tasks: int


def erase_user(session: psycopg.Connection[Any], user_id: str, now: datetime) -> Erased:
    """Delete every process that the user started and every task that is assigned to them, in the transaction at work.

    Running processes go as well. What the user starts later is kept again.

    Args:
        session: of the history database.
        user_id: as the engine has it.
        now: in UTC.
    """
    # Writers hold this lock shared: none of them is between its look at the erasures and its commit.
    session.execute(load_sql("history/erasure_lock"))
    moment = now.replace(tzinfo=None)
    session.execute(load_sql("history/erasure_user"), {"fingerprint": _fingerprint(user_id), "at": moment})
    processes = session.execute(load_sql("history/erasure_processes"), {"user": user_id}).rowcount
    tasks = session.execute(load_sql("history/erasure_tasks"), {"user": user_id}).rowcount
    session.execute(load_sql("history/erasure_messages"), {"user": user_id})
    return Erased(processes, tasks)


def without_erased(session: psycopg.Connection[Any], events: Sequence[HistoryEvent]) -> list[HistoryEvent]:
    """The events without those about users or rows that were erased; takes the lock shared until the commit."""
    session.execute(load_sql("history/erasure_lock_shared"))
    users = _erased_users(session, events)
    belonging = [event for event in events if _belongs(event, users)]
    _remember(session, belonging)
    gone = _erased_entities(session, events)
    dropped = {id(event) for event in belonging}
    return [event for event in events if id(event) not in dropped and (event.kind, event.entity_id) not in gone]


def _erased_users(session: psycopg.Connection[Any], events: Iterable[HistoryEvent]) -> dict[str, datetime]:
    names = {str(name) for event in events if (name := event.values.get(event.entity.user))}
    prints = {_fingerprint(name): name for name in names}
    rows = session.execute(load_sql("history/erasure_users_among"), {"fingerprints": list(prints)}).fetchall()
    return {prints[bytes(fingerprint)]: erased_at for fingerprint, erased_at in rows}


def _belongs(event: HistoryEvent, users: dict[str, datetime]) -> bool:
    erased_at = users.get(str(event.values.get(event.entity.user)))
    started = event.values.get("startTime")
    return erased_at is not None and (started is None or isinstance(started, str) or started <= erased_at)


def _remember(session: psycopg.Connection[Any], events: Iterable[HistoryEvent]) -> None:
    """A process stays its starter's for ever; a task may go to somebody else, so its later events count."""
    ids = sorted({event.entity_id for event in events if event.kind == "process"})
    if ids:
        session.execute(load_sql("history/erasure_remember"), {"ids": ids})


def _erased_entities(session: psycopg.Connection[Any], events: Iterable[HistoryEvent]) -> set[tuple[str, str]]:
    parameters = {
        kind: list({event.entity_id for event in events if event.kind == kind}) for kind in ("process", "task")
    }
    rows = session.execute(load_sql("history/erasure_entities_among"), parameters).fetchall()
    return {(kind, entity_id) for kind, entity_id in rows}


def _fingerprint(user_id: str) -> bytes:
    return hashlib.sha256(b"history user\0" + user_id.encode()).digest()
