"""The publisher: every change of the engine's history arrives, whenever its transaction commits."""

from __future__ import annotations

import random
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from archival_pipeline.database.connections import connect
from archival_pipeline.errors import BusyError
from archival_pipeline.history.events.wire import decode
from archival_pipeline.history.publisher.publisher import Publisher
from archival_pipeline.history.subscriber.subscriber import Subscriber
from archival_pipeline.settings_history import HistoryLevel
from archival_pipeline_tests.support import camunda_history
from archival_pipeline_tests.support.camunda import camunda_settings
from archival_pipeline_tests.support.camunda_history import AT, Engine
from archival_pipeline_tests.support.history import TOPICS, Wires, closed, collect, columns, rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archival_pipeline.history.events.model import HistoryEvent
    from archival_pipeline.history.events.records import Message
    from archival_pipeline.history.publisher.publisher import Published
    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline_tests.conftest import DatabaseFactory

RESULT = "sys-var-process-completion-result"
EXCERPT = "sys-var-process-excerpt-id"


class Stage:
    """An engine's database and a history, with a publisher between them."""

    def __init__(self, engine: DatabaseSettings, history: DatabaseSettings, opened: ExitStack) -> None:
        self.engine, self.history = engine, history
        self.wires = Wires("table", history, None)
        self._opened = opened
        self._seen = self.wires.consumer(group="test")
        opened.callback(self._seen.close)

    def session(self) -> Engine:
        """A session of the engine that stays open for the test."""
        return Engine(self._opened.enter_context(connect(self.engine, purpose="engine")))

    def publish(self, level: HistoryLevel = HistoryLevel.AUDIT, zone: str = "UTC") -> Published:
        """One read."""
        producer = self.wires.producer()
        with closed(producer):
            return _publisher(self, producer, level=level, zone=zone).publish()

    def events(self) -> list[HistoryEvent]:
        """What was published since the last call."""
        records = collect(self._seen, 10_000, seconds=0)
        return [event for record in records if (event := decode(record, TOPICS)) is not None]

    def subscribe(self) -> None:
        """Bring the history up to date."""
        consumer, producer = self.wires.consumer(), self.wires.producer()
        with closed(consumer, producer):
            subscriber = Subscriber(self.history, consumer, producer, TOPICS, batch_size=500, sleep=lambda _: None)
            subscriber.run(stop=lambda: False, follow=False, seconds=0)


def _publisher(
    stage: Stage, producer: Any, *, level: HistoryLevel = HistoryLevel.AUDIT, zone: str = "UTC"
) -> Publisher:
    engine = camunda_settings(stage.engine, time_zone=zone)
    return Publisher(engine, stage.history, producer, TOPICS, level=level, batch_size=50)


@pytest.fixture
def stage(database_from_template: DatabaseFactory, history_database: DatabaseSettings) -> Iterator[Stage]:
    """An engine without history, and an empty history."""
    engine = database_from_template("engine's history", camunda_history.create)
    with ExitStack() as opened:
        yield Stage(engine, history_database, opened)


def test_a_life_is_told_in_the_engines_words(stage: Stage) -> None:
    engine = stage.session()
    told: list[tuple[str, str]] = []

    def step() -> None:
        engine.session.commit()
        stage.publish()
        told.extend(sorted((event.entity_id, event.event_type) for event in stage.events()))

    engine.start(1)
    engine.create_task(1)
    step()
    engine.assign(1, None)
    engine.set_state(1, "SUSPENDED")
    step()
    engine.set_variable(1, RESULT, "Approved")
    step()
    engine.set_variable(1, RESULT, None)
    engine.end_task(1)
    step()
    engine.set_state(1, "COMPLETED")
    step()
    step()

    assert told == [
        ("p1", "START"),
        ("sign:1", "CREATE"),
        ("p1", "UPDATE"),
        ("sign:1", "UPDATE"),
        ("p1", "CREATE"),
        ("p1", "DELETE"),
        ("sign:1", "COMPLETE"),
        ("p1", "END"),
    ]


