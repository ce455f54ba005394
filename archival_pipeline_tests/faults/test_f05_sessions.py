"""F3, F5, F6, F7, F8: sessions that end, connections that break, answers that are lost, signals, defects."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from archival_pipeline.database.connections import connect
from archival_pipeline_tests.faults import disturbances as them
from archival_pipeline_tests.faults.crews import Memory, in_turns
from archival_pipeline_tests.faults.points import Fault
from archival_pipeline_tests.faults.roles import PASSWORD, ROLE, lend
from archival_pipeline_tests.faults.stage import JOBS, LARGE, SMALL, new_audit
from archival_pipeline_tests.faults.states import state
from archival_pipeline_tests.support.proxy import Switches, proxy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archival_pipeline_tests.faults.harness import Ended, Job
    from archival_pipeline_tests.faults.stage import Sides, Stage, Stages

MOVES = ("backup", "restore")


@pytest.mark.parametrize("side", ["primary", "backup"])
@pytest.mark.parametrize("name", MOVES)
def test_f5_i3_sessions_terminated_before_data_commits(name: str, side: Any, stages: Stages) -> None:
    stage = stages.stage(JOBS[name], SMALL)
    for number in stage.data_commits():
        _disturb(stages, stage, Fault("terminate", number=number, side=side))


@pytest.mark.parametrize("side", ["primary", "backup"])
@pytest.mark.parametrize("name", MOVES)
def test_f5_i2_sessions_terminated_in_mid_copy(name: str, side: Any, stages: Stages) -> None:
    stage = stages.stage(JOBS[name], SMALL)
    _disturb(stages, stage, Fault("terminate", match="a piece of a COPY", nth=9, side=side))


@pytest.mark.faults
@pytest.mark.timeout(6 * 3600)
@pytest.mark.parametrize("action", ["terminate primary", "terminate backup", "raise", "sigterm"])
@pytest.mark.parametrize("name", JOBS)
def test_f3_f5_disturbed_at_every_third_point(name: str, action: str, crew: Sequence[Stages]) -> None:
    stage = crew[0].stage(JOBS[name], LARGE)
    what, _, side = action.partition(" ")
    memory = Memory()

    def disturb(stages: Stages, number: int) -> bool:
        fault = Fault(what, number=number, side=side or "primary")  # type: ignore[arg-type]
        with stages.copy(stage.start) as sides:
            ended = stages.mover.run(sides, stage.job, new_audit(), fault)
            assert ended.fired
            known = memory.meet(state(sides), lambda: stage.oracle.judge(*sides))
            assert known.left.problems == [], ended.last_point
            if ended.exit == 0:
                assert stage.oracle.judge_end(*sides, stage.end) == [], ended.last_point
            elif memory.is_worth_finishing(known, number):
                _finish(stages, stage, sides)
        return True

    numbers = range(1, len(stage.points), 3)
    assert len(in_turns(crew, iter(numbers), disturb)) == len(numbers)


@pytest.mark.parametrize("action", ["sigterm", "sigint", "raise"])
def test_f3_i10_a_signal_or_defect_ends_the_run_and_the_audit_says_why(action: Any, stages: Stages) -> None:
    stage = stages.stage(JOBS["backup"], SMALL)
    for number in stage.data_commits():
        with stages.copy(stage.start) as sides:
            audit = new_audit()
            ended = stages.mover.run(sides, stage.job, audit, Fault(action, number=number))
            assert ended.exit != 0
            assert stage.oracle.judge(*sides).problems == []
            assert _last_status(sides, audit) == ("failed" if action == "raise" else "cancelled")
            _finish(stages, stage, sides)


def _disturb(stages: Stages, stage: Stage, fault: Fault) -> None:
    with stages.copy(stage.start) as sides:
        ended = stages.mover.run(sides, stage.job, new_audit(), fault)
        assert ended.fired
        assert stage.oracle.judge(*sides).problems == [], ended.last_point
        if ended.exit != 0:
            _finish(stages, stage, sides)
        assert stage.oracle.judge_end(*sides, stage.end) == [], ended.last_point


def _finish(stages: Stages, stage: Stage, sides: Sides) -> None:
    stages.run(sides, stage.job)
    assert stage.oracle.judge_end(*sides, stage.end) == []


def _last_status(sides: Sides, audit: str) -> str:
    query = "SELECT audit_status FROM process_audit_logs WHERE audit_id = %s ORDER BY id DESC LIMIT 1"
    with connect(sides[1], purpose="check") as session:
        rows = session.execute(query, [audit]).fetchall()
    return str(rows[0][0])


def _through(sides: Sides, side: str, port: int) -> Sides:
    """The same databases, one of them behind a proxy."""
    primary, backup = sides
    moved = (primary if side == "primary" else backup).model_copy(update={"port": port})
    return (moved, backup) if side == "primary" else (primary, moved)


def _run_through(
    stages: Stages, stage: Stage, sides: Sides, side: str, switches: Switches, job: Job | None = None
) -> Ended:
    target = sides[0] if side == "primary" else sides[1]
    with proxy((target.host, target.port), switches) as port:
        ended = stages.mover.run(_through(sides, side, port), job or stage.job, new_audit())
    assert switches.happened.is_set(), "the proxy had nothing to break"
    assert target.password.get_secret_value() not in json.dumps(ended.document), "F40"
    return ended


def _commits_up_to(stage: Stage, number: int, side: str) -> int:
    pattern = re.compile(rf"\d+ before {side} COMMIT$")
    return sum(1 for line in stage.points[:number] if pattern.match(line))


@pytest.mark.parametrize("name", MOVES)
def test_f7_i4_the_answer_to_a_commit_is_lost(name: str, stages: Stages) -> None:
    """Of the copy and of the deletion, so once on either side."""
    stage = stages.stage(JOBS[name], SMALL)
    assert len(stage.data_commits()) == 2
    for number in stage.data_commits():
        side = stage.points[number - 1].split(" ")[2]
        with stages.copy(stage.start) as sides:
            switches = Switches("lose answer to commit", _commits_up_to(stage, number, side))
            ended = _run_through(stages, stage, sides, side, switches)
            assert stage.oracle.judge(*sides).problems == []
            if ended.exit != 0:
                _finish(stages, stage, sides)
            assert stage.oracle.judge_end(*sides, stage.end) == []


@pytest.mark.parametrize("size", [1, 5_000, 20_000])
@pytest.mark.parametrize(("name", "side"), [("backup", "backup"), ("restore", "primary")])
def test_f6_the_connection_is_cut_in_mid_copy(name: str, side: str, size: int, stages: Stages) -> None:
    """Data flows to the server only at the destination: there the cut comes after so many bytes of COPY data."""
    stage = stages.stage(JOBS[name], SMALL)
    with stages.copy(stage.start) as sides:
        _run_through(stages, stage, sides, side, Switches("cut after bytes", size))
        assert stage.oracle.judge(*sides).problems == []
        _finish(stages, stage, sides)


@pytest.mark.parametrize(
    ("name", "side"), [("backup", "backup"), pytest.param("restore", "primary", marks=pytest.mark.faults)]
)
def test_f8_a_connection_that_passes_nothing_on_is_given_up(name: str, side: str, stages: Stages) -> None:
    """It stays open and the server is never told: the batch is copied again over another one."""
    stage = stages.stage(JOBS[name], SMALL)
    job = replace(stage.job, statement_timeout=10_000)
    with stages.copy(stage.start) as sides:
        _run_through(stages, stage, sides, side, Switches("stall after bytes", 5_000), job).require_done()
        assert stage.oracle.judge_end(*sides, stage.end) == []


@pytest.mark.parametrize("side", ["primary", "backup"])
def test_f40_a_password_that_is_changed_in_mid_run_stops_it_cleanly(side: Any, stages: Stages) -> None:
    stage = stages.stage(JOBS["backup"], SMALL)
    with stages.copy(stage.start) as sides:
        lent = lend(sides[0]), lend(sides[1])
        change = Fault("sql", match=them.COPY_BEGINS, side=side, statement=f"ALTER ROLE {ROLE} PASSWORD 'another'")
        ended_sessions = Fault("terminate", match="a piece of a COPY", later=True, side=side)
        ended = stages.mover.run(lent, stage.job, new_audit(), change, ended_sessions)
        assert ended.code in ("28P01", "57P01", "LOCK_LOST"), ended.document
        assert PASSWORD not in json.dumps(ended.document)
        assert stage.oracle.judge(*sides).problems == []
        stages.run((lend(sides[0]), lend(sides[1])), stage.job)
        assert stage.oracle.judge_end(*sides, stage.end) == []
