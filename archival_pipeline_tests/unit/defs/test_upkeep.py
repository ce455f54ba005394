"""Pruning of Dagster's runs and the sensors' alerts, on a real instance of Dagster."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from dagster import (
    DagsterInstance,
    DagsterRunStatus,
    DefaultScheduleStatus,
    Failure,
    build_run_status_sensor_context,
    build_sensor_context,
    job,
    op,
)

from archival_pipeline.alerts.sending import send
from archival_pipeline.defs import alerting, upkeep
from archival_pipeline.settings_operations import load_alerts, load_upkeep
from archival_pipeline_tests.unit.alerts.test_sending import web_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RESOLVE = "Make room on the backup."


@op
def fine() -> int:
    return 1


@op
def full() -> None:
    raise Failure(
        description=f"53100: The disk is full. {RESOLVE}",
        metadata={"code": "53100", "summary": "The disk is full.", "resolve": RESOLVE},
    )


@job
def good() -> None:
    fine()


@job
def bad() -> None:
    full()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[DagsterInstance]:
    with DagsterInstance.local_temp(str(tmp_path)) as made:
        yield made


def test_ended_runs_go_with_events_and_outputs_and_others_stay(instance: DagsterInstance, tmp_path: Path) -> None:
    ended = [good.execute_in_process(instance=instance).run_id for _ in range(3)]
    ended.append(bad.execute_in_process(instance=instance, raise_on_error=False).run_id)
    at_work = instance.create_run_for_job(good, status=DagsterRunStatus.STARTED)
    output = tmp_path / "storage" / ended[0]
    output.mkdir(parents=True, exist_ok=True)
    (output / "result").write_text("1", encoding="utf-8")
    now = datetime.now(UTC)
    assert upkeep.prune(instance, now - timedelta(days=1), at_most=10) == 0
    assert upkeep.prune(instance, now + timedelta(days=1), at_most=3) == 3
    assert upkeep.prune(instance, now + timedelta(days=1), at_most=10) == 1
    assert [run.run_id for run in instance.get_runs()] == [at_work.run_id]
    assert all(instance.all_logs(run_id) == [] for run_id in ended)
    assert not output.exists()


def test_dry_run_counts_and_deletes_nothing(instance: DagsterInstance) -> None:
    good.execute_in_process(instance=instance)
    config = {"ops": {"prune_old_runs": {"config": {"dry_run": True}}}}
    assert upkeep.prune_dagster_runs.execute_in_process(config, instance=instance).success
    assert instance.get_runs_count() == 2


def test_schedule_follows_the_settings(clean_environment: pytest.MonkeyPatch) -> None:
    assert upkeep.prune_schedule(load_upkeep()).default_status is DefaultScheduleStatus.RUNNING
    clean_environment.setenv("DAGSTER_PRUNE_RUNS", "false")
    assert upkeep.prune_schedule(load_upkeep()).default_status is DefaultScheduleStatus.STOPPED
    broken = upkeep.prune_schedule(None)
    assert broken.default_status is DefaultScheduleStatus.STOPPED
    assert "cannot be read" in str(broken.description)


def test_failed_run_is_told_with_the_errors_own_way_out(
    instance: DagsterInstance, clean_environment: pytest.MonkeyPatch
) -> None:
    result = bad.execute_in_process(instance=instance, raise_on_error=False)
    context = build_run_status_sensor_context(
        sensor_name="alert_on_failed_run",
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        dagster_event=result.get_run_failure_event(),
    ).for_run_failure()
    alert = alerting.alert_of(context, "http://127.0.0.1:3000")
    with web_server() as (url, received):
        clean_environment.setenv("ALERT_WEBHOOK_URL", url)
        send(alert, load_alerts())
    [request] = received
    assert request["body"]["title"] == "bad failed with 53100"
    assert request["body"]["nextStep"].startswith(RESOLVE)
    assert request["body"]["link"].endswith(f"/runs/{result.run_id}")


def test_nothing_set_sends_nothing_and_says_so(clean_environment: pytest.MonkeyPatch) -> None:
    del clean_environment
    ticked = alerting.alert_on_backlog.evaluate_tick(build_sensor_context())
    assert "ALERT_BACKLOG_INSTANCES" in str(ticked.skip_message)
