"""The job and the commands of the cleanup, on a real database."""

from __future__ import annotations

import json
import warnings
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from dagster import DagsterInstance

from archival_pipeline.cli import cli
from archival_pipeline.commands import output
from archival_pipeline.database.connections import connect
from archival_pipeline.history.cleanup.archive import opening
from archival_pipeline.history.cleanup.orphans import find_orphans
from archival_pipeline_tests.support.archive import environment_of
from archival_pipeline_tests.support.camunda import camunda_settings
from archival_pipeline_tests.support.camunda_cleanup import content, fill, without

if TYPE_CHECKING:
    from archival_pipeline.local.camunda_data import Scene
    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline.settings_camunda import CamundaSettings

with warnings.catch_warnings():
    # Dagster looks for the fields of a resource that has none by a name that pydantic has deprecated.
    warnings.filterwarnings("ignore", "The `__fields__` attribute is deprecated")
    from archival_pipeline.defs import cleanup as definitions
    from archival_pipeline.defs import cleanup_archive as restoring


@pytest.fixture
def scene(primary_database: DatabaseSettings, clean_environment: pytest.MonkeyPatch) -> Scene:
    filled = fill(primary_database)
    for name, value in {
        "CAMUNDA_DB_HOST": primary_database.host,
        "CAMUNDA_DB_PORT": str(primary_database.port),
        "CAMUNDA_DB_USERNAME": primary_database.username,
        "CAMUNDA_DB_PASSWORD": primary_database.password.get_secret_value(),
        "CAMUNDA_DB_NAME": primary_database.database,
    }.items():
        clean_environment.setenv(name, value)
    # The scene's moment; what is younger there is older now, so every age is told to the product as of then.
    monday = filled.now.replace(tzinfo=UTC)
    clean_environment.setattr(definitions, "_now", lambda: monday)
    clean_environment.setattr("archival_pipeline.commands.cleanup._now", lambda: monday)
    return filled


@pytest.fixture
def archive(backup_database: DatabaseSettings, clean_environment: pytest.MonkeyPatch) -> DatabaseSettings:
    """A backup that the environment names; never migrated."""
    for name, value in environment_of(backup_database, backup_database).items():
        if name.startswith("BPM_BACKUP_"):
            clean_environment.setenv(name, value)
    return backup_database


@pytest.fixture
def camunda(primary_database: DatabaseSettings) -> CamundaSettings:
    return camunda_settings(primary_database)


def launch(instance: DagsterInstance, **config: Any) -> Any:
    return definitions.history_cleanup.execute_in_process(
        run_config={"ops": {"clean_history": {"config": config}}}, instance=instance, raise_on_error=False
    )


def test_job_shows_its_numbers(scene: Scene, camunda: CamundaSettings) -> None:
    before = content(camunda)
    with DagsterInstance.ephemeral() as instance:
        first = launch(instance)
        assert first.success
        assert content(camunda) == before
        assert launch(instance, dryRun=False).success
        record = instance.fetch_materializations(definitions.ASSET, limit=1).records[0].asset_materialization
    assert content(camunda) == without(before, scene.due)
    assert record is not None
    numbers = {name: found.value for name, found in record.metadata.items()}
    assert numbers["removed instances"] == len(scene.due["act_hi_procinst"])
    assert numbers["history-cleanup-removed-process-instances"] == len(scene.due["act_hi_procinst"])
    assert numbers["removed rows"] == sum(map(len, scene.due.values()))
    assert (numbers["left over"], numbers["stopped by the window"]) == (0, False)
    assert {"seconds", "rows per second", "window used", "rows per table"} <= numbers.keys()


