"""dagster.yaml is understood by the installed Dagster and means what its comments say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from dagster import DagsterInstance
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline.settings import DatabaseSettings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def instance(
    backup_database: DatabaseSettings, clean_environment: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[DagsterInstance]:
    where = backup_database
    url = f"postgresql+psycopg2://{where.username}:{where.password.get_secret_value()}@{where.host}:{where.port}"
    clean_environment.setenv("DAGSTER_PG_URL", f"{url}/{where.database}")
    (tmp_path / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    with DagsterInstance.from_config(str(tmp_path)) as loaded:
        yield loaded


def test_runs_are_kept_in_postgresql(instance: DagsterInstance) -> None:
    assert isinstance(instance.run_storage, PostgresRunStorage)
    assert isinstance(instance.event_log_storage, PostgresEventLogStorage)
    assert instance.get_runs_count() == 0


def test_one_exclusive_run_at_a_time_and_others_beside_it(instance: DagsterInstance) -> None:
    assert isinstance(instance.run_coordinator, QueuedRunCoordinator)
    queue = instance.get_concurrency_config().run_queue_config
    assert queue is not None
    assert queue.max_concurrent_runs == 5
    assert queue.tag_concurrency_limits == [{"key": "archival/exclusive", "limit": 1}]


def test_dagster_neither_retries_nor_resumes_runs(instance: DagsterInstance) -> None:
    assert not instance.run_retries_enabled
    assert instance.run_monitoring_enabled
    assert instance.run_monitoring_max_resume_run_attempts == 0
    assert instance.run_monitoring_cancel_timeout_seconds == 120


def test_sends_no_telemetry(instance: DagsterInstance) -> None:
    assert instance.telemetry_enabled is False
