"""The job ``process_backup``, run by Dagster's own command as the README says."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING
from unittest.mock import patch

from dagster import DagsterInstance, DagsterRunStatus

from archival_pipeline.local import dagster_home

if TYPE_CHECKING:
    from pathlib import Path

    from archival_pipeline_tests.e2e.conftest import Archive


def execute(archive: Archive, config: Path, text: str) -> subprocess.CompletedProcess[str]:
    config.write_text(text, encoding="utf-8")
    return subprocess.run(
        dagster_home.execute_job("process_backup", config),
        check=False,
        capture_output=True,
        text=True,
        env=archive.environment,
        cwd=dagster_home.REPOSITORY,
        timeout=180,
    )


def test_moves_finished_trees_and_says_so_in_the_audit(dagster_archive: Archive, tmp_path: Path) -> None:
    before = dagster_archive.look_at_primary()
    config = "filters: {processStatus: COMPLETED}\noptions: {batchSize: 10, batchesPerWave: 2}\n"
    done = execute(dagster_archive, tmp_path / "run.yaml", config)
    assert done.returncode == 0, done.stderr
    assert dagster_archive.what_does_not_add_up(before) == []
    assert dagster_archive.look_at_primary() != before
    with patch.dict(os.environ, dagster_archive.environment, clear=True), DagsterInstance.get() as instance:
        [run] = instance.get_runs()
        steps = {event.step_key for event in instance.all_logs(run.run_id) if event.step_key}
    assert run.status is DagsterRunStatus.SUCCESS
    assert dagster_archive.audits() == [(run.run_id, "completed")]
    # Several waves went through the graph, each by way of every step.
    waves = {step.partition("[")[2] for step in steps if "[" in step}
    assert len(waves) > 1
    assert {f"{step}[{wave}" for step in ("children", "generate_sql", "execute", "delete") for wave in waves} <= steps


def test_empty_filters_fail_the_run_with_the_way_out(dagster_archive: Archive, tmp_path: Path) -> None:
    before = dagster_archive.look_at_primary()
    done = execute(dagster_archive, tmp_path / "run.yaml", "filters: {}\n")
    assert done.returncode != 0
    assert "INVALID_REQUEST" in done.stderr
    assert "allowAll" in done.stderr
    assert dagster_archive.look_at_primary() == before