def test_the_history_ends_up_as_the_engine_has_it(stage: Stage) -> None:
    engine = stage.session()
    engine.start(1)
    engine.start(2, parent=1, key="check")
    engine.create_task(2, "taras", process=2)
    engine.set_variable(2, RESULT, "Refused")
    engine.session.commit()
    stage.publish()
    engine.end_task(2, "deleted")
    engine.assign(2, None)
    engine.set_state(2, "COMPLETED")
    engine.set_state(1, "EXTERNALLY_TERMINATED")
    engine.session.commit()
    stage.publish()
    stage.subscribe()

    root = columns(stage.history, "bpm_history_process", "p1")
    assert (root["state"], root["end_time"]) == ("EXTERNALLY_TERMINATED", AT)
    assert root["completion_result"] == "Refused", "the result of a called process is the root's"
    task = columns(stage.history, "bpm_history_task", "sign:2")
    assert (task["assignee"], task["delete_reason"]) == (None, "deleted")
    assert (task["process_definition_key"], task["process_definition_name"]) == ("check", "Позика")


def test_a_transaction_that_commits_late_is_not_missed(stage: Stage) -> None:
    late, quick = stage.session(), stage.session()
    late.start("late")
    for number in range(3):
        quick.start(number)
        quick.session.commit()
        stage.publish()
    late.session.commit()
    stage.publish()
    assert sorted(event.entity_id for event in stage.events()) == ["p0", "p1", "p2", "plate"]


def test_neither_is_one_whose_change_was_made_in_a_sub_transaction(stage: Stage) -> None:
    late, quick = stage.session(), stage.session()
    late.start("top")
    with late.session.transaction():
        late.start("sub")
        quick.start(1)
        quick.session.commit()
    quick.start(2)
    quick.session.commit()
    stage.publish()
    late.session.commit()
    stage.publish()
    assert sorted(event.entity_id for event in stage.events()) == ["p1", "p2", "psub", "ptop"]


def test_a_change_by_an_older_transaction_after_a_younger_one_is_the_newer_event(stage: Stage) -> None:
    engine, older, younger = stage.session(), stage.session(), stage.session()
    engine.start(1)
    engine.start(2)
    engine.session.commit()
    older.set_state(2, "SUSPENDED")
    younger.set_state(1, "SUSPENDED")
    younger.session.commit()
    stage.publish()
    older.set_state(1, "ACTIVE")
    older.session.commit()
    stage.publish()
    stage.subscribe()
    assert columns(stage.history, "bpm_history_process", "p1")["state"] == "ACTIVE"


def test_a_rolled_back_change_is_never_published(stage: Stage) -> None:
    engine = stage.session()
    engine.start(1)
    engine.session.rollback()
    assert stage.publish().total == 0


def test_a_long_transaction_elsewhere_does_not_make_events_repeat(stage: Stage) -> None:
    long, engine = stage.session(), stage.session()
    long.session.execute("CREATE TEMP TABLE held (x int)")
    engine.start(1)
    engine.session.commit()
    assert [stage.publish().total for _ in range(3)] == [1, 0, 0]


class Failing:
    """A producer that dies before or after it sent its n-th message set."""

    def __init__(self, inner: Any, call: int, *, after: bool) -> None:
        self._inner, self._call, self._after = inner, call, after

    def send(self, messages: Sequence[Message]) -> None:
        self._call -= 1
        if self._call == 0 and not self._after:
            raise KeyboardInterrupt
        self._inner.send(messages)
        if self._call == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", [1, 2, 3])
def test_killed_while_sending_nothing_is_lost(stage: Stage, call: int, *, after: bool) -> None:
    engine = stage.session()
    for number in range(60):
        engine.start(number)
    for number in range(60):
        engine.create_task(number)
    engine.session.commit()
    producer = stage.wires.producer()
    with closed(producer), pytest.raises(KeyboardInterrupt):
        _publisher(stage, Failing(producer, call, after=after)).publish()
    stage.publish()
    stage.subscribe()
    found = rows(stage.history)
    assert (len(found["bpm_history_process"]), len(found["bpm_history_task"])) == (60, 60)


