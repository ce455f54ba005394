# ruff: noqa: S608 - fixed statements, put together here
"""F30, F31: many large objects, great ones, empty ones; trees with many rows, many members, many generations."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from archival_pipeline.database.connections import connect
from archival_pipeline_tests.faults import disturbances as them
from archival_pipeline_tests.faults.stage import BACKUP, RESTORE, SMALL, new_audit
from archival_pipeline_tests.support.checker import Checker

if TYPE_CHECKING:
    from archival_pipeline_tests.faults.harness import Ended
    from archival_pipeline_tests.faults.stage import Sides, Stages

_MEGABYTE = 1024 * 1024
_AT_ONCE = 2_000

# A task of the tree gets attachments, each with a content of its own.
_ATTACH = f"""
WITH made AS (
    INSERT INTO content (id, content)
    SELECT 1000000 + n, lo_from_bytea(0, convert_to('object ' || n, 'UTF8'))
    FROM generate_series(%(first)s::int, %(last)s::int) AS n
    RETURNING id
)
INSERT INTO attachment (id, attachmentcontentid, taskdata_attachments_id)
SELECT id, id, (SELECT min(t.id) FROM task t WHERE t.processinstanceid = {them.ROOT}) FROM made
"""
_POINT_TO = (
    "UPDATE content SET content = %s WHERE id ="
    " (SELECT min(t.documentcontentid) FROM task t WHERE t.processinstanceid = %s)"
)
_MEMBERS = f"""
INSERT INTO processinstancelog
SELECT (jsonb_populate_record(t, jsonb_build_object(
    'id', 1000000 + n, 'processinstanceid', 1000000 + n, 'parentprocessinstanceid', %s
))).*
FROM processinstancelog AS t, generate_series(1, %s) AS n WHERE t.processinstanceid = {them.ROOT}
"""
_ABOVE = f"CASE WHEN n %% 1000 = 1 THEN {them.ROOT} ELSE 999999 + n END"
_ROWS = f"""
INSERT INTO nodeinstancelog
SELECT (jsonb_populate_record(t, jsonb_build_object('id', 1000000 + n))).*
FROM nodeinstancelog AS t, generate_series(1, %s) AS n
WHERE t.id = (SELECT min(o.id) FROM nodeinstancelog AS o WHERE o.processinstanceid = {them.ROOT})
"""


# As the engine's own sequences would stand, had it written these rows.
_SEQUENCES = (
    "SELECT setval(format('%I.%I', schemaname, sequencename), 5000000) FROM pg_sequences"
    " WHERE schemaname = current_schema()"
)


def _run(sides: Sides, statement: str, parameters: Any = None) -> None:
    with connect(sides[0], purpose="engine") as engine:
        engine.execute(statement, parameters)
        engine.execute(_SEQUENCES)
        engine.commit()


def _there_and_back(stages: Stages, sides: Sides) -> tuple[Ended, Ended]:
    """Back up and restore; nothing may have changed by it, large objects included."""
    checker = Checker(*sides)
    before = checker.primary()
    objects = sorted(checker.dump().objects.values())
    there = stages.run(sides, BACKUP)
    assert them.ROOT not in {int(row[10] or 0) for row in checker.primary()["processinstancelog"]}
    assert them.lost(before, them.everything(sides)) == []
    back = stages.run(sides, RESTORE)
    assert them.lost(before, checker.primary()) == []
    assert sorted(checker.dump().objects.values()) == objects
    return there, back


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("number", [9_000, pytest.param(60_000, marks=pytest.mark.faults)])
def test_f30_more_large_objects_in_one_tree_than_a_lock_table_has_room_for(number: int, stages: Stages) -> None:
    stage = stages.stage(BACKUP, SMALL)
    with stages.copy(stage.start) as sides:
        for first in range(1, number + 1, _AT_ONCE):
            _run(sides, _ATTACH, {"first": first, "last": min(number, first + _AT_ONCE - 1)})
        _there_and_back(stages, sides)


@pytest.mark.parametrize("content", [b"", b"x"], ids=["empty", "one byte"])
def test_f30_the_least_large_objects(content: bytes, stages: Stages) -> None:
    stage = stages.stage(BACKUP, SMALL)
    with stages.copy(stage.start) as sides:
        with connect(sides[0], purpose="engine") as engine:
            row = engine.execute("SELECT lo_from_bytea(0, %s)", [content]).fetchone()
            engine.execute(_POINT_TO, [*(row or ()), them.ROOT])
            engine.commit()
        _there_and_back(stages, sides)


@pytest.mark.parametrize("batch", ["first", "second"])
@pytest.mark.parametrize("megabytes", [1_200, pytest.param(600, marks=pytest.mark.faults)])
def test_f30_f31_what_no_row_can_hold_stays_with_its_tree(megabytes: int, batch: str, stages: Stages) -> None:
    """A value of a row ends at 1 GB, its digest before: the tree is put aside, the others go.

    The first batch of a wave is measured when it is copied, the second one when it is deleted.
    """
    stage = stages.stage(BACKUP, SMALL)
    root = (min if batch == "first" else max)(stage.oracle.trees)
    with stages.copy(stage.start) as sides:
        with connect(sides[0], purpose="engine") as engine:
            row = engine.execute("SELECT lo_create(0)").fetchone()
            assert row is not None
            engine.execute("SELECT lo_put(%s, %s, 'end')", [row[0], megabytes * _MEGABYTE])
            assert engine.execute(_POINT_TO, [row[0], root]).rowcount == 1
            engine.commit()
        ended = stages.run(sides, replace(BACKUP, options={"batchSize": 1}))
        assert [(each["root_id"], each["outcome"], each["reason"]) for each in ended.document["stayed"]] == [
            (root, "quarantined", "too_large")
        ]
        # A copy that was not measured stays as well: nobody can say whether it is equal.
        assert root in _pids(sides, "primary")
        assert set(stage.oracle.trees) - {root} <= _pids(sides, "backup") - _pids(sides, "primary")


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("number", [5_000, pytest.param(100_000, marks=pytest.mark.faults)])
@pytest.mark.parametrize("parent", ["wide", "deep"])
def test_f31_a_tree_of_many_members_moves_whole(parent: str, number: int, stages: Stages) -> None:
    """All below the root; or in chains of 1,000 generations."""
    stage = stages.stage(BACKUP, SMALL)
    with stages.copy(stage.start) as sides:
        above = str(them.ROOT) if parent == "wide" else _ABOVE
        _run(sides, _MEMBERS.replace("'parentprocessinstanceid', %s", f"'parentprocessinstanceid', {above}"), [number])
        _there_and_back(stages, sides)
        assert them.torn(sides) == []


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("number", [50_000, pytest.param(1_000_000, marks=pytest.mark.faults)])
def test_f31_an_instance_of_many_rows_takes_no_more_memory(number: int, stages: Stages) -> None:
    stage = stages.stage(BACKUP, SMALL)
    with stages.copy(stage.start) as sides:
        usual = stages.run(sides, BACKUP).document["memory"]
    with stages.copy(stage.start) as sides:
        _run(sides, _ROWS, [number])
        ended = stages.mover.run(sides, BACKUP, new_audit()).require_done()
        assert _count(sides, "backup", "nodeinstancelog") > number
        assert _count(sides, "primary", "nodeinstancelog") == 0
        assert ended.document["memory"] - usual < 64 * _MEGABYTE


def _count(sides: Sides, side: str, table: str) -> int:
    with connect(sides[0] if side == "primary" else sides[1], purpose="check") as session:
        row = session.execute(f"SELECT count(*) FROM {table}").fetchone()
    assert row is not None
    return int(row[0])


def _pids(sides: Sides, side: str) -> set[int]:
    with connect(sides[0] if side == "primary" else sides[1], purpose="check") as session:
        return {row[0] for row in session.execute("SELECT processinstanceid FROM processinstancelog")}
