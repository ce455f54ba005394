"""Lanes share the work, stop each other, and the first failure is the one that is raised."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any

import pytest

from archival_pipeline.archival.lanes import Lane, Lanes, StopSignal
from archival_pipeline.archival.ledger import Batch
from archival_pipeline.database.connections import Limits
from archival_pipeline.errors import CancelledError

if TYPE_CHECKING:
    from collections.abc import Iterator


def _lanes(number: int) -> Lanes:
    """Lanes whose work needs no session, so that none is ever opened."""
    settings: Any = None
    return Lanes([Lane(settings, "test", Limits()) for _ in range(number)], StopSignal())


@pytest.mark.parametrize("number", [1, 2, 5])
def test_every_item_is_worked_on_once(number: int) -> None:
    done: list[tuple[int, int]] = []

    _lanes(number).run(range(50), lambda _, item: [(item, item * 2)], done.append)

    assert sorted(done) == [(item, item * 2) for item in range(50)]


def test_lanes_work_at_the_same_time_and_report_in_the_callers_thread() -> None:
    together = threading.Barrier(3)
    reporters: set[str] = set()

    _lanes(3).run(
        range(3),
        lambda _, __: [together.wait(timeout=30)],
        lambda _: reporters.add(threading.current_thread().name),
    )

    assert reporters == {threading.current_thread().name}


def test_a_failure_stops_the_others_and_is_raised() -> None:
    lanes = _lanes(2)
    begun: list[int] = []

    def work(_: Lane, item: int) -> list[None]:
        begun.append(item)
        if item == 1:
            raise ValueError(item)
        if item > 1:
            lanes.signal.rest(30)
        return []

    with pytest.raises(ValueError, match="1"):
        lanes.run(range(100), work, lambda _: None)

    assert lanes.signal.is_set
    assert len(begun) < 10


def test_what_was_done_before_a_failure_is_reported() -> None:
    reported: list[int] = []

    def work(_: Lane, item: int) -> Iterator[int]:
        yield item
        yield item + 1
        raise ValueError(item)

    with pytest.raises(ValueError, match="7"):
        _lanes(1).run([7], work, reported.append)

    assert reported == [7, 8]


def test_a_report_that_fails_stops_the_work() -> None:
    lanes = _lanes(1)

    def report(item: int) -> None:
        raise ValueError(item)

    # Without an end, so that only the signal ends it.
    with pytest.raises(ValueError, match="0"):
        lanes.run(itertools.count(), lambda _, item: [item], report)

    assert lanes.signal.is_set


def test_the_first_reason_counts() -> None:
    signal = StopSignal()
    signal.check()

    signal.stop("first")
    signal.stop("second")

    with pytest.raises(CancelledError, match="first"):
        signal.check()


def test_members_are_given_to_their_trees() -> None:
    batch = Batch(1, "a", 1, 1, "planned", [5, 9], member_ids=[5, 6, 9, 7], member_roots=[5, 5, 9, 5])

    assert batch.trees() == {5: [5, 6, 7], 9: [9]}
    assert batch.expected == {}
