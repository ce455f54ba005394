"""F1: the mover is killed with SIGKILL at every point, then the work is run to its end. I1 to I7, I9 and I10.

F2: it is killed again while it recovers.
"""

from __future__ import annotations

import itertools
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from archival_pipeline_tests.faults import crash_table
from archival_pipeline_tests.faults.harness import KILLED
from archival_pipeline_tests.faults.points import Fault
from archival_pipeline_tests.faults.stage import JOBS, LARGE, SMALL, new_audit
from archival_pipeline_tests.faults.states import State, state
from archival_pipeline_tests.faults.tally import TALLY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archival_pipeline_tests.faults.stage import Stage, Stages
    from archival_pipeline_tests.support.oracle import Judgement

# A kill between two statements that only read leaves what a kill before the first of them leaves: the short form takes
# each point next to something lasting, and of the others one in so many.
_ONE_IN = 150
_PAIRS = {"short": 4, "long": 300}
_ONE_IN_LARGE = 25
# The next run is tried this way and that from each state that a crash left, and from one in so many of those known.
_WAYS = (True, False)
_ONE_IN_KNOWN = 20


@pytest.mark.parametrize("name", JOBS)
def test_f1_i6_killed_at_each_lasting_point_the_next_run_ends_like_an_undisturbed_one(
    name: str, stages: Stages
) -> None:
    stage = stages.stage(JOBS[name], SMALL)
    lasting = stage.lasting_points()
    chosen = sorted({*lasting, *range(_ONE_IN, len(stage.points), _ONE_IN)})
    known: dict[State, Known] = {}
    seen = [found for number in chosen if (found := _kill(stages, stage, number, known))]
    _keep(name, "short", seen, stage)
    assert len(seen) == len(chosen)


@pytest.mark.faults
@pytest.mark.timeout(6 * 3600)
@pytest.mark.parametrize("name", JOBS)
def test_f1_i6_killed_at_every_single_point(name: str, crew: Sequence[Stages]) -> None:
    stage = crew[0].stage(JOBS[name], SMALL)
    seen = _kill_at(crew, stage, itertools.count(1))
    _keep(name, "long", seen, stage)
    # A run may look once more or less what an operator asks of it: a point more or less is no matter.
    assert len(seen) >= len(stage.points) - 2


@pytest.mark.faults
@pytest.mark.timeout(6 * 3600)
@pytest.mark.parametrize("name", JOBS)
def test_f1_i6_killed_among_every_oddity(name: str, crew: Sequence[Stages]) -> None:
    """The same statements over many trees: as many points as there are states, and one in so many of the others."""
    stage = crew[0].stage(JOBS[name], LARGE)
    first = random.randrange(1, _ONE_IN_LARGE)  # noqa: S311 - printed
    print(f"\n{name}: from point {first} one in {_ONE_IN_LARGE}")
    chosen = sorted({*stage.lasting_points(), *range(first, len(stage.points), _ONE_IN_LARGE)})
    seen = _kill_at(crew, stage, iter(chosen))
    TALLY.killed(f"{name} with every oddity", len(seen), len(stage.points))
    assert len(seen) >= len(chosen) - 2


def _keep(name: str, form: str, seen: Sequence[tuple[str, Judgement]], stage: Stage) -> None:
    points = max(len(stage.points), len(seen))
    crash_table.record(name, form, seen, points)
    TALLY.killed(name, len(seen), points)


def _kill_at(crew: Sequence[Stages], stage: Stage, numbers: Iterator[int]) -> list[tuple[str, Judgement]]:
    """Kill at one point after the other until none is left or a run ends without its fault; in turns of all movers."""
    known: dict[State, Known] = {}
    guard, end = threading.Lock(), threading.Event()
    found: dict[int, tuple[str, Judgement]] = {}

    def work(stages: Stages) -> None:
        try:
            while not end.is_set():
                with guard:
                    number = next(numbers, None)
                seen = None if number is None else _kill(stages, stage, number, known)
                if number is None or seen is None:
                    break
                found[number] = seen
        finally:
            end.set()

    with ThreadPoolExecutor(len(crew)) as pool:
        for done in [pool.submit(work, stages) for stages in crew]:
            done.result()
    return [found[number] for number in sorted(found)]


@dataclass(slots=True)
class Known:
    """A state that crashes have left.

    Attributes:
        left: what was found in it.
        finished: from how many crashes that left it the next run was tried.
    """

    left: Judgement
    finished: int = 0


def _kill(stages: Stages, stage: Stage, number: int, known: dict[State, Known]) -> tuple[str, Judgement] | None:
    """Kill at one point, look, run again, look; None where the run ended before."""
    with stages.copy(stage.start) as sides:
        first = new_audit()
        ended = stages.mover.run(sides, stage.job, first, Fault("kill9", number=number))
        if not ended.fired:
            return None
        assert ended.exit == KILLED, ended.document
        where = f"killed at {ended.last_point}"
        now = state(sides)
        before = known.get(now) or known.setdefault(now, Known(stage.oracle.judge(*sides)))
        assert before.left.problems == [], where
        before.finished += 1
        # By turns, as an operator would: the job launched anew, or the dead run executed again.
        if before.finished <= len(_WAYS) or number % _ONE_IN_KNOWN == 0:
            anew = _WAYS[before.finished % len(_WAYS)]
            again = stages.run_again(sides, stage.job, first, anew=anew)
            assert again.exit == 0, (where, again.document)
            assert stage.oracle.judge_end(*sides, stage.end) == [], where
        return ended.last_point, before.left


@pytest.mark.parametrize("name", ["backup", "restore"])
def test_f2_killed_again_while_recovering(name: str, stages: Stages) -> None:
    _kill_twice(stages, stages.stage(JOBS[name], SMALL), seed=1, pairs=_PAIRS["short"])


@pytest.mark.faults
@pytest.mark.timeout(6 * 3600)
@pytest.mark.parametrize("name", JOBS)
def test_f2_killed_again_while_recovering_many_times(name: str, stages: Stages) -> None:
    _kill_twice(stages, stages.stage(JOBS[name], LARGE), seed=random.randrange(10**6), pairs=_PAIRS["long"])  # noqa: S311 - printed


def _kill_twice(stages: Stages, stage: Stage, *, seed: int, pairs: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - to be drawn again
    last = len(stage.points)
    for _ in range(pairs):
        first, second = draw.randrange(last // 4, last), draw.randrange(last // 8, last)
        story = f"seed {seed}: killed at {first}, then at {second}"
        print(f"\n{stage.job.operation} {story}")
        with stages.copy(stage.start) as sides:
            audit = new_audit()
            stages.mover.run(sides, stage.job, audit, Fault("kill9", number=first))
            assert stage.oracle.judge(*sides).problems == [], story
            stages.run_again(sides, stage.job, audit, anew=draw.random() < 0.5, faults=[Fault("kill9", number=second)])
            assert stage.oracle.judge(*sides).problems == [], story
            stages.run(sides, stage.job)
            assert stage.oracle.judge_end(*sides, stage.end) == [], story


def test_i6_running_again_changes_nothing(stages: Stages) -> None:
    for name, job in JOBS.items():
        stage = stages.stage(job, SMALL)
        with stages.copy(stage.start) as sides:
            audit = new_audit()
            stages.mover.run(sides, job, audit).require_done()
            for again in (job, None):
                stages.mover.run(sides, again, audit).require_done()
                assert stage.oracle.judge_end(*sides, stage.end) == [], name
