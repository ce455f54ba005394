"""How fast batches are handed out and when no more are, on a clock that only the test moves."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archival_pipeline.archival.lanes import StopSignal
from archival_pipeline.archival.ledger import Control
from archival_pipeline.archival.pace import Pace
from archival_pipeline.errors import CancelledError

if TYPE_CHECKING:
    from collections.abc import Callable

START = datetime(2025, 6, 1, 20, tzinfo=UTC)
QUIET = Control(paused=False, pause_ms=None, stop_requested=False)
PAUSED = replace(QUIET, paused=True)


@dataclass
class World:
    """A clock, and an operator who asks things at given seconds.

    Attributes:
        now: what the clock shows.
        asked: second -> what is asked from then on.
    """

    now: datetime = START
    asked: dict[float, Control] = field(default_factory=dict)

    def clock(self) -> datetime:
        return self.now

    @property
    def seconds(self) -> float:
        return (self.now - START).total_seconds()

    def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def control(self) -> Control:
        return next((self.asked[since] for since in sorted(self.asked, reverse=True) if since <= self.seconds), QUIET)

    def pace(self, *, stop_after: float | None = None, pause_ms: int = 0, lanes: int = 1) -> Pace:
        stop_at = None if stop_after is None else START + timedelta(seconds=stop_after)
        return Pace(Signal(self.passes), self.control, pause_ms, stop_at, lanes, self.clock)


class Signal(StopSignal):
    """A signal whose rests pass on the test's clock."""

    def __init__(self, passes: Callable[[float], None]) -> None:
        super().__init__()
        self._passes = passes

    def rest(self, seconds: float) -> None:
        self._passes(seconds)


def copy_all(world: World, pace: Pace, batches: int, seconds: float) -> int:
    """Copy one batch after the other, each of so many seconds; return how many were begun."""
    begun = 0
    for some in pace.copying(range(batches)):
        begun += len(some)
        with pace.timing("copy", len(some)):
            world.passes(seconds * len(some))
    return begun


def delete_all(world: World, pace: Pace, batches: int, seconds: float) -> int:
    done = 0
    for _ in pace.deleting(range(batches)):
        done += 1
        with pace.timing("delete"):
            world.passes(seconds)
        pace.rest()
    return done


def remove_all(world: World, pace: Pace, batches: int, seconds: float) -> int:
    """Delete one batch after the other, of a bulk deletion."""
    begun = 0
    for _ in pace.removing(range(batches)):
        begun += 1
        with pace.timing("delete"):
            world.passes(seconds)
        pace.rest()
    return begun


@given(st.floats(0.1, 50), st.floats(60, 2_000), st.sampled_from([0, 500, 9_000]))
def test_a_bulk_deletion_uses_its_window_and_ends_in_it(deleting: float, window: float, pause_ms: int) -> None:
    world = World()
    pace = world.pace(stop_after=window, pause_ms=pause_ms)
    begun = remove_all(world, pace, 100_000, deleting)
    ended = world.seconds - pause_ms / 1_000
    assert ended <= window + 0.01
    assert window - ended <= deleting + pause_ms / 1_000 + 0.01
    assert begun >= 1
    assert pace.ended_because is not None


def test_without_a_limit_every_batch_gets_its_turn() -> None:
    world = World()
    pace = world.pace()
    assert copy_all(world, pace, 50, 100) == 50
    assert delete_all(world, pace, 50, 100) == 50
    assert pace.ended_because is None


def test_nothing_begins_once_the_window_has_closed() -> None:
    world = World()
    pace = world.pace(stop_after=0)
    assert copy_all(world, pace, 3, 1) == 0
    assert pace.ended_because == f"the window closes at {START.isoformat()}"


@given(
    st.integers(1, 8), st.floats(0.1, 50), st.floats(0.1, 50), st.floats(60, 2_000), st.sampled_from([0, 500, 9_000])
)
def test_what_begins_after_the_first_wave_also_ends_in_the_window(
    per_wave: int, copying: float, deleting: float, window: float, pause_ms: int
) -> None:
    world = World()
    pace = world.pace(stop_after=window, pause_ms=pause_ms)
    begun = deleted = 0
    while pace.ended_because is None:
        wave = copy_all(world, pace, per_wave, copying)
        first = begun == 0
        begun += wave
        deleted += delete_all(world, pace, wave, deleting)
        if wave and not first:
            # The rest after the last batch of a wave hurts nobody.
            assert world.seconds <= window + pause_ms / 1_000 + 1e-3
    assert deleted == begun


def test_waves_of_a_single_batch_are_measured_too() -> None:
    world = World()
    pace = world.pace(stop_after=100, lanes=2)
    waves = 0
    while copy_all(world, pace, 1, 10):
        assert delete_all(world, pace, 1, 10) == 1
        waves += 1
    # 20 seconds each: the fifth would end when the window has closed.
    assert (waves, world.seconds) == (4, 80)


def test_lanes_share_the_deletions_ahead() -> None:
    world = World()
    pace = world.pace(stop_after=50, lanes=4)
    for work in ("copy", "delete"):
        with pace.timing(work):
            world.passes(10)
    # 30 s are left: a copy and the deletion of up to four batches at a time take 20, of up to eight 30.
    assert sum(map(len, pace.copying(range(20)))) == 4


