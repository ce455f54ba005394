"""The subscriber over both transports: every record counts once, whatever happens between two steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from archival_pipeline.database.connections import connect
from archival_pipeline.history.events.records import Message
from archival_pipeline.history.events.wire import encode
from archival_pipeline.history.subscriber.dead_letters import REASON_HEADER, replay
from archival_pipeline.history.subscriber.subscriber import Subscriber
from archival_pipeline_tests.support.history import (
    GROUP,
    START,
    TOPICS,
    Wires,
    closed,
    collect,
    columns,
    process_event,
    rows,
    task_event,
    variable_event,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archival_pipeline.history.events.model import HistoryEvent
    from archival_pipeline.history.subscriber.subscriber import Progress
    from archival_pipeline.settings import DatabaseSettings

STORY = [
    process_event(1, 10),
    task_event(1, 10, assignee="olena"),
    task_event(1, 20, "UPDATE"),
    process_event(2, 20),
    variable_event(1, 30, "completionResult", "Approved"),
    task_event(1, 30, "COMPLETE", end_time=START, delete_reason="completed"),
    process_event(1, 40, "END", state="COMPLETED", end_time=START),
    variable_event(2, 40, "excerptId", "e-1"),
    variable_event(2, 50, "excerptId", None),
]


class DiedError(Exception):
    """The process was killed here."""


def _send(wires: Wires, events: Sequence[HistoryEvent]) -> None:
    producer = wires.producer()
    with closed(producer):
        producer.send([encode(event, TOPICS) for event in events])


def _sleep(_: float) -> None:
    return None


def _subscribe(
    wires: Wires, database: DatabaseSettings, *, batch_size: int = 4, kind: type[Subscriber] = Subscriber
) -> Progress:
    consumer, producer = wires.consumer(), wires.producer()
    with closed(consumer, producer):
        subscriber = kind(database, consumer, producer, TOPICS, batch_size=batch_size, sleep=_sleep)
        return subscriber.run(stop=lambda: False, follow=False, seconds=0.5)


def test_a_story_ends_in_its_last_state(wires: Wires, history_database: DatabaseSettings) -> None:
    _send(wires, STORY)
    progress = _subscribe(wires, history_database)

    assert (progress.records, progress.dead) == (len(STORY), 0)
    first = columns(history_database, "bpm_history_process", "p1")
    assert (first["state"], first["end_time"], first["completion_result"]) == ("COMPLETED", START, "Approved")
    assert columns(history_database, "bpm_history_process", "p2")["excerpt_id"] is None
    task = columns(history_database, "bpm_history_task", "sign:1")
    assert (task["assignee"], task["end_time"]) == (None, START)


def test_what_was_committed_does_not_come_again(history_database: DatabaseSettings) -> None:
    wires = _table(history_database)
    _send(wires, STORY)
    _subscribe(wires, history_database)
    assert _subscribe(wires, history_database).records == 0


def _dying(step: str, moment: str, round_number: int) -> type[Subscriber]:
    """A subscriber that is killed before or after one step of one round."""

    class Dying(Subscriber):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            for owner, name in (
                (self._consumer, "poll"),
                (self, "_read"),
                (self, "_write_once"),
                (self._producer, "send"),
                (self._consumer, "commit"),
            ):
                if name == step:
                    setattr(owner, name, self._killed_at(getattr(owner, name)))
            self.calls = 0

        def _killed_at(self, original: Any) -> Any:
            def call(*arguments: Any) -> Any:
                self.calls += 1
                if self.calls == round_number and moment == "before":
                    raise DiedError
                answer = original(*arguments)
                if self.calls == round_number:
                    raise DiedError
                return answer

            return call

    return Dying


_STEPS = ("poll", "_read", "_write_once", "send", "commit")
_KILLS = [(step, moment) for step in _STEPS for moment in ("before", "after")]


def _kills() -> Iterator[Any]:
    """All of them over the table; over Kafka, where a group takes seconds to sort itself, one of them by default."""
    for step, moment in _KILLS:
        yield pytest.param("table", step, moment)
        quick = (step, moment) == ("commit", "before")
        yield pytest.param("kafka", step, moment, marks=[] if quick else [pytest.mark.slow])


@pytest.mark.parametrize(("wires", "step", "moment"), list(_kills()), indirect=["wires"])
def test_killed_between_any_two_steps_nothing_is_lost_or_counted_twice(
    wires: Wires, history_database: DatabaseSettings, step: str, moment: str
) -> None:
    poison = Message(TOPICS.process, "x", b"not json")
    producer = wires.producer()
    with closed(producer):
        producer.send([encode(STORY[0], TOPICS), poison, *(encode(event, TOPICS) for event in STORY[1:])])

    with pytest.raises(DiedError):
        _subscribe(wires, history_database, kind=_dying(step, moment, 1), batch_size=100)
    _subscribe(wires, history_database)

    first = columns(history_database, "bpm_history_process", "p1")
    assert (first["state"], first["completion_result"]) == ("COMPLETED", "Approved")
    assert len(rows(history_database)["bpm_history_process"]) == 2
    consumer = wires.consumer([f"{TOPICS.process}.DLT"], "look")
    with closed(consumer):
        dead = collect(consumer, 1, seconds=20 if wires.name == "kafka" else 0)
    assert {record.value for record in dead} == {b"not json"}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"not json", "the value is not JSON"),
        (b"[]", "the value is not a JSON object"),
        (b"{}", "processInstanceId is missing"),
        (b'{"processInstanceId":7}', "processInstanceId is not a text that can be stored"),
        (b'{"processInstanceId":"p\\u0000"}', "processInstanceId is not a text that can be stored"),
        (b'{"processInstanceId":"p","businessKey":"\\ud800"}', "businessKey is not a text that can be stored"),
        (b'{"processInstanceId":"p","startTime":"yesterday"}', "startTime is not a time such as"),
        (b'{"processInstanceId":"p","startTime":"2026-02-30T00:00:00.000Z"}', "startTime is not a time such as"),
        (b"\xff\xfe", "the value is not JSON"),
    ],
)
def test_a_record_that_cannot_be_read_is_put_aside_with_the_reason(
    history_database: DatabaseSettings, value: bytes, reason: str
) -> None:
    wires = _table(history_database)
    producer = wires.producer()
    with closed(producer):
        producer.send([Message(TOPICS.process, "x", value), encode(process_event(1, 1), TOPICS)])
    assert _subscribe(wires, history_database).dead == 1
    assert columns(history_database, "bpm_history_process", "p1")["state"] == "ACTIVE"
    consumer = wires.consumer([f"{TOPICS.process}.DLT"], "look")
    with closed(consumer):
        (letter,) = collect(consumer, 1)
    assert (letter.value, reason in (letter.header(REASON_HEADER) or "")) == (value, True)


def _table(database: DatabaseSettings) -> Wires:
    return Wires("table", database, None)


def test_a_tombstone_says_nothing(history_database: DatabaseSettings) -> None:
    wires = _table(history_database)
    producer = wires.producer()
    with closed(producer):
        producer.send([Message(TOPICS.process, "p1", None)])
    progress = _subscribe(wires, history_database)
    assert (progress.records, progress.dead, progress.rows) == (1, 0, 0)


def test_what_the_database_refuses_is_found_among_the_rest(history_database: DatabaseSettings) -> None:
    wires = _table(history_database)
    with connect(history_database, purpose="test") as session:
        session.execute("ALTER TABLE bpm_history_process ADD CHECK (business_key <> 'key-3')")
    _send(wires, [process_event(number, 1) for number in range(6)])
    progress = _subscribe(wires, history_database, batch_size=100)
    assert (progress.dead, len(rows(history_database)["bpm_history_process"])) == (1, 5)


def test_dead_letters_are_sent_again_and_count_as_they_would_have_then(
    wires: Wires, history_database: DatabaseSettings
) -> None:
    with connect(history_database, purpose="test") as session:
        session.execute("ALTER TABLE bpm_history_process ADD CONSTRAINT c CHECK (business_key <> 'old')")
    old = b'{"processInstanceId":"p1","businessKey":"old","startUserId":"olena"}'
    new = b'{"processInstanceId":"p1","businessKey":"new"}'
    producer, again = wires.producer(), wires.consumer([f"{t}.DLT" for t in TOPICS.names], f"{GROUP}-replay")
    with closed(producer, again):
        producer.send([Message(TOPICS.process, "p1", old)])
        _subscribe(wires, history_database)
        producer.send([Message(TOPICS.process, "p1", new)])
        _subscribe(wires, history_database)
        with connect(history_database, purpose="test") as session:
            session.execute("ALTER TABLE bpm_history_process DROP CONSTRAINT c")
        assert replay(again, producer, limit=10, seconds=10) == 1
        assert replay(again, producer, limit=10, seconds=1) == 0
    assert _subscribe(wires, history_database).records == 1

    found = columns(history_database, "bpm_history_process", "p1")
    assert (found["business_key"], found["start_user_id"]) == ("new", "olena")


def test_a_second_reader_of_the_table_waits_and_takes_over(history_database: DatabaseSettings) -> None:
    wires = _table(history_database)
    _send(wires, STORY)
    first, second = wires.consumer(), wires.consumer()
    with closed(second):
        with closed(first):
            taken = collect(first, len(STORY), seconds=0)
            first.commit(taken[:2])
            assert second.poll(100, 0) == []
        rest = collect(second, len(STORY) - 2, seconds=5)
    assert len(taken) == len(STORY)
    assert {(r.topic, r.offset) for r in rest} == {(r.topic, r.offset) for r in taken[2:]}


def test_a_lost_session_is_opened_again(history_database: DatabaseSettings) -> None:
    wires = _table(history_database)
    consumer, producer = wires.consumer(), wires.producer()
    with closed(consumer, producer):
        subscriber = Subscriber(history_database, consumer, producer, TOPICS, batch_size=1, sleep=_sleep)
        _send(wires, STORY[:2])
        assert subscriber.round(0) == 1
        with connect(history_database, purpose="test", autocommit=True) as session:
            session.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name LIKE '%history store' AND datname = current_database()"
            )
        assert subscriber.round(0) == 1
        subscriber.close()
    assert len(rows(history_database)["bpm_history_task"]) == 1
