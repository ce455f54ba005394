"""The execution history as operators run it: command line and Dagster, by environment variables."""

from __future__ import annotations

import json
import warnings
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from dagster import DagsterInstance, RunRequest, SkipReason, build_sensor_context

from archival_pipeline.cli import cli
from archival_pipeline.commands import output
from archival_pipeline.database.connections import connect
from archival_pipeline.history.events.records import Message
from archival_pipeline.history.transport.table import TableProducer
from archival_pipeline_tests.support import camunda_history
from archival_pipeline_tests.support.camunda_history import Engine
from archival_pipeline_tests.support.history import TOPICS, closed, columns, rows

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "The `__fields__` attribute is deprecated")
    from archival_pipeline.definitions import defs
    from archival_pipeline.defs import history

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline_tests.conftest import DatabaseFactory


@pytest.fixture
def engine_database(database_from_template: DatabaseFactory) -> DatabaseSettings:
    """An engine with one process and its task."""
    database = database_from_template("engine's history", camunda_history.create)
    with connect(database, purpose="engine") as session:
        engine = Engine(session)
        engine.start(1)
        engine.create_task(1)
    return database


@pytest.fixture
def configured(
    clean_environment: pytest.MonkeyPatch, engine_database: DatabaseSettings, history_database: DatabaseSettings
) -> DatabaseSettings:
    """Both databases in the environment; returns that of the history."""
    for prefix, database in (("CAMUNDA_DB", engine_database), ("HISTORY_DB", history_database)):
        values = {
            "HOST": database.host,
            "PORT": str(database.port),
            "USERNAME": database.username,
            "PASSWORD": database.password.get_secret_value(),
            "NAME": database.database,
        }
        for name, value in values.items():
            clean_environment.setenv(f"{prefix}_{name}", value)
    return history_database


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code = output.run(cli, ["history", *arguments])
    return code, json.loads(capsys.readouterr().out)


def test_the_commands_from_first_to_last(configured: DatabaseSettings, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(capsys, "migrate") == (0, {"migrated": ["history"], "createdTopics": []})
    assert _run(capsys, "publish")[1]["published"] == {"process": 1, "task": 1, "variable": 0}
    assert _run(capsys, "lag")[1]["lag"][TOPICS.process] == 1
    assert _run(capsys, "subscribe")[1]["records"] == 2
    assert columns(configured, "bpm_history_process", "p1")["state"] == "ACTIVE"

    producer = TableProducer(configured)
    with closed(producer):
        producer.send([Message(TOPICS.task, "x", b"?")])
    assert _run(capsys, "subscribe")[0] == output.ExitCode.QUARANTINED
    assert _run(capsys, "replay-dead-letters") == (0, {"replayed": 1})

    code, found = _run(capsys, "reconcile", "--from", "2026-03-01", "--to", "2026-03-02")
    assert (code, found["checked"], found["missing"]) == (0, 2, 0)
    assert _run(capsys, "forget")[1]["deleted"] == {"processes": 0, "tasks": 0, "messages": 0}
    assert _run(capsys, "erase-user", "olena", "--force")[1]["erased"] == {"processes": 1, "tasks": 1}
    assert rows(configured) == {"bpm_history_process": [], "bpm_history_task": []}


def test_nothing_is_erased_by_accident(configured: DatabaseSettings, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: ARG001
    assert output.run(cli, ["history", "erase-user", "olena"]) == output.ExitCode.USAGE
    assert "--force" in capsys.readouterr().err


@pytest.mark.usefixtures("clean_environment")
@pytest.mark.parametrize("command", ["migrate", "publish", "subscribe", "lag", "forget", "replay-dead-letters"])
def test_without_settings_every_command_says_which_are_missing(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert output.run(cli, ["history", command]) == output.ExitCode.USAGE
    assert "HISTORY_DB_HOST is missing" in capsys.readouterr().err


@pytest.mark.usefixtures("clean_environment")
def test_without_settings_the_interface_does_not_start(capsys: pytest.CaptureFixture[str]) -> None:
    assert output.run(cli, ["history-api"]) == output.ExitCode.USAGE
    assert "HISTORY_API_JWT_ISSUERS is missing" in capsys.readouterr().err


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    """A Dagster of the test's own."""
    with DagsterInstance.ephemeral() as made:
        yield made


def _job(name: str, instance: DagsterInstance, **options: Any) -> Any:
    return defs.resolve_job_def(name).execute_in_process(instance=instance, **options)


def test_the_jobs_publish_store_and_check(configured: DatabaseSettings, instance: DagsterInstance) -> None:
    assert _job("history_publish", instance).output_for_node("publish_changes") == 2
    assert _job("history_subscribe", instance).output_for_node("subscribe_to_changes") == 2
    assert _job("history_retention", instance).success

    days = (datetime.now(UTC) - datetime(2026, 1, 1, tzinfo=UTC)).days
    config = {"ops": {"execution_history_agrees_with_the_engine": {"config": {"days": days}}}}
    (first,) = _job("history_reconciliation", instance, run_config=config).get_asset_check_evaluations()
    assert (first.passed, first.metadata["checked"].value) == (True, 2)
    with connect(configured, purpose="test") as session:
        session.execute("DELETE FROM bpm_history_process")
    (second,) = _job("history_reconciliation", instance, run_config=config).get_asset_check_evaluations()
    assert (second.passed, second.metadata["repaired"].value) == (False, 1)
    assert columns(configured, "bpm_history_process", "p1")["state"] == "ACTIVE"


def _look(name: str, instance: DagsterInstance, cursor: str | None = None) -> tuple[Any, str | None]:
    (sensor,) = [sensor for sensor in history.SENSORS if sensor.name == f"{name}_sensor"]
    context = build_sensor_context(instance=instance, cursor=cursor)
    told = sensor(context)
    return told, context.cursor


@pytest.mark.usefixtures("clean_environment")
@pytest.mark.parametrize("name", ["history_publish", "history_subscribe"])
def test_sensors_of_a_history_that_is_off_say_so(name: str, instance: DagsterInstance) -> None:
    told, _ = _look(name, instance)
    assert isinstance(told, SkipReason)
    assert "HISTORY_DB_* is not set" in str(told.skip_message)


def test_sensors_start_a_run_when_there_is_something_to_do(
    configured: DatabaseSettings, engine_database: DatabaseSettings, instance: DagsterInstance
) -> None:
    told, _ = _look("history_subscribe", instance)
    assert "No record waits" in str(told.skip_message)
    told, cursor = _look("history_publish", instance)
    assert isinstance(told, RunRequest)

    _job("history_publish", instance)
    told, _ = _look("history_subscribe", instance)
    assert isinstance(told, RunRequest)
    with connect(engine_database, purpose="engine") as session:
        Engine(session).assign(1, "taras")
    told, _ = _look("history_publish", instance, cursor)
    assert isinstance(told, RunRequest)
    assert len(rows(configured)["bpm_history_process"]) == 0, "a sensor only looks"
