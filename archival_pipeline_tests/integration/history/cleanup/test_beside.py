"""Case instances, standalone decisions and metrics of tasks: by their age, whole, and archived like everything else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from archival_pipeline.database.connections import connect
from archival_pipeline_tests.support.camunda import camunda_settings
from archival_pipeline_tests.support.camunda_archive import Pair, only
from archival_pipeline_tests.support.camunda_cleanup import content, fill, run, without

if TYPE_CHECKING:
    from archival_pipeline.settings import DatabaseSettings

# No process instance is due: what goes are the cases and their like.
_NO_PROCESSES: dict[str, Any] = {"hierarchies": 0, "with_traps": False, "with_cases": True}
_BY_END: dict[str, Any] = {"historyCleanupStrategy": "endTimeBased", "taskMetricsTimeToLive": "P5D"}


def test_closed_cases_go_whole_and_nothing_else(primary_database: DatabaseSettings) -> None:
    scene = fill(primary_database, **_NO_PROCESSES)
    settings = camunda_settings(primary_database)
    before = content(settings)
    assert run(settings, scene, taskMetricsTimeToLive="P30D").rows.total() == 0
    assert content(settings) == before, "under the strategy of removal times a case never goes"
    outcome = run(settings, scene, **_BY_END, historyCleanupBatchSize="1")
    assert content(settings) == without(before, scene.due)
    assert outcome.rows["act_hi_caseinst"] == len(scene.due["act_hi_caseinst"]) == 2
    assert run(settings, scene, **_BY_END).rows.total() == 0


def test_the_engines_row_rule_takes_metrics_too(primary_database: DatabaseSettings) -> None:
    scene = fill(primary_database, **_NO_PROCESSES)
    outcome = run(camunda_settings(primary_database), scene, mode="compatible", taskMetricsTimeToLive="P5D")
    assert {table: count for table, count in outcome.rows.items() if count} == {"act_ru_task_meter_log": 1}


def test_a_case_on_hold_stays(primary_database: DatabaseSettings) -> None:
    scene = fill(primary_database, **_NO_PROCESSES)
    settings = camunda_settings(primary_database)
    held = min(scene.due["act_hi_caseinst"])
    outcome = run(settings, scene, **_BY_END, historyCleanupHolds=json.dumps({"instances": [held]}))
    assert outcome.rows["act_hi_caseinst"] == 1
    assert held in content(settings)["act_hi_caseinst"]


def test_an_engine_without_cases_or_decisions(primary_database: DatabaseSettings) -> None:
    scene = fill(primary_database, **_NO_PROCESSES)
    with connect(primary_database, purpose="test") as session:
        session.execute("DROP TABLE act_ru_case_sentry_part, act_ru_case_execution, act_ru_task_meter_log CASCADE")
        session.execute("ALTER TABLE act_re_decision_def DROP COLUMN history_ttl_")
    assert run(camunda_settings(primary_database), scene, **_BY_END).rows.total() == 0


def test_they_are_archived_and_come_back(primary_database: DatabaseSettings, backup_database: DatabaseSettings) -> None:
    pair = Pair.make(primary_database, backup_database, **_NO_PROCESSES)
    before = pair.engine_content()
    pair.run(**_BY_END)
    assert pair.engine_content() == without(before, pair.due)
    assert pair.archive_content() == only(before, pair.due)
    assert pair.restore().loose == 1
    assert pair.engine_content() == before