def sizes(world: World, pace: Pace, batches: int, seconds: float) -> list[int]:
    """How many batches were copied at a time, each of so many seconds."""
    taken = []
    for some in pace.copying(range(batches)):
        taken.append(len(some))
        with pace.timing("copy", len(some)):
            world.passes(seconds * len(some))
    return taken


@pytest.mark.parametrize(
    ("seconds", "taken"),
    [
        (0.3, [1, 3, 3, 3]),
        (0.4, [1] * 10),
        (20, [1] * 10),
    ],
)
def test_small_batches_are_copied_together_and_large_ones_apart(seconds: float, taken: list[int]) -> None:
    world = World()
    assert sizes(world, world.pace(), 10, seconds) == taken


def test_the_end_of_a_window_is_used_by_single_batches() -> None:
    world = World()
    pace = world.pace(stop_after=3.55)
    taken = sizes(world, pace, 100, 0.2)
    assert taken[:2] == [1, 3]
    assert taken[-1] == 1
    deleted = delete_all(world, pace, sum(taken), 0.2)
    assert deleted == sum(taken)
    assert world.seconds <= 3.55


def test_bad_luck_of_one_batch_is_forgotten() -> None:
    world = World()
    pace = world.pace(stop_after=1_000)
    with pace.timing("copy"):
        world.passes(400)
    assert copy_all(world, pace, 1, 1) == 0
    for _ in range(10):
        with pace.timing("copy"):
            world.passes(1)
    assert copy_all(world, pace, 1, 1) == 1


def test_batch_that_failed_is_not_measured() -> None:
    world = World()
    pace = world.pace(stop_after=100)

    def fail() -> None:
        with pace.timing("copy"):
            world.passes(60)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert copy_all(world, pace, 1, 1) == 1


def test_pause_waits_without_handing_out_and_goes_on() -> None:
    world = World(asked={25: PAUSED, 3_600: QUIET})
    pace = world.pace()
    began = []
    for _ in pace.copying(range(5)):
        began.append(world.seconds)
        world.passes(10)
    assert began == [0, 10, 20, 3_600, 3_610]


def test_deletions_pause_too() -> None:
    world = World(asked={5: PAUSED, 300: QUIET})
    pace = world.pace()
    began = []
    for _ in pace.deleting(range(2)):
        began.append(world.seconds)
        world.passes(10)
    assert began == [0, 300]


def test_long_pause_is_not_taken_for_a_slow_batch() -> None:
    world = World(asked={10: PAUSED, 5_000: QUIET})
    pace = world.pace(stop_after=5_100)
    assert copy_all(world, pace, 3, 10) == 3


def test_paused_operation_ends_with_its_window() -> None:
    world = World(asked={15: PAUSED})
    pace = world.pace(stop_after=600)
    copied = copy_all(world, pace, 5, 10)
    assert copied == 2
    assert world.seconds == pytest.approx(600)
    assert pace.ended_because is not None
    # Nothing is deleted behind the operator's back: the ledger has what was begun, and the next run finishes it first.
    assert delete_all(world, pace, copied, 1) == 0
    with pytest.raises(CancelledError, match="its window closed while an operator had paused it"):
        pace.signal.check()


@pytest.mark.parametrize("asked", [replace(QUIET, stop_requested=True), replace(PAUSED, stop_requested=True)])
def test_stop_hands_out_nothing_more_and_says_who_asked(asked: Control) -> None:
    world = World(asked={15: asked})
    pace = world.pace(stop_after=600)
    assert copy_all(world, pace, 5, 10) == 2
    assert delete_all(world, pace, 2, 1) == 0
    assert pace.ended_because is None
    with pytest.raises(CancelledError, match="an operator asked it to stop"):
        pace.signal.check()


def test_stop_ends_a_pause() -> None:
    world = World(asked={5: PAUSED, 60: replace(PAUSED, stop_requested=True)})
    assert copy_all(world, world.pace(), 5, 10) == 1
    assert world.seconds == pytest.approx(60, abs=1)


@pytest.mark.parametrize(
    ("launched", "asked", "rests"),
    [
        (0, None, 0),
        (1_500, None, 1.5),
        (1_500, 0, 0),
        (0, 20_000, 20),
    ],
)
def test_rest_is_what_was_launched_until_the_operator_says_otherwise(
    launched: int, asked: int | None, rests: float
) -> None:
    world = World(asked={0: replace(QUIET, pause_ms=asked)})
    world.pace(pause_ms=launched).rest()
    assert world.seconds == pytest.approx(rests)


def test_rest_in_progress_follows_the_operator() -> None:
    world = World(asked={3: replace(QUIET, pause_ms=0)})
    world.pace(pause_ms=600_000).rest()
    assert world.seconds == pytest.approx(3, abs=1)


def test_stop_ends_a_rest() -> None:
    world = World(asked={3: replace(QUIET, stop_requested=True)})
    world.pace(pause_ms=600_000).rest()
    assert world.seconds == pytest.approx(3, abs=1)
