# ruff: noqa: S608 - fixed statements, put together here
"""F13 to F16, F24, F28, F29: the engine or somebody else changes things while a tree is moved."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from archival_pipeline.database.connections import connect
from archival_pipeline_tests.faults import disturbances as them
from archival_pipeline_tests.faults.harness import KILLED
from archival_pipeline_tests.faults.points import Fault
from archival_pipeline_tests.faults.stage import BACKUP, JOBS, RESTORE, SMALL, new_audit, wait_for_lock
from archival_pipeline_tests.support.checker import Checker

if TYPE_CHECKING:
    import psycopg

    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline_tests.faults.stage import Sides, Stage, Stages
    from archival_pipeline_tests.support.checker import Rows

MOMENTS = {
    "while copying": them.COPY_BEGINS,
    "before the copy commits": them.COPY_ENDED,
    "before the deletion": them.DELETE_BEGINS,
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("change", them.CHANGES)
def test_f15_f16_i3_what_the_engine_writes_meanwhile_is_never_lost(change: str, moment: str, stages: Stages) -> None:
    stage = stages.stage(BACKUP, SMALL)
    with stages.copy(stage.start) as sides:
        fault = Fault("sql", match=MOMENTS[moment], statement=them.CHANGES[change])
        ended = stages.mover.run(sides, BACKUP, new_audit(), fault).require_done()
        assert ended.fired
        assert them.lost(_changed(stages, stage, them.CHANGES[change]), them.everything(sides)) == []
        assert _is_whole_somewhere(sides, stage)
        assert them.torn(sides) == []
        if change == "active again":
            assert them.ROOT not in _pids(sides, "backup")
        else:
            stages.run(sides, BACKUP)
            assert them.lost(_changed(stages, stage, them.CHANGES[change]), them.everything(sides)) == []


@pytest.mark.parametrize("moment", ["after the locks", "after the rows are gone"])
@pytest.mark.parametrize("change", ["late log row", "late variable"])
def test_f15_i3_rows_that_come_inside_the_deleting_transaction_stay(change: str, moment: str, stages: Stages) -> None:
    stage = stages.stage(BACKUP, SMALL)
    match = them.LOCKED if moment == "after the locks" else them.ROWS_GONE
    with stages.copy(stage.start) as sides:
        fault = Fault("sql", match=match, statement=them.CHANGES[change])
        stages.mover.run(sides, BACKUP, new_audit(), fault).require_done()
        assert them.lost(_changed(stages, stage, them.CHANGES[change]), them.everything(sides)) == []


_SPOILT = f"{them.CLEANED}; {them.CHANGED_ROW}"
"""Rows vanish from a tree and others change: it must stay in both databases, quarantined."""


@pytest.mark.parametrize("change", ["late log row", "late child", "changed row", "active again"])
@pytest.mark.parametrize("crash", ["before primary COMMIT", "after primary COMMIT"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_f1_f15_i4_killed_around_a_deletion_that_leaves_a_changed_tree(
    nth: int, change: str, crash: str, stages: Stages
) -> None:
    """The two worst at once: a batch that falls apart, and a crash while its deletion commits."""
    stage = stages.stage(BACKUP, SMALL)
    statement = them.CHANGES[change]
    with stages.copy(stage.start) as sides:
        ended = stages.mover.run(sides, BACKUP, new_audit(), *_change_and_kill(statement, crash, nth))
        assert ended.fired
        assert them.missing(_changed(stages, stage, statement), them.everything(sides)) == []
        stages.run(sides, BACKUP)
        assert them.lost(_changed(stages, stage, statement), them.everything(sides)) == []
        assert not _pids(sides, "primary") & _pids(sides, "backup")


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_i10_a_tree_quarantined_around_a_crash_is_reported(nth: int, stages: Stages) -> None:
    stage = stages.stage(BACKUP, SMALL)
    with stages.copy(stage.start) as sides:
        stages.mover.run(sides, BACKUP, new_audit(), *_change_and_kill(_SPOILT, "after primary COMMIT", nth))
        stages.run(sides, BACKUP)
        doubles = _pids(sides, "primary") & _pids(sides, "backup")
        assert them.ROOT in doubles, "the tree must stay in both"
        assert doubles <= _members(sides, "quarantined")
        assert not doubles & _deleted(sides), "the ledger says that it left the primary"


def test_i10_reasons_are_written_before_the_deletion_commits(stages: Stages) -> None:
    """Who settles the batch after the crash cannot find them again."""
    stage = stages.stage(BACKUP, SMALL)
    with stages.copy(stage.start) as sides:
        change = Fault("sql", match=them.DELETE_BEGINS, statement=them.CHANGED_ROW)
        kill = Fault("kill9", match="after backup UPDATE archival_batch SET state = 'deleting'", later=True)
        dead = new_audit()
        assert stages.mover.run(sides, BACKUP, dead, change, kill).exit == KILLED
        assert _reported(sides, dead) == {them.ROOT}


def _reported(sides: Sides, audit: str) -> set[int]:
    with connect(sides[1], purpose="check") as session:
        return {row[0] for row in session.execute("SELECT root_id FROM archival_tree WHERE audit_id = %s", [audit])}


def test_i3_what_was_restored_and_is_gone_again_stays_in_the_archive(stages: Stages) -> None:
    """A primary that is set back in time between the copy and the deletion."""
    stage = stages.stage(RESTORE, SMALL)
    with stages.copy(stage.start) as sides:
        gone = f"DELETE FROM processinstancelog WHERE processinstanceid = {them.ROOT}"
        ended = stages.mover.run(sides, RESTORE, new_audit(), Fault("sql", match=them.COPY_ENDED, statement=gone))
        assert ended.fired
        assert them.ROOT in _pids(sides, "backup")


def test_i3_a_tree_that_lives_again_and_lost_rows_stays_in_both(stages: Stages) -> None:
    """Its copy has the only rows of some, and must not be taken back."""
    stage = stages.stage(BACKUP, SMALL)
    with stages.copy(stage.start) as sides:
        before = _rows_of(sides[0])
        change = Fault("sql", match=them.DELETE_BEGINS, statement=f"{them.ACTIVE_AGAIN}; {them.CLEANED}")
        assert stages.mover.run(sides, BACKUP, new_audit(), change).require_done().fired
        assert them.ROOT in _pids(sides, "primary") & _pids(sides, "backup") & _members(sides, "quarantined")
        assert (_rows_of(sides[0]), _rows_of(sides[1])) == (0, before)


def _rows_of(side: DatabaseSettings) -> int:
    query = f"SELECT count(*) FROM nodeinstancelog WHERE processinstanceid = {them.ROOT}"
    with connect(side, purpose="check") as session:
        row = session.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def _change_and_kill(statement: str, crash: str, nth: int) -> tuple[Fault, Fault]:
    change = Fault("sql", match=them.DELETE_BEGINS, statement=statement)
    return change, Fault("kill9", match=f"{crash}$", nth=nth, later=True)


def _members(sides: Sides, outcome: str) -> set[int]:
    """Instances of the trees that the ledger reports with this outcome."""
    query = (
        "SELECT p.processinstanceid FROM archival_tree AS t JOIN processinstancelog AS p"
        " ON t.root_id IN (p.processinstanceid, p.parentprocessinstanceid) WHERE t.outcome = %s"
    )
    with connect(sides[1], purpose="check") as session:
        return {row[0] for row in session.execute(query, [outcome])}


def _deleted(sides: Sides) -> set[int]:
    query = "SELECT unnest(member_ids) FROM archival_batch WHERE state = 'deleted'"
    with connect(sides[1], purpose="check") as session:
        return {row[0] for row in session.execute(query)}


def test_i3_what_the_engines_log_cleanup_removes_meanwhile_stays_in_the_archive(stages: Stages) -> None:
    stage = stages.stage(BACKUP, SMALL)
    with stages.copy(stage.start) as sides:
        cleanup = Fault("sql", match=them.DELETE_BEGINS, statement=them.CLEANED)
        assert stages.mover.run(sides, BACKUP, new_audit(), cleanup).require_done().fired
        assert stage.oracle.judge_end(*sides, stage.end) == []


@pytest.mark.parametrize("value", ["NEW.nodename := 'x'", "NEW.nodename := NULL", "RETURN NULL"])
def test_f28_f29_i7_a_destination_that_changes_rows_is_found_before_anything_is_deleted(
    value: str, stages: Stages
) -> None:
    stage = stages.stage(BACKUP, SMALL)
    trigger = (
        f"CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {value}; RETURN NEW; END$$;"
        "CREATE TRIGGER spoil BEFORE INSERT ON nodeinstancelog FOR EACH ROW EXECUTE FUNCTION spoil()"
    )
    with stages.copy(stage.start) as sides:
        fault = Fault("sql", match=them.COPY_BEGINS, side="backup", statement=trigger)
        ended = stages.mover.run(sides, BACKUP, new_audit(), fault)
        assert {report["outcome"] for report in ended.require_done().document["stayed"]} == {"quarantined"}
        judged = stage.oracle.judge(*sides)
        assert (judged.problems, judged.origin, judged.destination) == ([], "whole", "nothing")


_TAMPERING = {
    "one value": f"UPDATE nodeinstancelog SET nodename = nodename || ' ' WHERE processinstanceid = {them.ROOT}",
    "one value NULL": them.ONE_VALUE_NULL,
    "values swapped": them.SWAPPED,
    "a row gone": f"DELETE FROM nodeinstancelog WHERE processinstanceid = {them.ROOT}",
    "a row more": them.LATE_LOG_ROW,
}


@pytest.mark.parametrize("tampering", _TAMPERING)
def test_f28_i7_an_archive_that_was_changed_after_the_copy_is_found_before_the_deletion(
    tampering: str, stages: Stages
) -> None:
    stage = stages.stage(BACKUP, SMALL)
    with stages.copy(stage.start) as sides:
        fault = Fault("sql", match=them.DELETE_BEGINS, side="backup", statement=_TAMPERING[tampering])
        ended = stages.mover.run(sides, BACKUP, new_audit(), fault)
        assert ended.fired
        assert them.ROOT in _pids(sides, "primary"), "what is not in the archive as it was copied stays"
        assert them.missing(_changed(stages, stage, "SELECT"), them.everything(sides)) == []


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE nodeinstancelog ADD COLUMN extra text DEFAULT 'x'",
        "ALTER TABLE variableinstancelog ALTER COLUMN value TYPE text",
    ],
)
def test_f24_tables_that_change_during_the_run_stop_it_before_the_deletion(change: str, stages: Stages) -> None:
    stage = stages.stage(BACKUP, SMALL)
    with stages.copy(stage.start) as sides:
        fault = Fault("sql", match=them.DELETE_BEGINS, statement=change)
        ended = stages.mover.run(sides, BACKUP, new_audit(), fault)
        assert ended.code == "PREFLIGHT_FAILED", ended.document
        assert them.ROOT in _pids(sides, "primary")


@pytest.mark.parametrize("name", ["backup", pytest.param("delete", marks=pytest.mark.faults)])
@pytest.mark.parametrize("table", ["processinstancelog", "nodeinstancelog"])
def test_f13_i12_a_tree_that_the_engine_holds_is_left_and_the_others_go(table: str, name: str, stages: Stages) -> None:
    """The run waits for the lock time-out once, not for the engine."""
    stage = stages.stage(JOBS[name], SMALL)
    with stages.copy(stage.start) as sides:
        with connect(sides[0], purpose="engine") as engine:
            engine.execute(f"SELECT FROM {table} WHERE processinstanceid = {them.ROOT} FOR UPDATE")
            ended = stages.mover.run(sides, stage.job, new_audit()).require_done()
            assert [(r["root_id"], r["outcome"], r["reason"], r["error_code"]) for r in ended.document["stayed"]] == [
                (them.ROOT, "skipped", "locked", "55P03")
            ]
            judged = stage.oracle.judge(*sides)
            assert judged.problems == []
            assert judged.origin == "some trees whole, others not"
            assert them.ROOT in _pids(sides, "primary") - _pids(sides, "backup")
            engine.rollback()
        stages.run(sides, stage.job)
        assert stage.oracle.judge_end(*sides, stage.end) == []


def test_f14_a_deadlock_with_the_engine_is_tried_again(stages: Stages) -> None:
    """The engine holds a child row and wants the instance's; the mover holds the instance and wants the child."""
    stage = stages.stage(BACKUP, SMALL)
    with stages.copy(stage.start) as sides, connect(sides[0], purpose="engine") as engine:
        # The engine looks for deadlocks so late that the mover is the one that is given up.
        engine.execute("SET LOCAL lock_timeout = 0; SET LOCAL deadlock_timeout = '10min'")
        engine.execute(f"SELECT FROM nodeinstancelog WHERE processinstanceid = {them.ROOT} FOR UPDATE")
        running = stages.mover.start(sides, BACKUP, new_audit(), Fault("stop", match=them.LOCKED))
        running.wait_until_stopped()
        with ThreadPoolExecutor(1) as pool:
            wants = pool.submit(_take_instance_and_commit, engine)
            wait_for_lock(sides[0], engine.info.backend_pid)
            running.go_on()
            ended = running.end()
            wants.result()
        assert ended.require_done().document["stayed"] == []
        assert _deadlocks(sides) == 1
        assert stage.oracle.judge_end(*sides, stage.end) == []


