"""Missing removal times, orphans, the forecast, and the engine's own row rule."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from archival_pipeline.database.connections import connect
from archival_pipeline.history.cleanup.backfill import backfill_removal_time
from archival_pipeline.history.cleanup.orphans import find_orphans, remove_orphans
from archival_pipeline.history.cleanup.report import forecast
from archival_pipeline_tests.support.camunda import camunda_settings
from archival_pipeline_tests.support.camunda_cleanup import around, cleanup_settings, content, fill, run, without

if TYPE_CHECKING:
    from archival_pipeline.settings import DatabaseSettings


def test_missing_removal_times_are_computed_and_nothing_else_changes(primary_database: DatabaseSettings) -> None:
    scene = fill(primary_database)
    settings = camunda_settings(primary_database)
    cleanup = cleanup_settings(historyTimeToLiveOfDefinitions='{"claim": "P3D"}')
    before = content(settings)
    assert backfill_removal_time(settings, cleanup, around(scene), dry_run=True).roots == 1
    assert content(settings) == before
    done = backfill_removal_time(settings, cleanup, around(scene))
    assert done.roots == 1
    with connect(settings, purpose="test") as session:
        found = session.execute(
            "SELECT count(*), min(removal_time_ - end_time_) FROM act_hi_procinst"
            " WHERE proc_def_key_ = 'claim' AND id_ IN (SELECT root_proc_inst_id_ FROM act_hi_detail"
            " WHERE removal_time_ IS NOT NULL) AND removal_time_ - end_time_ = interval '3 days'"
        ).fetchone()
    assert found is not None
    assert found[0] == 1
    after = content(settings)
    changed = {
        (table, key) for table, rows in after.items() for key, mark in rows.items() if before[table][key] != mark
    }
    assert len(changed) == done.rows.total()
    assert backfill_removal_time(settings, cleanup, around(scene)).roots == 0
    assert run(settings, scene).removed.roots == len(scene.roots) + 4


def test_backfill_reaches_rows_of_before_7_10(primary_database: DatabaseSettings) -> None:
    scene = fill(primary_database)
    settings = camunda_settings(primary_database)
    before = content(settings)
    with connect(settings, purpose="test") as session:
        for table in ("act_hi_procinst", "act_hi_actinst", "act_hi_varinst"):
            session.execute(f"UPDATE {table} SET removal_time_ = NULL WHERE root_proc_inst_id_ IS NULL")  # noqa: S608
    assert run(settings, scene).removed.roots == len(scene.roots) + 2
    assert backfill_removal_time(settings, cleanup_settings(), around(scene)).roots == 2
    # One more was there from the beginning: its definition has no time to live.
    assert run(settings, scene).removed.roots == 2
    left = content(settings)
    gone = without(before, scene.due)
    assert all(left[table].keys() <= rows.keys() for table, rows in gone.items())


def test_orphans_are_found_and_removed_and_nothing_else(primary_database: DatabaseSettings) -> None:
    scene = fill(primary_database)
    settings = camunda_settings(primary_database)
    before = content(settings)
    found = find_orphans(settings)
    assert found.without_parent == {"act_hi_detail": 1}
    assert (found.contents, found.contents_size) == (1, len(b"unowned"))
    assert found.never_expiring == {"claim": 1}
    assert found.never_expiring_rows["act_hi_taskinst"] == 1
    assert remove_orphans(settings, around(scene), ["gone"]).total() == 0
    assert remove_orphans(settings, around(scene)).total() == 2
    after = content(settings)
    assert sum(len(rows) - len(after[table]) for table, rows in before.items()) == 2
    assert find_orphans(settings).total == 0
    # What the cleanup does makes no orphans.
    run(settings, scene)
    assert find_orphans(settings).total == 0


def test_history_of_a_running_instance_is_no_orphan(primary_database: DatabaseSettings) -> None:
    fill(primary_database, with_traps=False)
    settings = camunda_settings(primary_database)
    with connect(settings, purpose="test") as session:
        session.execute("DELETE FROM act_hi_procinst WHERE id_ IN (SELECT proc_inst_id_ FROM act_ru_execution)")
    assert find_orphans(settings).total == 0


def test_forecast_is_what_the_run_does(primary_database: DatabaseSettings) -> None:
    scene = fill(primary_database, with_traps=False)
    settings = camunda_settings(primary_database)
    before = content(settings)
    said = forecast(settings, cleanup_settings(), scene.now.replace(tzinfo=UTC), rows_per_second=100.0)
    assert content(settings) == before
    assert said.hierarchies == len(scene.roots)
    invoice, order = said.definitions
    assert (invoice.key, invoice.version, invoice.history_time_to_live) == ("invoice", 1, 5)
    assert invoice.cleanable + order.cleanable == len(scene.due["act_hi_procinst"])
    assert invoice.finished >= invoice.cleanable
    outcome = run(settings, scene)
    late = sum(1 for _ in scene.due["act_hi_comment"]) - said.rows["act_hi_comment"]
    assert outcome.rows.total() == sum(said.rows.values()) + late
    assert said.size > 0
    assert said.seconds == sum(said.rows.values()) / 100.0


def test_the_engines_rule_removes_by_removal_time_alone(primary_database: DatabaseSettings) -> None:
    scene = fill(primary_database)
    settings = camunda_settings(primary_database)
    with connect(settings, purpose="test") as session:
        expected = {
            table: session.execute(f"SELECT count(*) FROM {table} WHERE removal_time_ <= %s", (scene.now,)).fetchone()  # noqa: S608
            for table in ("act_hi_procinst", "act_hi_detail", "act_hi_batch")
        }
    outcome = run(settings, scene, mode="compatible", historyCleanupBatchSize="20")
    assert {table: (outcome.rows[table],) for table in expected} == expected
    assert outcome.batches == -(-outcome.rows["act_hi_actinst"] // 20) or outcome.batches > 5
