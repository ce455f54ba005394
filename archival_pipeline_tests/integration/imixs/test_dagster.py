"""The jobs, the sensor and the check as Dagster runs them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytest
from dagster import (
    DagsterInstance,
    ExecuteInProcessResult,
    RunRequest,
    SensorEvaluationContext,
    SkipReason,
    build_sensor_context,
)

from archival_pipeline_tests.support.imixs.scene import CREATED, MONTH, Scene, document_id

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "The `__fields__` attribute is deprecated")
    from archival_pipeline.definitions import defs
    from archival_pipeline.defs import imixs

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def books() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as found:
        yield found


@pytest.fixture
def configured(scene: Scene, clean_environment: pytest.MonkeyPatch) -> Scene:
    for name, value in scene.environment().items():
        if not name.startswith("BACKUP_FTP_"):
            clean_environment.setenv(name, value)
    clean_environment.setenv("BACKUP_STORAGE_URL", scene.space.url or "")
    clean_environment.setenv("BACKUP_MANIFEST_MINUTES", "0")
    return scene


def execute(job: str, books: DagsterInstance, **run: Any) -> ExecuteInProcessResult:
    return defs.resolve_job_def(job).execute_in_process(instance=books, raise_on_error=False, **run)


def test_backup_job_shows_its_numbers(configured: Scene, books: DagsterInstance) -> None:
    configured.instance.save(document_id(), created=CREATED)
    result = execute("imixs_backup", books)
    assert result.success
    [event] = [event for event in result.all_events if event.is_step_materialization]
    metadata = event.step_materialization_data.materialization.metadata
    assert metadata["stored"].value == 1
    assert configured.names(MONTH) == [f"{document_id()}.xml"]


def test_failed_documents_fail_the_run_after_the_others_are_done(configured: Scene, books: DagsterInstance) -> None:
    for number in range(2):
        configured.instance.save(document_id(number), created=CREATED)
    configured.instance.fault(f"GET .*documents/{document_id(0)}-", "500", times=99)
    result = execute("imixs_backup", books)
    assert not result.success
    assert configured.names(MONTH) == [f"{document_id(1)}.xml"]


def test_verification_is_a_check_of_the_space(configured: Scene, books: DagsterInstance) -> None:
    configured.instance.save(document_id(), created=CREATED)
    assert execute("imixs_full_backup", books).success
    result = execute("imixs_verify", books)
    assert result.success
    [check] = result.get_asset_check_evaluations()
    assert check.passed
    assert check.metadata["verified"].value == 1


def test_restore_is_a_dry_run_unless_told_otherwise(configured: Scene, books: DagsterInstance) -> None:
    configured.instance.save(document_id(), {"group": "a"}, created=CREATED)
    execute("imixs_backup", books)
    configured.instance.empty()
    assert execute("imixs_restore", books).success
    assert configured.instance.ids() == []
    config = {"ops": {"imixs_restore_files": {"config": {"dryRun": False, "filters": {"group": "^a$"}}}}}
    assert execute("imixs_restore", books, run_config=config).success
    assert document_id() in configured.instance.ids()


def look(books: DagsterInstance, now: float = 10_000_000_000) -> RunRequest | SkipReason:
    context: SensorEvaluationContext = build_sensor_context(instance=books)
    return imixs.evaluate(context, clock=lambda: now)


def test_sensor_is_off_without_settings(clean_environment: pytest.MonkeyPatch, books: DagsterInstance) -> None:
    del clean_environment
    found = look(books)
    assert isinstance(found, SkipReason)
    assert "WORKFLOW_SERVICE_ENDPOINT" in (found.skip_message or "")


def test_sensor_launches_when_an_entry_waits(configured: Scene, books: DagsterInstance) -> None:
    assert isinstance(look(books), SkipReason)
    configured.instance.save(document_id(), created=CREATED)
    found = look(books)
    assert isinstance(found, RunRequest)
    # A key would let a failed run block the next one for ever.
    assert found.run_key is None


def test_sensor_says_why_it_cannot_look(configured: Scene, books: DagsterInstance) -> None:
    configured.instance.fault("GET .*eventlog", "503", times=9)
    found = look(books)
    assert isinstance(found, SkipReason)
    assert "IMIXS_UNREACHABLE" in (found.skip_message or "")


def test_sensor_rests_after_failed_runs(configured: Scene, books: DagsterInstance) -> None:
    configured.instance.save(document_id(), created=CREATED)
    configured.instance.fault("GET .*documents", "500", times=99)
    assert not execute("imixs_backup", books).success
    [record] = books.get_run_records()
    assert record.end_time is not None
    found = look(books, now=record.end_time + 10)
    assert isinstance(found, SkipReason)
    assert "failed" in (found.skip_message or "")
    assert isinstance(look(books, now=record.end_time + 61), RunRequest)