def test_levels(stage: Stage) -> None:
    engine = stage.session()
    engine.start(1)
    engine.create_task(1)
    engine.set_variable(1, EXCERPT, "e-1")
    engine.session.commit()
    assert stage.publish(HistoryLevel.NONE).events == {}
    assert stage.publish(HistoryLevel.ACTIVITY).events == {"process": 1, "task": 1}
    # What a lower level passed over is made up for when the level is raised.
    assert stage.publish(HistoryLevel.FULL).events == {"process": 0, "task": 0, "variable": 1}


def test_an_engine_without_history_of_variables_is_pointed_out(stage: Stage) -> None:
    engine = stage.session()
    engine.session.execute("UPDATE act_ge_property SET value_ = '1' WHERE name_ = 'historyLevel'")
    engine.session.commit()
    assert "below AUDIT" in stage.publish().warnings[0]
    assert stage.publish(HistoryLevel.ACTIVITY).warnings == []


def test_times_are_read_in_the_engines_zone(stage: Stage) -> None:
    engine = stage.session()
    engine.start(1)
    engine.session.commit()
    stage.publish(zone="Europe/Kyiv")
    (event,) = stage.events()
    assert event.values["startTime"] == AT.replace(hour=8)


def test_one_publisher_at_a_time(stage: Stage) -> None:
    engine = stage.session()
    engine.start(1)
    engine.session.commit()
    refused: list[BaseException] = []

    class Second:
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def send(self, messages: Sequence[Message]) -> None:
            with pytest.raises(BusyError) as caught:
                stage.publish()
            refused.append(caught.value)
            self._inner.send(messages)

    producer = stage.wires.producer()
    with closed(producer):
        _publisher(stage, Second(producer)).publish()
    assert len(refused) == 1


def test_an_engine_set_back_to_an_older_state_is_read_anew(stage: Stage) -> None:
    engine = stage.session()
    engine.start(1)
    engine.session.commit()
    stage.publish()
    with connect(stage.history, purpose="test") as session:
        session.execute("UPDATE history_cursor SET horizon = horizon + 1000000")
    assert stage.publish().events["process"] == 1
    assert stage.publish().total == 0


def test_every_change_of_many_concurrent_writers_is_published(stage: Stage) -> None:
    """Writers commit at random moments, some much later than they write, while the publisher reads all the time."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def write(writer: int) -> None:
        choose = random.Random(writer)  # noqa: S311 - drawn from a seed
        try:
            with connect(stage.engine, purpose="engine") as session:
                engine = Engine(session)
                for step in range(40):
                    number = f"{writer}-{step}"
                    engine.start(number)
                    with session.transaction():
                        engine.create_task(number)
                    if choose.random() < 0.4:
                        # Others commit and the publisher reads while this one stays open.
                        stop.wait(choose.random() / 20)
                    if choose.random() < 0.1:
                        session.rollback()
                        continue
                    session.commit()
                    engine.set_state(number, "COMPLETED")
                    engine.end_task(number)
                    session.commit()
        except BaseException as error:  # noqa: BLE001 - told by the test
            failures.append(error)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for writer in writers:
        writer.start()
    reads = 0
    while any(writer.is_alive() for writer in writers):
        stage.publish()
        reads += 1
    stage.publish()
    stage.subscribe()

    assert failures == []
    assert reads > 3
    assert _of_engine(stage.engine) == _of_history(stage.history)


def _of_engine(database: DatabaseSettings) -> Any:
    with connect(database, purpose="test") as session:
        processes = session.execute("SELECT id_, state_ FROM act_hi_procinst").fetchall()
        tasks = session.execute("SELECT act_inst_id_, end_time_ FROM act_hi_taskinst").fetchall()
    return sorted(processes), sorted(tasks, key=str)


def _of_history(database: DatabaseSettings) -> Any:
    with connect(database, purpose="test") as session:
        processes = session.execute("SELECT process_instance_id, state FROM bpm_history_process").fetchall()
        tasks = session.execute("SELECT activity_instance_id, end_time FROM bpm_history_task").fetchall()
    return sorted(processes), sorted(tasks, key=str)
