"""F4, F17, F18: two movers at once, a mover that sleeps through its lock, what dead movers leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archival_pipeline.database.connections import connect
from archival_pipeline_tests.faults import disturbances as them
from archival_pipeline_tests.faults.points import Fault
from archival_pipeline_tests.faults.stage import BACKUP, SMALL, new_audit

if TYPE_CHECKING:
    from archival_pipeline_tests.faults.harness import Mover
    from archival_pipeline_tests.faults.stage import Sides, Stages

_LOCK_SESSIONS = (
    "SELECT pg_terminate_backend(l.pid, 5000) FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database"
    " WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database()"
)
_LOST = {"LOCK_LOST", "57P01", "08006", "08000", "55P03", "25P03"}


def test_f17_i11_a_second_mover_is_refused_and_told_whom_to_ask(stages: Stages, other_mover: Mover) -> None:
    stage = stages.stage(BACKUP, SMALL)
    with stages.copy(stage.start) as sides:
        first = new_audit()
        at_work = stages.mover.start(sides, BACKUP, first, Fault("stop", match=them.COPY_BEGINS))
        at_work.wait_until_stopped()
        second = other_mover.run(sides, BACKUP, new_audit())
        at_work.go_on()
        assert second.code == "OPERATION_IN_PROGRESS"
        assert first in _told(sides, first)
        at_work.end().require_done()
        assert stage.oracle.judge_end(*sides, stage.end) == []


def _told(sides: Sides, audit: str) -> set[str]:
    with connect(sides[1], purpose="check") as session:
        return {
            row[0] for row in session.execute("SELECT audit_id FROM archival_operation WHERE audit_id = %s", [audit])
        }


def test_f17_i11_two_movers_started_at_the_same_moment(stages: Stages, other_mover: Mover) -> None:
    stage = stages.stage(BACKUP, SMALL)
    for _ in range(5):
        with stages.copy(stage.start) as sides:
            running = [mover.start(sides, BACKUP, new_audit()) for mover in (stages.mover, other_mover)]
            ends = [run.end() for run in running]
            assert sorted({end.code for end in ends}) in (["", "OPERATION_IN_PROGRESS"], [""]), ends
            assert stage.oracle.judge_end(*sides, stage.end) == []


def _end_lock_session(sides: Sides) -> None:
    with connect(sides[1], purpose="check", autocommit=True) as session:
        assert session.execute(_LOCK_SESSIONS).fetchall() == [(True,)]


@pytest.mark.parametrize("asleep", [them.COPY_BEGINS, them.COPY_ENDED, them.DELETE_BEGINS, them.ROWS_GONE])
def test_f4_i11_a_mover_that_wakes_up_without_its_lock_writes_nothing(asleep: str, stages: Stages) -> None:
    stage = stages.stage(BACKUP, SMALL)
    with stages.copy(stage.start) as sides:
        sleeper = stages.mover.start(sides, BACKUP, new_audit(), Fault("stop", match=asleep))
        sleeper.wait_until_stopped()
        _end_lock_session(sides)
        before = stage.oracle.judge(*sides)
        sleeper.go_on()
        ended = sleeper.end()
        assert ended.code in _LOST, ended.document
        after = stage.oracle.judge(*sides)
        assert after == before if asleep != them.COPY_ENDED else after.problems == []
        stages.run(sides, BACKUP)
        assert stage.oracle.judge_end(*sides, stage.end) == []


@pytest.mark.parametrize("asleep", [them.COPY_BEGINS, them.DELETE_BEGINS])
def test_f4_i11_a_mover_that_wakes_up_after_another_did_its_work(
    asleep: str, stages: Stages, other_mover: Mover
) -> None:
    stage = stages.stage(BACKUP, SMALL)
    with stages.copy(stage.start) as sides:
        sleeper = stages.mover.start(sides, BACKUP, new_audit(), Fault("stop", match=asleep))
        sleeper.wait_until_stopped()
        _end_lock_session(sides)
        other_mover.run(sides, BACKUP, new_audit()).require_done()
        sleeper.go_on()
        assert sleeper.end().code in _LOST
        assert stage.oracle.judge_end(*sides, stage.end) == []


def test_f18_crashed_nights_leave_nothing_that_piles_up(stages: Stages) -> None:
    """Locks, prepared transactions, idle sessions, tables: after many crashes there are no more than after one."""
    stage = stages.stage(BACKUP, SMALL)
    numbers = stage.data_commits() * 3
    with stages.copy(stage.start) as sides:
        for number in numbers:
            stages.mover.run(sides, BACKUP, new_audit(), Fault("kill9", number=number))
        stages.run(sides, BACKUP)
        assert stage.oracle.judge_end(*sides, stage.end) == []
        for side in sides:
            with connect(side, purpose="check") as session:
                left = session.execute(
                    "SELECT (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND application_name LIKE 'archival-pipeline: %' AND pid <> pg_backend_pid()),"
                    " (SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()),"
                    " (SELECT count(*) FROM pg_class WHERE relname LIKE 'staging%')"
                ).fetchone()
                assert left == (0, 0, 0)
