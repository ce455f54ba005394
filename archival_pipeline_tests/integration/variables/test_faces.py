"""The command line and the REST service over the recorded history: the same answers, and errors in their forms."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

from archival_pipeline.cli import cli
from archival_pipeline.commands import output
from archival_pipeline_tests.support import camunda_golden, rest

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from archival_pipeline.settings_camunda import CamundaSettings

_LINES = {(line["activity_id"], line["at"]): line for line in camunda_golden.expected() if line["scenario"] == "s1"}
_LINE = _LINES["A", "end"]
_ID = _LINE["activity_instance_id"]


def _environment(golden: CamundaSettings) -> dict[str, str]:
    return {
        "CAMUNDA_DB_HOST": golden.host,
        "CAMUNDA_DB_PORT": str(golden.port),
        "CAMUNDA_DB_USERNAME": golden.username,
        "CAMUNDA_DB_PASSWORD": golden.password.get_secret_value(),
        "CAMUNDA_DB_NAME": golden.database,
    }


def test_commands_list_show_compare_and_download(
    golden: CamundaSettings, clean_environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name, value in _environment(golden).items():
        clean_environment.setenv(name, value)

    def run(*arguments: str) -> tuple[int, dict[str, object]]:
        code = output.run(cli, ["variables", *arguments, "--json"])
        said = capsys.readouterr()
        return code, json.loads(said.out or said.err)

    _, listed = run("activities", _LINE["process_instance_id"], "--activity-id", "A")
    assert listed["totalCount"] == 1

    code, shown = run("show", _ID, "--at", "end")
    assert code == 0
    found = {row["name"]: row for row in shown["variables"]}  # type: ignore[attr-defined]
    assert found.keys() == _LINE["visible"].keys()

    target = tmp_path / "f.txt"
    assert run("download", found["fi"]["changeId"], "--output", str(target))[0] == 0
    assert target.read_bytes() == b"hello"
    assert run("download", found["fi"]["changeId"], "--output", str(target))[0] == output.ExitCode.USAGE

    assert run("diff", _ID, _ID)[0] == 0
    code, error = run("show", "A:none")
    assert (code, error["errorCode"]) == (output.ExitCode.FAILED, "NOT_FOUND")
    code, error = run("plan", _ID)
    assert (code, error["errorCode"]) == (output.ExitCode.USAGE, "INVALID_CONFIG")


def test_routes_list_show_compare_and_download(golden: CamundaSettings, tmp_path: Path) -> None:
    with rest.service(_environment(golden), tmp_path) as client:
        base = "/bpm/variables"
        process = quote(_LINE["process_instance_id"])
        listed = client.get(f"{base}/process-instances/{process}/activity-instances", params={"pageSize": 2})
        assert listed.status_code == 200, listed.text
        assert int(listed.headers["X-Total-Count"]) == len(_LINES) // 2
        assert len(listed.json()) == 2

        shown = client.get(f"{base}/activity-instances/{quote(_ID)}/snapshot", params={"at": "end"}).json()
        found = {row["name"]: row for row in shown["variables"]}
        assert found.keys() == _LINE["visible"].keys()

        content = client.get(f"{base}/changes/{found['fi']['changeId']}/content")
        assert content.content == b"hello"
        assert "attachment" in content.headers["Content-Disposition"]

        moment = client.get(f"{base}/process-instances/{process}/snapshot", params={"moment": "2026-11-20T14:00:00Z"})
        assert moment.json()["variables"]
        assert client.get(f"{base}/diff", params={"before": _ID, "after": _ID}).status_code == 200
        missing = client.get(f"{base}/activity-instances/none/snapshot")
        assert (missing.status_code, missing.json()["errorCode"]) == (404, "NOT_FOUND")
        assert client.get(f"{base}/activity-instances/x/snapshot", params={"at": "middle"}).status_code == 400
        assert "/variables/diff" in str(client.get("/api-docs-json").json()["paths"].keys())


def test_without_a_camunda_database_the_routes_say_so(tmp_path: Path) -> None:
    with rest.service({}, tmp_path) as client:
        for answer in (
            client.get("/bpm/variables/activity-instances/x/snapshot"),
            client.get("/bpm/variables/stored-snapshots"),
            client.post("/bpm/variables/plans", json={"activityInstanceId": "x"}),
        ):
            assert (answer.status_code, answer.json()["errorCode"]) == (503, "INVALID_CONFIG")
