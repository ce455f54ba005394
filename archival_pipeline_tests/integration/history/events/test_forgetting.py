"""Retention by age, and erasure of one user that old events do not undo."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from archival_pipeline.database.connections import connect
from archival_pipeline.history.events.records import Message
from archival_pipeline.history.store.erasure import Erased, erase_user
from archival_pipeline.history.store.retention import Forgotten, forget_old
from archival_pipeline.history.store.writing import write
from archival_pipeline.history.transport.table import TableProducer
from archival_pipeline_tests.support.history import START, closed, process_event, rows, task_event, variable_event

if TYPE_CHECKING:
    from archival_pipeline.history.events.model import HistoryEvent
    from archival_pipeline.settings import DatabaseSettings

NOW = START.replace(tzinfo=UTC) + timedelta(days=100)


def _write(database: DatabaseSettings, *events: HistoryEvent) -> None:
    with connect(database, purpose="test") as session:
        write(session, events)


def _ids(database: DatabaseSettings) -> set[str]:
    return {row[0] for table in rows(database).values() for row in table}


def test_what_ended_before_the_limit_goes_and_what_runs_stays(history_database: DatabaseSettings) -> None:
    old, young = START, (NOW - timedelta(days=1)).replace(tzinfo=None)
    _write(
        history_database,
        process_event(1, 1, state="COMPLETED", end_time=old),
        task_event(1, 1, end_time=old),
        process_event(2, 1, state="COMPLETED", end_time=young),
        process_event(3, 1),
        task_event(3, 1, end_time=old),
        variable_event(4, 1, "excerptId", "left behind"),
        variable_event(5, int(NOW.timestamp() * 1_000_000), "excerptId", "of now"),
    )
    gone = forget_old(history_database, NOW, days=30, queue_days=7, rows=1)
    assert gone == Forgotten(processes=2, tasks=1, messages=0)
    assert _ids(history_database) == {"p2", "p3", "sign:3", "p5"}


def test_without_a_limit_only_old_messages_go(history_database: DatabaseSettings) -> None:
    _write(history_database, process_event(1, 1, state="COMPLETED", end_time=START))
    producer = TableProducer(history_database)
    with closed(producer):
        producer.send([Message("t", None, b"{}")] * 3)
    later = datetime.now(UTC) + timedelta(days=8)
    assert forget_old(history_database, later, days=None, queue_days=7) == Forgotten(0, 0, 3)
    assert _ids(history_database) == {"p1"}


def _erase(database: DatabaseSettings, user: str) -> Erased:
    with connect(database, purpose="test") as session:
        return erase_user(session, user, NOW)


def test_an_erased_user_does_not_come_back_with_old_events(history_database: DatabaseSettings) -> None:
    mine = [
        process_event(1, 1),
        task_event(1, 1, assignee="olena", end_time=START),
        variable_event(1, 2, "excerptId", "e"),
    ]
    other = [process_event(2, 1, start_user_id="taras"), task_event(2, 1, assignee="taras")]
    _write(history_database, *mine, *other)
    assert _erase(history_database, "olena") == Erased(processes=1, tasks=1)

    # Among the old events there may be some of rows that had not arrived when the user was erased.
    _write(history_database, *mine, *other, process_event(3, 1))
    _write(history_database, variable_event(3, 9, "completionResult", "late"))
    assert _ids(history_database) == {"p2", "sign:2"}


def test_what_an_erased_user_starts_later_is_kept(history_database: DatabaseSettings) -> None:
    _erase(history_database, "olena")
    later = (NOW + timedelta(days=1)).replace(tzinfo=None)
    _write(history_database, process_event(1, 1, start_time=later))
    assert _ids(history_database) == {"p1"}


def test_a_running_task_of_an_erased_user_may_become_somebody_elses(history_database: DatabaseSettings) -> None:
    _write(history_database, task_event(1, 1, assignee="olena"))
    _erase(history_database, "olena")
    _write(history_database, task_event(1, 1, assignee="olena"), task_event(1, 2, assignee="taras"))
    assert _ids(history_database) == {"sign:1"}


def test_erasure_names_nobody(history_database: DatabaseSettings) -> None:
    _write(history_database, process_event(1, 1))
    producer = TableProducer(history_database)
    with closed(producer):
        producer.send([Message("t", None, b'{"startUserId":"olena"}'), Message("t", None, b'{"startUserId":"olena2"}')])
    _erase(history_database, "olena")
    with connect(history_database, purpose="test") as session:
        left = session.execute("SELECT value FROM history_queue").fetchall()
        remembered = session.execute("SELECT * FROM history_erased_user").fetchall()
    assert left == [(b'{"startUserId":"olena2"}',)]
    assert "olena" not in str(remembered)
