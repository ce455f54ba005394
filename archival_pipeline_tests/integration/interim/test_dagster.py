"""The jobs, the sensor and the schedule of interim data, as Dagster runs them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from dagster import DagsterInstance, RunRequest, SkipReason, build_schedule_context, build_sensor_context

from archival_pipeline.defs.interim import interim_data_cleanup, interim_data_sweep
from archival_pipeline.defs.interim_triggers import interim_data_expiry_sensor, interim_data_sweep_schedule
from archival_pipeline.interim import service
from archival_pipeline.local.interim_servers import free_port
from archival_pipeline_tests.support.interim import FORMS, interim_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dagster import SensorDefinition

    from archival_pipeline_tests.support.interim import Stage


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def placed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """The stage, as if the environment named it."""
    monkeypatch.setattr(service, "load_places", lambda: stage.places)
    monkeypatch.setattr(service, "is_configured", lambda: True)
    return stage


def tick(sensor: SensorDefinition, instance: DagsterInstance) -> object:
    with build_sensor_context(instance) as context:
        return sensor(context)


def test_sensor_starts_a_run_when_processes_ended_and_the_run_cleans(placed: Stage, instance: DagsterInstance) -> None:
    sensor = interim_data_expiry_sensor(interim_settings(), lambda: placed.places)
    quiet = tick(sensor, instance)
    assert isinstance(quiet, SkipReason)
    assert "No process has ended" in str(quiet.skip_message)
    placed.engine.start("1")
    placed.data.task_form("1")
    placed.data.file("1")
    placed.engine.end("1")
    request = tick(sensor, instance)
    assert isinstance(request, RunRequest)
    # A run that fails must not keep the next one from starting.
    assert request.run_key is None
    result = interim_data_cleanup.execute_in_process(instance=instance)
    assert result.success
    (metadata,) = (
        event.event_specific_data.metadata  # type: ignore[union-attr]
        for event in result.events_for_node("clean_redis")
        if event.event_type_value == "STEP_OUTPUT"
    )
    assert metadata[f"deleted from {FORMS}"].value == 1
    assert (placed.data.names(), placed.data.files()) == (set(), set())
    assert isinstance(tick(sensor, instance), SkipReason)


def test_store_that_is_down_fails_its_own_step_only(
    placed: Stage, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = placed.with_redis(port=free_port())
    monkeypatch.setattr(service, "load_places", lambda: away.places)
    placed.engine.start("1")
    placed.data.file("1")
    placed.engine.end("1")
    result = interim_data_cleanup.execute_in_process(instance=instance, raise_on_error=False)
    assert not result.success
    assert [event.step_key for event in result.get_step_failure_events()] == ["clean_redis"]
    assert placed.data.files() == set()
    # What waits is not due yet: no run a minute while the store is down.
    assert isinstance(tick(interim_data_expiry_sensor(interim_settings(), lambda: away.places), instance), SkipReason)


def test_sensor_says_why_it_does_nothing(
    stage: Stage, instance: DagsterInstance, clean_environment: pytest.MonkeyPatch
) -> None:
    sensor = interim_data_expiry_sensor(interim_settings(), lambda: stage.places)
    answer = tick(sensor, instance)
    assert isinstance(answer, SkipReason)
    assert "No store" in str(answer.skip_message)
    clean_environment.setenv("STORAGE_BACKEND_REDIS_SENTINEL_NODES", "a:1")
    answer = tick(sensor, instance)
    assert isinstance(answer, SkipReason)
    assert "SENTINEL_MASTER" in str(answer.skip_message)


def test_sweep_of_the_night_pins_every_field(placed: Stage, instance: DagsterInstance) -> None:
    settings = interim_settings()
    inside = datetime(2026, 11, 1, 2, 30, tzinfo=UTC)
    context = build_schedule_context(instance, scheduled_execution_time=inside)
    request = interim_data_sweep_schedule(settings, lambda: inside)(context)
    assert isinstance(request, RunRequest)
    config = request.run_config["ops"]["sweep"]["config"]
    assert config == {"dryRun": False, "graceHours": 168, "scrubTokens": False, "stopAt": "2026-11-01T05:00:00+00:00"}
    late = interim_data_sweep_schedule(settings, lambda: inside + timedelta(hours=6))(context)
    assert isinstance(late, SkipReason)
    placed.engine.start("1")
    orphan = placed.data.task_form("2")
    result = interim_data_sweep.execute_in_process(instance=instance)
    assert result.success
    assert f"{FORMS}:{orphan}" in placed.data.names()
