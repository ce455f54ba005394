"""A run of the cleanup on a history with every trap: what is due is gone everywhere, the rest is untouched."""

from __future__ import annotations

import json
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

import pytest

from archival_pipeline.database.connections import connect
from archival_pipeline.errors import BusyError, RequestError
from archival_pipeline.history.cleanup.database import hold_alone, open_session
from archival_pipeline.history.cleanup.running import clean
from archival_pipeline_tests.support.camunda import camunda_settings
from archival_pipeline_tests.support.camunda_cleanup import (
    LEVELS,
    Clock,
    around,
    cleanup_settings,
    content,
    fill,
    run,
    without,
)

if TYPE_CHECKING:
    from archival_pipeline.local.camunda_data import Level
    from archival_pipeline.settings import DatabaseSettings


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name.lower())
def test_what_is_due_is_gone_and_the_rest_untouched(primary_database: DatabaseSettings, level: Level) -> None:
    scene = fill(primary_database, level=level)
    settings = camunda_settings(primary_database)
    before = content(settings)
    outcome = run(settings, scene, historyCleanupBatchSize="7")
    after = content(settings)
    assert after == without(before, scene.due)
    assert outcome.removed.roots == len(scene.roots) + 3
    assert outcome.rows.total() == sum(map(len, scene.due.values()))
    assert {table: count for table, count in outcome.rows.items() if count} == {
        table: len(ids) for table, ids in scene.due.items()
    }
    assert (outcome.left, outcome.stopped, outcome.set_aside) == (0, False, {})
    again = run(settings, scene)
    assert (again.removed.roots, again.rows.total(), content(settings) == after) == (0, 0, True)


def test_lanes_a_prefix_and_a_schema(primary_database: DatabaseSettings) -> None:
    elsewhere = primary_database.model_copy(update={"schema_name": "Engine Data"})
    with connect(elsewhere, purpose="test", autocommit=True) as session:
        session.execute('CREATE SCHEMA "Engine Data"')
    scene = fill(elsewhere, prefix="cam_", hierarchies=60)
    settings = camunda_settings(elsewhere, table_prefix="cam_")
    before = content(settings)
    run(settings, scene, historyCleanupDegreeOfParallelism="4", historyCleanupBatchSize="3")
    assert content(settings) == without(before, scene.due)


def test_windows_end_stops_between_batches_and_the_next_run_goes_on(primary_database: DatabaseSettings) -> None:
    scene = fill(primary_database)
    settings = camunda_settings(primary_database)
    before = content(settings)
    start = scene.now.replace(tzinfo=UTC)
    ticking = Clock(start, timedelta(milliseconds=1))
    tonight = clean(
        settings,
        cleanup_settings(historyCleanupBatchSize="4"),
        around(scene, clock=ticking, deadline=start + timedelta(milliseconds=4)),
    )
    assert tonight.stopped
    assert 0 < tonight.removed.roots < len(scene.roots)
    assert tonight.left == len(scene.roots) + 3 - tonight.removed.roots
    run(settings, scene)
    assert content(settings) == without(before, scene.due)


def test_by_end_time(primary_database: DatabaseSettings) -> None:
    scene = fill(primary_database)
    settings = camunda_settings(primary_database)
    outcome = run(settings, scene, historyCleanupStrategy="endTimeBased", historyTimeToLive="P3650D")
    assert outcome.removed.roots == len(scene.roots)
    assert outcome.left == 0
    # The definition without a time to live takes that of the settings.
    more = run(settings, scene, historyCleanupStrategy="endTimeBased", historyTimeToLiveOfDefinitions='{"claim": 9}')
    assert more.removed.roots == 2


def test_the_zone_of_the_engine_decides(primary_database: DatabaseSettings) -> None:
    scene = fill(primary_database)
    # In New York the clock on the wall shows four hours less: what came due within them is not due there.
    west = run(camunda_settings(primary_database, time_zone="America/New_York"), scene)
    rest = run(camunda_settings(primary_database), scene)
    assert rest.removed.roots >= 1
    assert west.removed.roots + rest.removed.roots == len(scene.roots) + 3


def test_one_cleanup_at_a_time(primary_database: DatabaseSettings) -> None:
    scene = fill(primary_database, hierarchies=1)
    settings = camunda_settings(primary_database)
    with open_session(settings, "other", autocommit=True) as other:
        hold_alone(other, settings)
        with pytest.raises(BusyError):
            run(settings, scene)
    assert run(settings, scene).left == 0


def test_an_older_release_without_later_tables_and_columns(primary_database: DatabaseSettings) -> None:
    scene = fill(primary_database)
    with connect(primary_database, purpose="test", autocommit=True) as session:
        session.execute("ALTER TABLE act_hi_job_log DROP COLUMN batch_id_")
        session.execute("ALTER TABLE act_ru_authorization DROP COLUMN removal_time_, DROP COLUMN root_proc_inst_id_")
        session.execute("DROP TABLE act_hi_dec_in, act_hi_dec_out, act_hi_decinst")
    outcome = run(camunda_settings(primary_database), scene)
    assert outcome.left == 0
    assert outcome.removed.roots == len(scene.roots) + 3


def test_what_is_on_hold_stays_with_its_whole_hierarchy(primary_database: DatabaseSettings) -> None:
    scene = fill(primary_database, with_traps=False)
    settings = camunda_settings(primary_database)
    with connect(settings, purpose="test") as session:
        called = session.execute(
            "SELECT id_, root_proc_inst_id_ FROM act_hi_procinst WHERE id_ <> root_proc_inst_id_"
            " AND root_proc_inst_id_ = ANY(%s) ORDER BY id_ LIMIT 1",
            (list(scene.roots),),
        ).fetchone()
        assert called is not None
        other = next(root for root in scene.roots if root != called[1])
    holds = {"instances": [called[0]], "businessKeys": [f"bk-{other[:8]}"]}
    before = content(settings)
    outcome = run(settings, scene, historyCleanupHolds=json.dumps(holds))
    assert outcome.removed.roots == len(scene.roots) - 2
    assert set(outcome.removed.running) == {called[1]}
    after = content(settings)
    assert {called[0], called[1], other} <= after["act_hi_procinst"].keys()
    assert run(settings, scene, historyCleanupHolds='{"definitions": ["invoice", "order"]}').rows.total() == 0
    with pytest.raises(RequestError, match="knows no hold"):
        run(settings, scene, mode="compatible", historyCleanupHolds=json.dumps(holds))
    assert run(settings, scene).removed.roots == 2
    assert content(settings) == without(before, scene.due)
