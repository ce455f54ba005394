"""The commands, as a script calls them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from archival_pipeline.cli import cli
from archival_pipeline.commands import output
from archival_pipeline.imixs.record import Record
from archival_pipeline.imixs.storage.opening import open_store
from archival_pipeline_tests.support.imixs.scene import CREATED, Scene, document_id

if TYPE_CHECKING:
    from collections.abc import Callable

    Call = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def call(scene: Scene, clean_environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    for name, value in scene.environment().items():
        clean_environment.setenv(name, value)

    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        code = output.run(cli, ["imixs", *arguments])
        said = capsys.readouterr()
        found: dict[str, Any] = json.loads(said.out or said.err)
        return code, found

    return run


def test_whole_round(scene: Scene, call: Call) -> None:
    scene.instance.save(document_id(1), {"group": "a"}, created=CREATED)
    scene.instance.save(document_id(2), {"group": "b"}, created=CREATED)
    assert call("queue")[1]["waiting"] == 2
    code, answer = call("backup")
    assert (code, answer["numbers"]["stored"], answer["problem"]) == (0, 2, None)
    assert call("full-backup")[1]["numbers"]["already_held"] == 2
    assert call("verify", "--sample", "1")[1]["numbers"]["verified"] == 1
    scene.instance.empty()
    assert call("restore", "--dry-run")[1]["numbers"]["would_restore"] == 2
    assert call("restore", "--filter", "group=^a")[1]["numbers"]["restored"] == 1
    status = call("status")[1]
    assert status["totals"]["documents"] == 2
    assert [run["operation"] for run in status["latestRuns"]][:2] == ["restore", "restore"]
    assert 'imixs_runs_total{operation="backup"} 1.0' in call("metrics")[1]["metrics"]


def test_failures_are_told_by_exit_code(scene: Scene, call: Call) -> None:
    scene.instance.save(document_id(), created=CREATED)
    scene.instance.fault("GET .*documents", "500", times=99)
    code, answer = call("backup")
    assert code == 1
    assert answer["problems"][0]["code"] == "IMIXS_UNREACHABLE"
    assert call("restore", "--since", "yesterday")[0] == 2


def test_space_that_another_process_works_on_has_an_exit_code_of_its_own(scene: Scene, call: Call) -> None:
    with Record.open(scene.database, open_store(scene.space).name):
        code, answer = call("backup")
    assert (code, answer["errorCode"]) == (3, "IMIXS_BUSY")


def test_off_is_a_usage_error(clean_environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    del clean_environment
    assert output.run(cli, ["imixs", "backup"]) == 2
    assert json.loads(capsys.readouterr().err)["errorCode"] == "IMIXS_NOT_CONFIGURED"
