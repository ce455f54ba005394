"""The Dagster job: shows a plan, applies it on wish, fails where the instance moved on."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from dagster import DagsterInstance, Failure, RunRequest, SkipReason, build_sensor_context

from archival_pipeline.database import migrations
from archival_pipeline.database.connections import connect
from archival_pipeline.defs.variables import variable_restore
from archival_pipeline.defs.variables_stored import variable_snapshots, variable_snapshots_sensor
from archival_pipeline.variables import audit, storing
from archival_pipeline_tests.support import camunda, camunda_golden
from archival_pipeline_tests.support.engine_server import EngineServer, engine_server

if TYPE_CHECKING:
    from pathlib import Path

    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline.settings_camunda import CamundaSettings

_LINE = next(line for line in camunda_golden.expected() if line["scenario"] == "s2" and line["activity_id"] == "D")


def _environment(golden: CamundaSettings, backup: DatabaseSettings, server: EngineServer) -> dict[str, str]:
    found = dict(server.variables())
    for prefix, where in (("CAMUNDA_DB_", golden), ("BPM_BACKUP_DB_", backup)):
        found |= {
            f"{prefix}HOST": where.host,
            f"{prefix}PORT": str(where.port),
            f"{prefix}USERNAME": where.username,
            f"{prefix}PASSWORD": where.password.get_secret_value(),
            f"{prefix}NAME": where.database,
        }
    return found


def _run(**config: Any) -> Any:
    full = {"activity_instance_id": _LINE["activity_instance_id"], **config}
    with DagsterInstance.ephemeral() as instance:
        return variable_restore.execute_in_process({"ops": {"restore_variables": {"config": full}}}, instance=instance)


def test_the_job_shows_a_plan_and_applies_it_on_wish(
    golden: CamundaSettings, backup_database: DatabaseSettings, tmp_path: Path, clean_environment: pytest.MonkeyPatch
) -> None:
    about = camunda_golden.history(_LINE["process_instance_id"]).process
    over = {"processDefinitionId": about.definition_id, "endTime": "2026-11-20T13:28:16.828+0000"}
    state = {"definitions": {about.definition_id: {"D": None}}, "instances": {}, "history": {about.id: over}}
    migrations.upgrade(backup_database, "backup")
    with engine_server(tmp_path, state) as server:
        for name, value in _environment(golden, backup_database, server).items():
            clean_environment.setenv(name, value)

        shown = _run()

        assert server.sent() == []
        outputs = shown.filter_events(lambda event: event.is_successful_output)
        expects = outputs[0].step_output_data.metadata["expects"].value

        with pytest.raises(Failure, match="moved on"):
            _run(apply=True, expects="0" * 64)
        assert server.sent() == []

        applied = _run(apply=True, expects=expects)

        assert len(server.sent()) == 1
        rows = audit.of_instance(backup_database, about.id)
        assert {row["audit_id"] for row in rows} == {applied.run_id}


def test_the_sensor_starts_a_run_when_something_is_to_be_stored(
    golden_database: CamundaSettings, clean_environment: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)

    def tick() -> Any:
        with DagsterInstance.ephemeral() as instance:
            return variable_snapshots_sensor(lambda: now)(build_sensor_context(instance=instance))

    def said() -> str:
        answer = tick()
        assert isinstance(answer, SkipReason)
        return str(answer.skip_message)

    assert "names nothing" in said()
    for name, value in camunda.variables(golden_database).items():
        clean_environment.setenv(name, value)
    key = camunda_golden.history(_LINE["process_instance_id"]).process.definition_key
    clean_environment.setenv("VARIABLES_STORED_SNAPSHOTS", json.dumps({key: ["D"]}))
    assert "stored migrate" in said()
    storing.prepare(golden_database)
    with connect(golden_database, purpose="test", autocommit=True) as session:
        moved = (now - timedelta(minutes=5)).replace(tzinfo=None)
        session.execute("UPDATE act_hi_actinst SET end_time_ = %s WHERE act_id_ = 'D'", (moved,))
    assert isinstance(tick(), RunRequest)

    with DagsterInstance.ephemeral() as instance:
        done = variable_snapshots.execute_in_process(instance=instance)
    (output,) = done.filter_events(lambda event: event.is_successful_output)
    numbers = {name: value.value for name, value in output.step_output_data.metadata.items() if name != "reasons"}
    assert (numbers["stored"], numbers["refused"], numbers["more to do"]) == (1, 0, False)

    now += timedelta(minutes=2)
    assert "No activity" in said()
    clean_environment.setenv("VARIABLES_STORED_SNAPSHOTS", "{")
    assert "VARIABLES_STORED_SNAPSHOTS" in said()
