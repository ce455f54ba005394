"""The reading of ended processes misses none: late commits, wrong clocks, pages, kills, a database made anew.

An end may be read twice, when it was committed while something else was open or being read; twice is once.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from archival_pipeline.database.connections import connect

if TYPE_CHECKING:
    from archival_pipeline.interim.engines import Ended
    from archival_pipeline_tests.support.interim import Stage

BOTH = pytest.mark.parametrize("stage", ["jbpm", "camunda"], indirect=True)


class _KilledError(Exception):
    pass


def read(stage: Stage, page: int = 100) -> list[str]:
    """What one reading writes down for Redis, and forget it again."""
    with stage.opened() as everything:
        everything.cleanup(lambda: False).read_ended(page)
        rows = everything.books.session.execute(
            "SELECT items FROM interim_work WHERE store = 'redis' ORDER BY work_id"
        ).fetchall()
        everything.books.session.execute("TRUNCATE interim_work")
    return [item[0] for row in rows for item in row[0]]


def ended(stage: Stage, *processes: str, ago: timedelta = timedelta()) -> None:
    for process in processes:
        stage.engine.start(process)
        stage.engine.end(process, datetime.now(UTC) - ago)


@BOTH
def test_each_end_is_read_once_page_by_page_whatever_the_size(stage: Stage) -> None:
    names = [str(number) for number in range(1, 26)]
    ended(stage, *names, ago=timedelta(days=400))
    assert sorted(read(stage, page=7), key=int) == names
    assert read(stage) == []
    ended(stage, "100")
    assert read(stage, page=1) == ["100"]
    assert read(stage, page=1) == []


@BOTH
def test_many_ends_at_the_same_moment(stage: Stage) -> None:
    at = datetime.now(UTC)
    for number in range(1, 12):
        stage.engine.start(str(number))
        stage.engine.end(str(number), at)
    assert sorted(read(stage, page=2), key=int) == [str(number) for number in range(1, 12)]


@BOTH
def test_end_that_is_committed_long_after_its_time(stage: Stage) -> None:
    stage.engine.start("1")
    stage.engine.start("2")
    with connect(stage.places.engine, purpose="slow engine") as slow:
        # A savepoint around it, as some frameworks set one: the row then carries a transaction number of its own.
        slow.execute("SELECT 1")
        stage.engine.on(slow).end("1", datetime.now(UTC) - timedelta(hours=3))
        stage.engine.end("2")
        assert read(stage) == ["2"]
        slow.commit()
    assert "1" in read(stage)
    assert read(stage) == []


@BOTH
def test_clock_of_the_engine_that_runs_ahead_hides_nothing(stage: Stage) -> None:
    ended(stage, "1", ago=timedelta(days=-300))
    assert read(stage) == ["1"]
    ended(stage, "2")
    assert read(stage) == ["2"]
    assert read(stage) == []


@BOTH
def test_clock_of_the_engine_that_runs_behind_hides_nothing(stage: Stage) -> None:
    ended(stage, "1")
    assert read(stage) == ["1"]
    ended(stage, "2", ago=timedelta(hours=20))
    assert read(stage) == ["2"]


@BOTH
def test_reading_that_was_stopped_between_two_pages_goes_on(stage: Stage) -> None:
    names = [str(number) for number in range(1, 11)]
    ended(stage, *names)
    stops = iter([False, True])
    with stage.opened() as everything:
        everything.cleanup(lambda: next(stops)).read_ended(4)
    ended(stage, "11")
    assert sorted(read(stage, page=4), key=int) == [*names, "11"]
    assert read(stage) == ["11"]
    assert read(stage) == []


@BOTH
def test_reading_that_dies_before_the_commit_is_done_again(stage: Stage) -> None:
    ended(stage, "1")
    with stage.opened() as everything:
        cleanup = everything.cleanup(lambda: False)

        def queue(_store: str, _ended: list[Ended]) -> None:
            raise _KilledError

        everything.books.queue = queue  # type: ignore[method-assign, assignment]
        with pytest.raises(_KilledError):
            cleanup.read_ended(10)
    assert read(stage) == ["1"]


@BOTH
def test_other_database_is_read_from_the_beginning(stage: Stage) -> None:
    ended(stage, "1", ago=timedelta(days=30))
    assert read(stage) == ["1"]
    with stage.books() as books:
        books.session.execute('UPDATE interim_state SET content = content || \'{"identity": "1:other"}\'')
    assert read(stage) == ["1"]


@BOTH
def test_transaction_numbers_that_went_back_are_noticed(stage: Stage) -> None:
    ended(stage, "1", ago=timedelta(days=30))
    assert read(stage) == ["1"]
    with stage.books() as books:
        books.session.execute('UPDATE interim_state SET content = content || \'{"horizon": "99999999999"}\'')
    assert read(stage) == ["1"]


def test_process_that_has_an_end_but_runs_is_not_over(jbpm_stage: Stage) -> None:
    jbpm_stage.engine.start("1")
    jbpm_stage.engine.session.execute("UPDATE processinstancelog SET end_date = now() WHERE processinstanceid = 1")
    assert read(jbpm_stage) == []


@pytest.mark.parametrize(
    ("state", "over"),
    [
        ("COMPLETED", True),
        ("EXTERNALLY_TERMINATED", True),
        ("INTERNALLY_TERMINATED", True),
        ("ACTIVE", False),
        ("SUSPENDED", False),
    ],
)
def test_states_of_camunda(camunda_stage: Stage, state: str, *, over: bool) -> None:
    ended(camunda_stage, "1")
    camunda_stage.engine.session.execute("UPDATE act_hi_procinst SET state_ = %s", (state,))
    assert read(camunda_stage) == (["1"] if over else [])
