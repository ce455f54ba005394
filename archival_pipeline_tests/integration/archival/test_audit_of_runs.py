"""The audit tells each run from its start to its end, without gaps, however it ends."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.rows import dict_row

from archival_pipeline import errors
from archival_pipeline.archival import steps
from archival_pipeline.archival.direction import RESTORE
from archival_pipeline.database.connections import connect
from archival_pipeline_tests.support.moves import Engine, open_run, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from archival_pipeline_tests.support.moves import Pair, Pairs, Ran

FOREST = Engine(trees=30, flavours=("kie_server",), traps=True)


def _rows(pair: Pair, audit_id: str) -> list[dict[str, Any]]:
    with connect(pair.settings.backup, purpose="test") as session, session.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("SELECT * FROM process_audit_logs WHERE audit_id = %s ORDER BY id", [audit_id]).fetchall()


@dataclass(frozen=True)
class Told:
    """Two runs and what the audit tells of them."""

    pair: Pair
    runs: dict[str, Ran]
    rows: dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def told(pairs: Pairs) -> Iterator[Told]:
    """A backup and a restore in many small batches; tests only look."""
    pair = pairs.make(FOREST)
    sizes: dict[str, Any] = {"batchSize": 4, "batchesPerWave": 3}
    runs = {"backup": run(pair.settings, **sizes), "restore": run(pair.settings, RESTORE, **sizes)}
    yield Told(pair, runs, {name: _rows(pair, ran.audit_id) for name, ran in runs.items()})
    pairs.drop(pair)


BOTH_WAYS = pytest.mark.parametrize("name", ["backup", "restore"])


@BOTH_WAYS
def test_i10_every_step_and_batch_has_its_row(told: Told, name: str) -> None:
    plan, rows = told.runs[name].plan, told.rows[name]
    assert plan.batches > 4
    every = list(range(1, plan.batches + 1))

    assert {row["audit_type"] for row in rows} == {name}
    assert (rows[0]["step"], rows[0]["audit_status"]) == ("initiate", "initiated")
    assert (rows[-1]["step"], rows[-1]["audit_status"]) == ("complete", "completed")
    assert {row["audit_status"] for row in rows[1:-1]} == {"in_progress"}
    assert Counter(row["step"] for row in rows if row["batch_number"] is None) == Counter(
        ["initiate", "count", "fetch", "complete"]
    )
    assert sorted(row["batch_number"] for row in rows if row["step"] == "children") == every
    emptied = {r["batch_number"] for r in rows if r["step"] == "children" and not r["process_instance_ids"]}
    for step in ("generate_sql", "execute", "delete"):
        numbers = sorted(row["batch_number"] for row in rows if row["step"] == step)
        assert numbers == [number for number in every if number not in emptied], step


@BOTH_WAYS
def test_i10_the_instances_of_each_batch_are_named(told: Told, name: str) -> None:
    rows = told.rows[name]
    by_step = {
        step: {pid for row in rows if row["step"] == step for pid in row["process_instance_ids"]}
        for step in ("children", "execute", "delete")
    }
    [(ids,)] = told.pair.execute(
        "backup",
        "SELECT array_agg(m.id) FROM archival_batch AS b CROSS JOIN unnest(b.member_ids) AS m (id)"
        " WHERE b.audit_id = %s AND b.state = 'deleted'",
        told.runs[name].audit_id,
    )

    assert by_step["children"] == by_step["execute"] == by_step["delete"] == set(ids)


@BOTH_WAYS
def test_i10_the_totals_follow_from_the_rows(told: Told, name: str) -> None:
    ran, rows = told.runs[name], told.rows[name]
    last = rows[-1]
    deleted = [row for row in rows if row["step"] == "delete"]
    fetched = next(row for row in rows if row["step"] == "fetch")

    assert fetched["total_count"] == ran.plan.trees == last["total_count"]
    assert fetched["total_batches"] == ran.plan.batches == last["total_batches"]
    assert sum(sum(row["details"]["rows"].values()) for row in deleted) == ran.totals.rows_moved
    assert sum(len(row["process_instance_ids"]) for row in deleted) == ran.totals.instances_moved
    skipped = sum(row["skipped_count"] for row in rows if row["step"] in ("children", "delete"))
    assert skipped == last["skipped_count"] == len(ran.reports)
    assert last["processed_count"] + last["skipped_count"] == last["total_count"]
    assert [row["processed_count"] for row in deleted] == sorted(row["processed_count"] for row in deleted)


@BOTH_WAYS
def test_i10_times_do_not_run_backwards(told: Told, name: str) -> None:
    for row in told.rows[name]:
        if row["ended_at"] is not None:
            assert row["started_at"] <= row["ended_at"] <= row["created_at"] or row["step"] == "initiate"
    created = [row["created_at"] for row in told.rows[name]]
    assert created == sorted(created)


def test_skipped_trees_are_listed_with_the_reason(told: Told) -> None:
    ran, rows = told.runs["backup"], told.rows["backup"]
    listed = {
        tree["root_id"]: tree["reason"]
        for row in rows
        if row["step"] == "children"
        for tree in row["details"]["skipped"]
    }

    assert listed
    assert listed == {root: report.reason for root, report in ran.reports.items()}


def test_a_batch_that_fails_leaves_its_rows(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(FOREST)
    before = pair.checker.primary()
    move = open_run(pair.settings, batchSize=4, lanes=1)
    # Not a fault of any row, and no retry helps.
    pair.execute(
        "backup",
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE insufficient_privilege USING MESSAGE = 'no more'; END $$",
    )
    batch = 3
    try:
        waves = steps.fetch(move).waves
        for wave in waves:
            steps.children(move, wave)
        root = move.ledger.batches()[batch - 1].member_ids[0]
        pair.execute(
            "backup",
            "CREATE TRIGGER refuse BEFORE INSERT ON variableinstancelog FOR EACH ROW"
            f" WHEN (NEW.processinstanceid = {root}) EXECUTE FUNCTION refuse()",
        )
        with pytest.raises(errors.OperatorDatabaseError, match="no more"):
            steps.execute(move, waves[0])
    finally:
        move.close()

    rows = _rows(pair, move.audit_id)
    assert [
        row["batch_number"] for row in rows if row["step"] == "execute" and row["audit_status"] == "in_progress"
    ] == [
        1,
        2,
    ]
    last = rows[-1]
    assert (last["step"], last["audit_status"], last["error_code"]) == ("execute", "failed", "42501")
    assert f"batch {batch}" in last["error_summary"]
    assert last["error_resolve"]
    assert last["error_message"]
    assert pair.execute("backup", "SELECT status FROM archival_operation") == [("failed",)]
    assert pair.checker.primary() == before


def test_a_run_that_is_stopped_says_cancelled(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(FOREST)
    move = open_run(pair.settings, batchSize=4)
    try:
        waves = steps.fetch(move).waves
        for wave in waves:
            steps.children(move, wave)
        move.signal.stop("somebody said so")
        with pytest.raises(errors.CancelledError, match="somebody said so"):
            steps.execute(move, waves[0])
    finally:
        move.close()

    last = _rows(pair, move.audit_id)[-1]
    assert (last["step"], last["audit_status"], last["error_code"]) == ("execute", "cancelled", "CANCELLED")
    assert "run the same job again" in last["error_resolve"]
    assert pair.execute("backup", "SELECT status FROM archival_operation") == [("cancelled",)]


def test_a_run_that_is_refused_says_failed(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(FOREST)
    pair.execute("backup", "ALTER TABLE task DROP COLUMN subject")

    with pytest.raises(errors.PreflightError, match="subject"):
        run(pair.settings)

    query = "SELECT step, audit_status, error_code FROM process_audit_logs ORDER BY id"
    assert pair.execute("backup", query) == [
        ("initiate", "initiated", None),
        ("initiate", "failed", "PREFLIGHT_FAILED"),
    ]
