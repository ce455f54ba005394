"""The Dagster job: shows a plan, applies it on wish, fails where the instance moved on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from dagster import DagsterInstance, Failure

from archival_pipeline.database import migrations
from archival_pipeline.defs.variables import variable_restore
from archival_pipeline.variables import audit
from archival_pipeline_tests.support import camunda_golden
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