def _take_instance_and_commit(engine: psycopg.Connection[Any]) -> None:
    engine.execute(f"SELECT FROM processinstancelog WHERE processinstanceid = {them.ROOT} FOR UPDATE")
    engine.commit()


def _deadlocks(sides: Sides) -> int:
    with connect(sides[0], purpose="check", autocommit=True) as session:
        # A session reports its numbers when it ends, at the latest.
        session.execute("SELECT pg_stat_force_next_flush()")
        row = session.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    assert row is not None
    return int(row[0])


def _changed(stages: Stages, stage: Stage, statement: str) -> Rows:
    """All rows as they would be had only the engine been at work."""
    with stages.copy(stage.start) as sides:
        with connect(sides[0], purpose="engine") as engine:
            engine.execute(statement)
            engine.commit()
        return them.everything(sides)


def _pids(sides: Sides, side: str) -> set[int]:
    with connect(sides[0] if side == "primary" else sides[1], purpose="check") as session:
        return {row[0] for row in session.execute("SELECT processinstanceid FROM processinstancelog")}


def _is_whole_somewhere(sides: Sides, stage: Stage) -> bool:
    """Whether each table has the rows of the changed tree on one side only."""
    checker = Checker(*sides)
    here, there = checker.primary([them.ROOT]), checker.backup([them.ROOT])
    rows = [Counter(table for table, found in side.items() if found) for side in (here, there)]
    return not (rows[0] & rows[1]) and them.ROOT in stage.oracle.trees
