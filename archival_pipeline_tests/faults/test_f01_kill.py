"""F1: the mover is killed with SIGKILL at every point, then the work is run to its end. I1 to I7, I9 and I10.

F2: it is killed again while it recovers.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from archival_pipeline_tests.faults import crash_table
from archival_pipeline_tests.faults.harness import KILLED
from archival_pipeline_tests.faults.points import Fault
from archival_pipeline_tests.faults.stage import JOBS, LARGE, SMALL, new_audit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from archival_pipeline_tests.faults.stage import Stage, Stages
    from archival_pipeline_tests.support.oracle import Judgement

# A kill between two statements that only read leaves what a kill before the first of them leaves: the short form takes
# each point next to something lasting, and of the others one in so many.
_ONE_IN = 150
_PAIRS = {"short": 4, "long": 300}


@pytest.mark.parametrize("name", JOBS)
def test_f1_i6_killed_at_each_lasting_point_the_next_run_ends_like_an_undisturbed_one(
    name: str, stages: Stages
) -> None:
    stage = stages.stage(JOBS[name], SMALL)
    lasting = stage.lasting_points()
    chosen = sorted({*lasting, *range(_ONE_IN, len(stage.points), _ONE_IN)})
    seen = _kill_at_each(stages, stage, chosen)
    crash_table.record(name, "short", seen, len(stage.points))
    print(f"\n{name}: killed at {len(seen)} of {len(stage.points)} points")
    assert len(seen) == len(chosen)


@pytest.mark.faults
@pytest.mark.timeout(6 * 3600)
@pytest.mark.parametrize("name", JOBS)
def test_f1_i6_killed_at_every_single_point(name: str, stages: Stages) -> None:
    stage = stages.stage(JOBS[name], LARGE)
    seen = _kill_at_each(stages, stage, range(1, 10 * len(stage.points)))
    crash_table.record(name, "long", seen, len(stage.points))
    print(f"\n{name}: killed at all {len(seen)} points")


def _kill_at_each(stages: Stages, stage: Stage, numbers: Iterable[int]) -> list[tuple[str, Judgement]]:
    """Kill, look, run again, look; ends when a run ends without its fault."""
    seen = []
    for number in numbers:
        with stages.copy(stage.start) as sides:
            first = new_audit()
            ended = stages.mover.run(sides, stage.job, first, Fault("kill9", number=number))
            if not ended.fired:
                break
            assert ended.exit == KILLED, ended.document
            where = f"killed at {ended.last_point}"
            left = stage.oracle.judge(*sides)
            assert left.problems == [], where
            # By turns, as an operator would: the job launched anew, or the dead run executed again.
            again = stages.run_again(sides, stage.job, first, anew=bool(number % 2))
            assert again.exit == 0, (where, again.document)
            assert stage.oracle.judge_end(*sides, stage.end) == [], where
            seen.append((ended.last_point, left))
    return seen


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
