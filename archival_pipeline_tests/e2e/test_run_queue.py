"""The run queue: of two runs launched one after the other, the second waits for the first."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from dagster import DagsterInstance, DagsterRunStatus, RunRecord

from archival_pipeline.local import dagster_home
from archival_pipeline_tests.support.processes import started, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from archival_pipeline_tests.e2e.conftest import Archive


@pytest.fixture
def instance(dagster_archive: Archive) -> Iterator[DagsterInstance]:
    with patch.dict(os.environ, dagster_archive.environment, clear=True), DagsterInstance.get() as found:
        yield found


def launch(archive: Archive, config: Path) -> None:
    subprocess.run(
        dagster_home.launch_job("process_backup", config),
        check=True,
        capture_output=True,
        env=archive.environment,
        cwd=dagster_home.REPOSITORY,
        timeout=120,
    )


def records(instance: DagsterInstance) -> list[RunRecord]:
    """The runs, the one launched first in front."""
    return sorted(instance.get_run_records(), key=lambda record: record.storage_id)


def statuses(instance: DagsterInstance) -> list[DagsterRunStatus]:
    return [record.dagster_run.status for record in records(instance)]


def test_second_run_waits_until_the_first_has_ended(
    dagster_archive: Archive, instance: DagsterInstance, tmp_path: Path
) -> None:
    before = dagster_archive.look_at_primary()
    config = tmp_path / "run.yaml"
    config.write_text(
        "filters: {processStatus: COMPLETED}\noptions: {maxBatches: 1, batchSize: 20}\n", encoding="utf-8"
    )
    # Both stand in the queue before anybody takes from it: the daemon sees them at the same time.
    launch(dagster_archive, config)
    launch(dagster_archive, config)
    assert statuses(instance) == [DagsterRunStatus.QUEUED] * 2

    daemon = started(
        dagster_home.daemon(), dagster_archive.environment, tmp_path / "daemon.log", dagster_home.REPOSITORY
    )
    with daemon:
        with dagster_archive.held_up():
            dagster_archive.wait_until_held_up()
            assert statuses(instance) == [DagsterRunStatus.STARTED, DagsterRunStatus.QUEUED]
        wait_until(lambda: all(record.end_time for record in records(instance)), "both runs have ended", 120)

    first, second = records(instance)
    assert [first.dagster_run.status, second.dagster_run.status] == [DagsterRunStatus.SUCCESS] * 2
    assert first.end_time is not None
    assert second.start_time is not None
    assert second.start_time >= first.end_time
    assert {status for _, status in dagster_archive.audits()} == {"completed"}
    assert dagster_archive.what_does_not_add_up(before) == []