def test_job_outside_the_window_fails_with_the_next_opening(
    scene: Scene, camunda: CamundaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(camunda)
    monkeypatch.setattr(definitions, "_now", lambda: datetime(2026, 3, 10, 23, tzinfo=UTC))
    with DagsterInstance.ephemeral() as instance:
        assert not launch(instance, dryRun=False).success
        assert content(camunda) == before
        assert launch(instance, dryRun=False, immediate=True).success
    assert scene.due["act_hi_procinst"].isdisjoint(content(camunda)["act_hi_procinst"])


def test_commands(scene: Scene, camunda: CamundaSettings, capsys: pytest.CaptureFixture[str]) -> None:
    def call(*arguments: str) -> Any:
        assert output.run(cli, ["cleanup", *arguments, "--json"]) == output.ExitCode.OK
        return json.loads(capsys.readouterr().out)

    assert call("report")["hierarchies"] == len(scene.roots) + 3
    assert call("orphans")["withoutParent"] == {"act_hi_detail": 1}
    assert call("orphans", "--remove", "--yes")["removed"]["act_ge_bytearray"] == 1
    assert find_orphans(camunda).total == 0
    assert call("backfill", "--dry-run")["hierarchies"] == 1
    assert call("backfill", "--yes")["hierarchies"] == 1
    done = call("run", "--yes")
    assert done["removedHierarchies"] == len(scene.roots) + 4
    assert done["leftOver"] == 0


def test_archive_commands(
    scene: Scene, archive: DatabaseSettings, camunda: CamundaSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(*arguments: str, code: int = output.ExitCode.OK) -> Any:
        assert output.run(cli, ["cleanup", *arguments, "--json"]) == code
        return json.loads(capsys.readouterr().out)

    before = content(camunda)
    assert call("migrate")["backupTableStatements"]
    assert call("migrate")["backupTableStatements"] == []
    done = call("run", "--yes", "--archive")
    assert content(camunda) == without(before, scene.due)
    (hierarchies, rows) = call("archived")["units"]
    assert (hierarchies["kind"], hierarchies["state"]) == ("hierarchy", "deleted")
    assert hierarchies["units"] == done["removedHierarchies"]
    assert rows["kind"] == "rows"
    counted = call("restore", "--run", done["archivedAs"], "--dry-run")
    assert counted["rowsPerTable"] == done["rowsPerTable"]
    assert call("restore", "--instance", scene.roots[0], "--yes")["hierarchies"] == 1
    assert call("restore", "--all", "--yes")["dueAgain"] == done["removedHierarchies"] - 1
    assert content(camunda) == before
    assert output.run(cli, ["cleanup", "restore", "--all", "--json"]) == output.ExitCode.USAGE
    assert output.run(cli, ["cleanup", "restore", "--yes", "--json"]) == output.ExitCode.USAGE
    assert archive.database


def test_the_job_ends_by_removing_archived_history_that_has_expired(
    scene: Scene, archive: DatabaseSettings, camunda: CamundaSettings, clean_environment: pytest.MonkeyPatch
) -> None:
    opening.migrate(camunda, archive)
    clean_environment.setenv("historyCleanupArchiveBeforeDelete", "true")
    with DagsterInstance.ephemeral() as instance:
        assert launch(instance, dryRun=False).success
        assert instance.fetch_materializations(definitions.ARCHIVE, limit=1).records == []
        clean_environment.setenv("historyArchiveTimeToLive", "P30D")
        with connect(archive, purpose="test") as session:
            # The scene's moment is the job's.
            session.execute("UPDATE cleanup_archive_unit SET changed_at = '2000-01-01'")
        assert launch(instance).success
        assert launch(instance, dryRun=False).success
        record = instance.fetch_materializations(definitions.ARCHIVE, limit=1).records[0].asset_materialization
    with connect(archive, purpose="test") as session:
        assert session.execute("SELECT DISTINCT state FROM cleanup_archive_unit").fetchall() == [("expired",)]
        assert session.execute("SELECT count(*) FROM camunda_act_hi_procinst").fetchone() == (0,)
    assert record is not None
    assert record.metadata["expired archived hierarchies"].value == len(scene.roots) + 3
    assert record.metadata["archived, expired, left over"].value == 0


def test_orphans_are_archived_too(
    scene: Scene, archive: DatabaseSettings, camunda: CamundaSettings, clean_environment: pytest.MonkeyPatch
) -> None:
    before = content(camunda)
    opening.migrate(camunda, archive)
    clean_environment.setenv("historyCleanupArchiveBeforeDelete", "true")
    with DagsterInstance.ephemeral() as instance:
        assert launch(instance, dryRun=False, removeOrphans=True).success
        assert find_orphans(camunda).total == 0
        restored = restoring.history_cleanup_restore.execute_in_process(
            run_config={"ops": {"restore_history": {"config": {"everything": True, "dryRun": False}}}},
            instance=instance,
        )
    assert restored.success
    assert content(camunda) == before
    assert scene.roots


def test_a_job_that_cannot_archive_removes_nothing(
    scene: Scene, camunda: CamundaSettings, clean_environment: pytest.MonkeyPatch
) -> None:
    before = content(camunda)
    clean_environment.setenv("historyCleanupArchiveBeforeDelete", "true")
    with DagsterInstance.ephemeral() as instance:
        assert not launch(instance, dryRun=False).success
    assert content(camunda) == before
    assert scene.roots


def test_command_refuses_without_consent(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert output.run(cli, ["cleanup", "run", "--json"]) == output.ExitCode.USAGE
    assert "--yes" in capsys.readouterr().err
    assert scene.roots
