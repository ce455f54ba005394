"""F1: the mover is killed with SIGKILL at every point, then the work is run to its end. I1 to I7, I9 and I10.

F2: it is killed again while it recovers.
"""

from __future__ import annotations

import itertools
import random
import re
from typing import TYPE_CHECKING

import pytest

from archival_pipeline_tests.faults import crash_table
from archival_pipeline_tests.faults.crews import Memory, in_turns
from archival_pipeline_tests.faults.harness import KILLED, Job
from archival_pipeline_tests.faults.points import Fault
from archival_pipeline_tests.faults.stage import FOREST, JOBS, LARGE, SMALL, new_audit
from archival_pipeline_tests.faults.states import state
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
# So small that several of them are copied together.
_TOGETHER = {name: Job(JOBS[name].operation, JOBS[name].filters, {"batchSize": 1}) for name in ("backup", "restore")}
_ONE_IN_TOGETHER = 60


@pytest.mark.parametrize("name", JOBS)
def test_f1_i6_killed_at_each_lasting_point_the_next_run_ends_like_an_undisturbed_one(
    name: str, stages: Stages
) -> None:
    stage = stages.stage(JOBS[name], SMALL)
    lasting = stage.lasting_points()
    chosen = sorted({*lasting, *range(_ONE_IN, len(stage.points), _ONE_IN)})
    memory = Memory()
    seen = [found for number in chosen if (found := _kill(stages, stage, number, memory))]
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


@pytest.mark.parametrize("name", _TOGETHER)
def test_f1_i2_i4_killed_while_batches_are_copied_together(name: str, crew: Sequence[Stages]) -> None:
    stage = crew[0].stage(_TOGETHER[name], FOREST)
    assert max(_copied_at_a_time(stage)) > 1, "no two batches were copied together"
    chosen = sorted({*stage.lasting_points(), *range(_ONE_IN_TOGETHER, len(stage.points), _ONE_IN_TOGETHER)})
    seen = _kill_at(crew, stage, iter(chosen))
    TALLY.killed(f"{name} of batches copied together", len(seen), len(stage.points))
    assert len(seen) >= len(chosen) - 2


def _copied_at_a_time(stage: Stage) -> list[int]:
    """How many batches each transaction told the ledger of, before it committed their rows."""
    told = re.compile(r"\d+ before \w+ UPDATE archival_batch SET state = 'cop(ied|ying)'")
    transactions = itertools.groupby(stage.points, key=lambda line: line.endswith(" COMMIT"))
    return [sum(told.match(line) is not None for line in lines) for _, lines in transactions]


def _keep(name: str, form: str, seen: Sequence[tuple[str, Judgement]], stage: Stage) -> None:
    points = max(len(stage.points), len(seen))
    crash_table.record(name, form, seen, points)
    TALLY.killed(name, len(seen), points)


def _kill_at(crew: Sequence[Stages], stage: Stage, numbers: Iterator[int]) -> list[tuple[str, Judgement]]:
    """Kill at one point after the other until none is left or a run ends without its fault."""
    memory = Memory()
    return in_turns(crew, numbers, lambda stages, number: _kill(stages, stage, number, memory))


def _kill(stages: Stages, stage: Stage, number: int, memory: Memory) -> tuple[str, Judgement] | None:
    """Kill at one point, look, run again, look; None where the run ended before."""
    with stages.copy(stage.start) as sides:
        first = new_audit()
        ended = stages.mover.run(sides, stage.job, first, Fault("kill9", number=number))
        if not ended.fired:
            return None
        assert ended.exit == KILLED, ended.document
        where = f"killed at {ended.last_point}"
        before = memory.meet(state(sides), lambda: stage.oracle.judge(*sides))
        assert before.left.problems == [], where
        if memory.is_worth_finishing(before, number):
            # By turns, as an operator would: the job launched anew, or the dead run executed again.
            again = stages.run_again(sides, stage.job, first, anew=bool(before.finished % 2))
            assert again.exit == 0, (where, again.document)
            assert stage.oracle.judge_end(*sides, stage.end) == [], where
        return ended.last_point, before.left


@pytest.mark.parametrize("name", ["backup", "restore"])
def test_f2_killed_again_while_recovering(name: str, crew: Sequence[Stages]) -> None:
    _kill_twice(crew, crew[0].stage(JOBS[name], SMALL), seed=1, pairs=_PAIRS["short"])


@pytest.mark.faults
@pytest.mark.timeout(6 * 3600)
@pytest.mark.parametrize("name", JOBS)
def test_f2_killed_again_while_recovering_many_times(name: str, crew: Sequence[Stages]) -> None:
    seed = random.randrange(10**6)  # noqa: S311 - told with every failure
    _kill_twice(crew, crew[0].stage(JOBS[name], LARGE), seed=seed, pairs=_PAIRS["long"])


def _kill_twice(crew: Sequence[Stages], stage: Stage, *, seed: int, pairs: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - to be drawn again
    last = len(stage.points)

    def once(stages: Stages, pair: tuple[int, int, bool]) -> bool:
        first, second, anew = pair
        story = f"{stage.job.operation} seed {seed}: killed at {first}, then at {second}, anew {anew}"
        with stages.copy(stage.start) as sides:
            audit = new_audit()
            stages.mover.run(sides, stage.job, audit, Fault("kill9", number=first))
            assert stage.oracle.judge(*sides).problems == [], story
            stages.run_again(sides, stage.job, audit, anew=anew, faults=[Fault("kill9", number=second)])
            assert stage.oracle.judge(*sides).problems == [], story
            stages.run(sides, stage.job)
            assert stage.oracle.judge_end(*sides, stage.end) == [], story
        return True

    drawn = [
        (draw.randrange(last // 4, last), draw.randrange(last // 8, last), draw.random() < 0.5) for _ in range(pairs)
    ]
    assert len(in_turns(crew, iter(drawn), once)) == pairs


def test_i6_running_again_changes_nothing(stages: Stages) -> None:
    for name, job in JOBS.items():
        stage = stages.stage(job, SMALL)
        with stages.copy(stage.start) as sides:
            audit = new_audit()
            stages.mover.run(sides, job, audit).require_done()
            for again in (job, None):
                stages.mover.run(sides, again, audit).require_done()
                assert stage.oracle.judge_end(*sides, stage.end) == [], name
