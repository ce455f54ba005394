"""Plan and apply over REST, stored snapshots over REST and from the command line."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from archival_pipeline.cli import cli
from archival_pipeline.commands import output
from archival_pipeline.database import migrations
from archival_pipeline.variables import storing
from archival_pipeline_tests.integration.variables.conftest import NOW
from archival_pipeline_tests.support import camunda, camunda_golden, rest, stored_snapshots
from archival_pipeline_tests.support.engine_server import EngineServer, engine_server
from archival_pipeline_tests.support.identity_server import identity_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx
    import pytest

    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline.settings_camunda import CamundaSettings

_LINE = next(line for line in camunda_golden.expected() if line["scenario"] == "s2" and line["activity_id"] == "D")
_ABOUT = camunda_golden.history(_LINE["process_instance_id"]).process
_SINCE = datetime(2026, 11, 1, tzinfo=UTC)
_BASE = "/bpm/variables"


def _state() -> dict[str, Any]:
    over = {"processDefinitionId": _ABOUT.definition_id, "endTime": "2026-11-20T13:28:16.828+0000"}
    return {"definitions": {_ABOUT.definition_id: {"D": None}}, "instances": {}, "history": {_ABOUT.id: over}}


def _backup(settings: DatabaseSettings) -> dict[str, str]:
    migrations.upgrade(settings, "backup")
    return {
        "BPM_BACKUP_DB_HOST": settings.host,
        "BPM_BACKUP_DB_PORT": str(settings.port),
        "BPM_BACKUP_DB_USERNAME": settings.username,
        "BPM_BACKUP_DB_PASSWORD": settings.password.get_secret_value(),
        "BPM_BACKUP_DB_NAME": settings.database,
    }


@contextmanager
def _service(
    golden: CamundaSettings, backup: DatabaseSettings, tmp_path: Path, **more: str
) -> Iterator[tuple[httpx.Client, EngineServer]]:
    with engine_server(tmp_path, _state()) as engine:
        environment = camunda.variables(golden) | _backup(backup) | engine.variables()
        with rest.service(environment, tmp_path, **more) as client:
            yield client, engine


def test_a_plan_is_made_read_saved_and_applied_once(
    golden: CamundaSettings, backup_database: DatabaseSettings, tmp_path: Path
) -> None:
    with _service(golden, backup_database, tmp_path) as (client, engine):

        def plan(**body: Any) -> httpx.Response:
            return client.post(f"{_BASE}/plans", json={"activityInstanceId": _LINE["activity_instance_id"], **body})

        def apply(made: Any, **body: Any) -> httpx.Response:
            return client.post(f"{_BASE}/plans/apply", json={"plan": made, "acceptInexact": True, **body})

        def code(answer: httpx.Response) -> tuple[int, str]:
            return answer.status_code, answer.json()["errorCode"]

        answer = plan()
        assert answer.status_code == 200, answer.text
        made = json.loads(answer.text)
        assert (made["operation"], made["processInstanceId"]) == ("restart", _ABOUT.id)
        assert engine.sent() == []

        assert code(apply(made | {"expects": "0" * 64})) == (409, "PLAN_REFUSED")
        strange = made["steps"][0] | {"path": "/deployment/create"}
        assert code(apply(made | {"steps": [strange, *made["steps"]]})) == (409, "PLAN_REFUSED")
        assert code(apply(made | {"inexact": [{"name": "x", "reason": "y"}]}, acceptInexact=False)) == (
            409,
            "PLAN_REFUSED",
        )
        assert code(apply({"version": 1})) == (400, "INVALID_REQUEST")
        assert engine.sent() == []

        done = apply(made)
        assert done.status_code == 200, done.text
        assert len(engine.sent()) == done.json()["steps"] == 1
        assert code(apply(made)) == (409, "PLAN_REFUSED")
        assert len(engine.sent()) == 1
        told = client.get(f"{_BASE}/process-instances/{quote(_ABOUT.id)}/restores").json()
        assert {row["auditId"] for row in told} == {done.json()["auditId"]}
        assert [row["auditStatus"] for row in told] == ["initiated", "in_progress", "in_progress", "completed"]

        again = plan().json()
        engine.change(broken=[{"method": "POST", "path": ".*/start", "status": 500}])
        assert code(apply(again)) == (502, "ENGINE_REFUSED")
        assert code(plan(cancel=["C:gone"])) == (409, "PLAN_REFUSED")
        assert plan(storedSnapshotId=1).status_code == 400
        assert plan(activityInstanceId="D:none").status_code == 404


def test_a_plan_needs_the_role_of_operators(
    golden: CamundaSettings, backup_database: DatabaseSettings, tmp_path: Path
) -> None:
    with identity_server(tmp_path) as identity:
        more = identity.variables()
        with _service(golden, backup_database, tmp_path, **more) as (client, engine):
            paths = (f"{_BASE}/plans", f"{_BASE}/plans/apply")
            assert [client.post(path, json={}).status_code for path in paths] == [401, 401]
            reader = {"Authorization": f"Bearer {identity.token('reader')}"}
            assert [client.post(path, json={}, headers=reader).status_code for path in paths] == [403, 403]
            operator = {"Authorization": f"Bearer {identity.token('operator')}"}
            assert [client.post(path, json={}, headers=operator).status_code for path in paths] == [400, 400]
            assert client.get(f"{_BASE}/stored-snapshots").status_code == 401
            assert engine.sent() == []


def test_stored_snapshots_are_listed_shown_and_planned_over_rest(
    golden_database: CamundaSettings, backup_database: DatabaseSettings, tmp_path: Path
) -> None:
    storing.prepare(golden_database)
    storing.store(golden_database, stored_snapshots.ALL, now=NOW, since=_SINCE)
    with _service(golden_database, backup_database, tmp_path) as (client, _):
        wanted = {"processInstanceId": _ABOUT.id, "activityId": "D", "at": "start"}
        listed = client.get(f"{_BASE}/stored-snapshots", params=wanted)
        assert (listed.status_code, listed.headers["X-Total-Count"]) == (200, "1"), listed.text
        number = listed.json()[0]["storedSnapshotId"]
        shown = client.get(f"{_BASE}/stored-snapshots/{number}")
        computed = client.get(f"{_BASE}/activity-instances/{quote(_LINE['activity_instance_id'])}/snapshot")
        assert (shown.status_code, shown.json()) == (200, computed.json())
        assert client.get(f"{_BASE}/stored-snapshots/999999").status_code == 404

        made = client.post(f"{_BASE}/plans", json={"storedSnapshotId": number}).json()
        other = client.post(f"{_BASE}/plans", json={"activityInstanceId": _LINE["activity_instance_id"]}).json()
        for name in ("steps", "inexact", "leftOut", "expects", "at"):
            assert made[name] == other[name]


def test_commands_prepare_store_list_show_and_sweep(
    golden_database: CamundaSettings, clean_environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in camunda.variables(golden_database).items():
        clean_environment.setenv(name, value)
    clean_environment.setenv("VARIABLES_STORED_SNAPSHOTS", json.dumps({_ABOUT.definition_key: ["D"]}))

    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        code = output.run(cli, ["variables", "stored", *arguments, "--json"])
        said = capsys.readouterr()
        return code, json.loads(said.out or said.err)

    assert "CREATE TABLE IF NOT EXISTS stored_snapshot" in run("migrate", "--sql")[1]["sql"]
    code, error = run("list")
    assert (code, error["errorCode"]) == (output.ExitCode.USAGE, "INVALID_CONFIG")
    assert run("migrate") == (0, {"schema": "public_snapshots"})
    _, told = run("store", "--since", "2026-11-01")
    _, listed = run("list", "--activity-id", "D")
    assert listed["totalCount"] == told["stored"] > 0
    code, shown = run("show", str(listed["storedSnapshots"][0]["storedSnapshotId"]))
    assert (code, shown["activityId"]) == (0, "D")
    assert run("sweep") == (0, {"swept": 0})

    clean_environment.setenv("VARIABLES_STORED_SNAPSHOTS", "D")
    code, error = run("store")
    assert code == output.ExitCode.USAGE
    assert "VARIABLES_STORED_SNAPSHOTS" in error["errorSummary"]
