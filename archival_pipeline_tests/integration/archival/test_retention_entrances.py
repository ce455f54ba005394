"""Times to live through the jobs and the commands: settings in, numbers out."""

from __future__ import annotations

import json
import os
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from dagster import DagsterInstance

from archival_pipeline.cli import cli
from archival_pipeline.commands import output
from archival_pipeline.database.connections import connect
from archival_pipeline_tests.e2e.conftest import COMMAND, Archive
from archival_pipeline_tests.support.archive import environment_of
from archival_pipeline_tests.support.checker import differences, filled
from archival_pipeline_tests.support.moves import Engine
from archival_pipeline_tests.support.processes import started

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from archival_pipeline_tests.support.moves import Pair

with warnings.catch_warnings():
    # Dagster looks for the fields of a resource that has none by a name that pydantic has deprecated.
    warnings.filterwarnings("ignore", "The `__fields__` attribute is deprecated")
    from archival_pipeline.defs import retention as definitions


@pytest.fixture
def pair(pair_of: Callable[[Engine], Pair], clean_environment: pytest.MonkeyPatch) -> Pair:
    """A primary whose ended trees are all older than the time to live of the settings."""
    pair = pair_of(Engine(trees=12))
    pair.execute(
        "primary",
        "UPDATE processinstancelog SET start_date = start_date - interval '100 days',"
        " end_date = end_date - interval '100 days'",
    )
    own = {"processHistoryTimeToLive": "P30D", "backupTimeToLive": "P30D"}
    for name, value in (environment_of(pair.settings.primary, pair.settings.backup) | own).items():
        clean_environment.setenv(name, value)
    return pair


def launch(instance: DagsterInstance, job: Any, **config: Any) -> Any:
    return job.execute_in_process(
        run_config={"ops": {"remove_expired": {"config": config}}}, instance=instance, raise_on_error=False
    )


def numbers(done: Any) -> dict[str, Any]:
    [event] = [event for event in done.all_events if event.event_type_value == "STEP_OUTPUT"]
    return {name: value.value for name, value in event.event_specific_data.metadata.items()}


def test_the_job_forecasts_and_then_removes_and_shows_its_numbers(pair: Pair) -> None:
    before = pair.checker.primary()
    with DagsterInstance.ephemeral() as instance:
        told = launch(instance, definitions.process_history_cleanup)
        assert told.success
        assert differences(before, pair.checker.primary()) == []

        done = launch(instance, definitions.process_history_cleanup, dryRun=False, immediate=True)
        assert done.success
        shown, forecast = numbers(done), numbers(told)
        assert shown["trees"] == forecast["trees that would go"] == len(pair.written.safe_roots)
        assert shown["rows"] == forecast["rows, estimated"] > 0
        assert (shown["left over"], shown["quarantined"], shown["audit id"]) == (0, 0, done.run_id)
        assert "seconds, estimated" in numbers(launch(instance, definitions.process_history_cleanup))
        assert "seconds, estimated" not in numbers(launch(instance, definitions.backup_retention))
    assert not set(pair.written.safe_roots) & pair.pids("primary")


def test_a_run_that_waited_past_its_window_removes_nothing_and_says_what_is_left(pair: Pair) -> None:
    before = pair.checker.primary()
    with DagsterInstance.ephemeral() as instance:
        late = launch(instance, definitions.process_history_cleanup, dryRun=False, stopAt="2025-01-01T00:00:00+00:00")
        assert late.success
        assert numbers(late)["left over"] == len(pair.written.safe_roots)
        assert numbers(late)["trees"] == 0
    assert differences(before, pair.checker.primary()) == []


def test_the_commands_report_and_remove(
    pair: Pair, clean_environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(*arguments: str) -> tuple[int, dict[str, Any]]:
        code = output.run(cli, [*arguments, "--json"])
        said = capsys.readouterr()
        return code, json.loads(said.out or said.err)

    held = min(pair.written.safe_roots)
    assert call("hold", "add", "instance", str(held), "--reason", "case 12", "--by", "a lawyer")[0] == 0
    code, told = call("retention", "report", "primary")
    assert (code, told["trees"], told["stayed"]["on_hold"]) == (0, len(pair.written.safe_roots) - 1, 1)
    assert call("retention", "run", "primary", "--immediate")[0] == 2
    assert call("backup", "--process-status", "COMPLETED", "--yes")[0] == 0
    clean_environment.setenv("backupTimeToLiveSince", "ended")
    code, done = call("retention", "run", "backup", "--immediate", "--yes")
    assert (code, done["left"], done["quarantined"], done["stayed"]) == (0, 0, 0, {"on_hold": 1})
    assert done["trees"] > 0
    assert pair.pids("backup") == pair.tree(held)
    clean_environment.setenv("processHistoryTimeToLive", "soon")
    code, refused = call("retention", "report", "primary")
    assert code == 2
    assert "processHistoryTimeToLive" in refused["errorSummary"]


@pytest.mark.faults
def test_a_removal_that_is_killed_leaves_whole_trees_and_the_next_one_completes(pair: Pair, tmp_path: Path) -> None:
    trees = {root: pair.tree(root) for root in pair.written.safe_roots}
    command = [COMMAND, "retention", "run", "primary", "--immediate", "--yes"]
    archive = Archive(pair.settings, dict(os.environ))
    hold_up = "SELECT FROM nodeinstancelog WHERE processinstanceid = ANY(%s) FOR UPDATE"
    with connect(pair.settings.primary, purpose="hold up") as engine:
        engine.execute(hold_up, [sorted(set().union(*trees.values()))])
        with started(command, archive.environment, tmp_path / "killed.log") as process:
            archive.wait_until_held_up()
            process.kill()
            process.wait()
    here = pair.pids("primary")
    assert all(members <= here or not members & here for members in trees.values())

    assert archive.run("retention", "run", "primary", "--immediate", "--yes").code == 0

    assert filled(pair.checker.primary(sorted(set().union(*trees.values())))) == set()
    assert archive.run("retention", "report", "primary").document["trees"] == 0
