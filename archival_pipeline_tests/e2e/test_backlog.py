"""The backlog as its sensor sees it: told when it is there and when a backup has worked it off, and plotted."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING
from unittest.mock import patch

from dagster import AssetObservation, DagsterEventType, DagsterInstance, build_sensor_context

from archival_pipeline.defs import alerting
from archival_pipeline.local import dagster_home
from archival_pipeline_tests.unit.alerts.test_sending import web_server

if TYPE_CHECKING:
    from pathlib import Path

    from dagster import SensorResult

    from archival_pipeline_tests.e2e.conftest import Archive

EVERYTHING = "filters: {}\noptions: {allowAll: true}\n"


def tick(cursor: str | None) -> tuple[int, str, str | None]:
    """What the sensor observed and said, and its cursor."""
    context = build_sensor_context(cursor=cursor)
    found: SensorResult = alerting.alert_on_backlog(context)  # type: ignore[assignment]
    [seen] = found.asset_events
    assert isinstance(seen, AssetObservation)
    return int(seen.metadata["instances waiting"].value), str(found.skip_reason), found.cursor  # type: ignore[arg-type]


def test_backlog_is_told_once_and_once_when_a_run_has_worked_it_off(dagster_archive: Archive, tmp_path: Path) -> None:
    ours = dagster_archive.environment | {"ALERT_BACKLOG_DAYS": "1"}
    with web_server() as (url, received), patch.dict(os.environ, ours | {"ALERT_WEBHOOK_URL": url}, clear=True):
        os.environ["ALERT_BACKLOG_INSTANCES"] = "1000000"
        waiting, said, cursor = tick(None)
        assert waiting > 1
        assert "Told" not in said
        os.environ["ALERT_BACKLOG_INSTANCES"] = str(waiting // 2)
        for told in (True, False):
            again, said, cursor = tick(cursor)
            assert (again, "Told" in said) == (waiting, told)

        config = tmp_path / "run.yaml"
        config.write_text(EVERYTHING, encoding="utf-8")
        command = dagster_home.execute_job("process_backup", config)
        subprocess.run(command, check=True, capture_output=True, cwd=dagster_home.REPOSITORY, timeout=180)

        left, said, _ = tick(cursor)
        assert left <= waiting // 2
        assert "Told" in said
        assert plotted() > 0
    assert [request["body"]["kind"] for request in received] == ["backlog", "backlog_gone"]


def plotted() -> int:
    """Rows of one table, as the run has told them at the asset."""
    with DagsterInstance.get() as instance:
        [run] = instance.get_runs()
        [event] = instance.all_logs(run.run_id, of_type=DagsterEventType.ASSET_MATERIALIZATION)
    assert event.dagster_event is not None
    metadata = event.dagster_event.step_materialization_data.materialization.metadata
    return int(metadata["rows of processinstancelog"].value)  # type: ignore[arg-type]
