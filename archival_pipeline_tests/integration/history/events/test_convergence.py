"""Shuffled, doubled, cut and replayed streams end in the same tables as the ordered stream."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archival_pipeline.database.connections import connect
from archival_pipeline.history.events.fields import FINAL_STATES
from archival_pipeline.history.store.writing import write
from archival_pipeline_tests.support.history import START, process_event, rows, task_event, variable_event

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from archival_pipeline.history.events.model import HistoryEvent
    from archival_pipeline.settings import DatabaseSettings

_NAMES = ("completionResult", "excerptId")


@st.composite
def _story(draw: st.DrawFn) -> list[HistoryEvent]:
    """What a publisher sends about a few instances, in its order; versions grow."""
    events: list[HistoryEvent] = []
    version = 0
    over: set[int] = set()
    ended: set[int] = set()
    for _ in range(draw(st.integers(3, 25))):
        version += draw(st.integers(1, 3))
        number = draw(st.integers(1, 3))
        kind = draw(st.sampled_from(["process", "task", "variable"]))
        if kind == "variable":
            value = draw(st.one_of(st.none(), st.sampled_from(["Так", "Ні", "A", ""])))
            events.append(variable_event(number, version, draw(st.sampled_from(_NAMES)), value))
        elif kind == "process" and number not in over:
            state = draw(st.sampled_from(["ACTIVE", "SUSPENDED", *FINAL_STATES]))
            end = START + timedelta(seconds=version) if state in FINAL_STATES else None
            over |= {number} if end else set()
            events.append(process_event(number, version, "UPDATE", state=state, end_time=end))
        elif kind == "task" and number not in ended:
            done = draw(st.booleans())
            ended |= {number} if done else set()
            who = draw(st.sampled_from([None, "olena", "taras"]))
            end = START + timedelta(seconds=version) if done else None
            events.append(task_event(number, version, "UPDATE", assignee=who, end_time=end))
    return events


def _last_of_each_field(events: Sequence[HistoryEvent]) -> list[HistoryEvent]:
    """What a topic that was cut at its head still has to hold: the last word on each field."""
    last: dict[tuple[str, str, str], HistoryEvent] = {}
    for event in events:
        for name in event.values:
            last[event.kind, event.entity_id, name] = event
    kept = {id(event) for event in last.values()}
    return [event for event in events if id(event) in kept]


@given(story=_story(), data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_delivery_of_a_story_ends_like_the_ordered_one(
    history_database: DatabaseSettings, story: list[HistoryEvent], data: st.DataObject
) -> None:
    extra = data.draw(st.lists(st.sampled_from(story), max_size=10)) if story else []
    shuffled = data.draw(st.permutations([*story, *extra]))
    cut = _last_of_each_field(story)
    begun = story[: data.draw(st.integers(0, len(story)))]
    again = data.draw(st.integers(0, len(begun)))

    with closing(connect(history_database, purpose="test", autocommit=True)) as session:
        wanted = _result(session, history_database, [story])
        pieces = data.draw(st.integers(1, 5))
        assert _result(session, history_database, [shuffled[i::pieces] for i in range(pieces)]) == wanted
        assert _result(session, history_database, [data.draw(st.permutations(cut))]) == wanted
        # Cut short, then taken up from an earlier place.
        assert _result(session, history_database, [begun, story[again:]]) == wanted


def _result(session: Any, database: DatabaseSettings, batches: Sequence[Sequence[HistoryEvent]]) -> Any:
    session.execute("TRUNCATE bpm_history_process, bpm_history_task")
    for batch in batches:
        with session.transaction():
            write(session, batch)
    return rows(database)


def test_a_row_that_is_over_never_runs_again(history_database: DatabaseSettings) -> None:
    end = process_event(1, 5, "END", state="COMPLETED", end_time=START)
    stale = process_event(1, 9, "UPDATE", state="ACTIVE", business_key="late")
    with connect(history_database, purpose="test") as session:
        write(session, [end])
        write(session, [stale])
    (row,) = rows(history_database)["bpm_history_process"]
    assert ("COMPLETED" in row, START in row, "late" in row) == (True, True, True)


def test_events_before_the_start_make_a_row_that_the_start_completes(history_database: DatabaseSettings) -> None:
    with connect(history_database, purpose="test") as session:
        write(session, [variable_event(1, 7, "completionResult", "Approved")])
        write(session, [process_event(1, 3)])
    (row,) = rows(history_database)["bpm_history_process"]
    assert {"Approved", "olena", "ACTIVE"} <= {cell for cell in row if isinstance(cell, str)}


def test_writing_the_same_again_changes_no_row(history_database: DatabaseSettings) -> None:
    events = [process_event(number, 5) for number in range(10)]
    with connect(history_database, purpose="test") as session:
        assert (write(session, events), write(session, events)) == (10, 0)
