"""What the command line promises before it reaches a database: forms, refusals, exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
import pytest

from archival_pipeline.archival.filters import Filters
from archival_pipeline.archival.options import Options
from archival_pipeline.cli import cli
from archival_pipeline.commands import output

if TYPE_CHECKING:
    from pathlib import Path


SETTINGS = {
    "DB_HOST": "127.0.0.1",
    # Nobody listens here: what gets this far fails, and fast.
    "DB_PORT": "1",
    "DB_USERNAME": "engine",
    "DB_PASSWORD": "hunter2-primary",
    "BPM_DB_NAME": "bpm",
    "BPM_BACKUP_DB_HOST": "127.0.0.1",
    "BPM_BACKUP_DB_PORT": "1",
    "BPM_BACKUP_DB_USERNAME": "archive",
    "BPM_BACKUP_DB_PASSWORD": "hunter2-backup",
    "BPM_BACKUP_DB_NAME": "bpm_backup",
}


@pytest.fixture
def configured(clean_environment: pytest.MonkeyPatch) -> None:
    for name, value in SETTINGS.items():
        clean_environment.setenv(name, value)


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run a command that must fail; return its exit code and what it says to programs."""
    code = output.run(cli, arguments)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    document = json.loads(said.err)
    assert {"errorCode", "errorSummary", "errorResolve"} <= document.keys()
    assert all(isinstance(value, str) and value for value in document.values())
    return code, document


def test_help_documents_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert output.run(cli, ["--help"]) == 0
    text = capsys.readouterr().out
    listed = {int(line.split()[0]) for line in text.splitlines() if line.strip() and line.split()[0].isdigit()}
    assert listed == {code.value for code in output.ExitCode} | {143}


def test_no_command_shows_the_help_and_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert output.run(cli, []) == 2
    assert "Exit codes" in capsys.readouterr().err


def commands() -> list[click.Command]:
    """Every command, those of groups one by one."""
    found: list[click.Command] = []
    waiting = list(cli.commands.values())
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, click.Group):
            waiting += one.commands.values()
        else:
            found.append(one)
    return found


@pytest.mark.parametrize("command", commands(), ids=lambda command: command.name)
def test_every_command_and_option_is_described_and_answers_in_json(command: click.Command) -> None:
    assert command.help
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    assert "--json" in {flag for option in options for flag in option.opts}
    assert all(option.help for option in options)


@pytest.mark.parametrize("name", ["count", "find", "backup"])
def test_every_filter_has_an_option(name: str) -> None:
    declared = {parameter.name for parameter in cli.commands[name].params}
    assert set(Filters.model_fields) <= declared


def test_every_option_of_a_backup_has_an_option() -> None:
    declared = {parameter.name for parameter in cli.commands["backup"].params}
    assert set(Options.model_fields) - declared == {"database", "force", "only_if_backed_up", "audit_id"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("count", "--no-such-option"),
        ("nonsense",),
        ("children",),
        ("find", "--page-size", "0"),
        ("find", "--database", "elsewhere"),
        ("count", "--variable", "without-equals-sign"),
        ("count", "--filters", "{"),
        ("count", "--filters", "[1]"),
        ("count", "--filters", "@/no/such/file"),
        ("count", "--filters", '{"processName": "a"}', "--process-name", "b"),
        ("migrate", "--primary-only", "--sql", "left over"),
        ("pair",),
    ],
)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    code, document = complaint(capsys, *arguments)
    assert (code, document["errorCode"]) == (2, "INVALID_USAGE")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("count", "--process-status", "DONE"), "processStatus"),
        (("count", "--ended-from", "2025-01-01"), "endedFrom"),
        (("count", "--piid", "0"), "piids"),
        (("children", "--", "-1"), "piids"),
        (("generate-sql", "abc"), "piids"),
        (("count", "--filters", '{"procesName": "a"}'), "procesName"),
        (("backup", "--process-name", "a", "--batch-size", "101", "--yes"), "batchSize"),
        (("backup", "--yes"), "filter"),
    ],
)
def test_wrong_request_names_the_field(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], named: str
) -> None:
    code, document = complaint(capsys, *arguments)
    assert (code, document["errorCode"]) == (2, "INVALID_REQUEST")
    assert named in document["errorSummary"]


def test_backup_is_refused_where_nobody_can_be_asked(capsys: pytest.CaptureFixture[str]) -> None:
    code, document = complaint(capsys, "backup", "--process-status", "COMPLETED")
    assert code == 2
    assert "--yes" in document["errorSummary"]
    assert "--dry-run" in document["errorSummary"]


@pytest.mark.usefixtures("clean_environment")
def test_missing_settings_are_all_named(capsys: pytest.CaptureFixture[str]) -> None:
    code, document = complaint(capsys, "count", "--process-name", "a")
    assert (code, document["errorCode"]) == (2, "INVALID_CONFIG")
    assert all(name in document["errorSummary"] for name in ("DB_HOST", "DB_PASSWORD", "BPM_BACKUP_DB_NAME"))


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("command", [("check",), ("migrate",), ("count",), ("audits", "list")])
def test_unreachable_database_fails_without_its_password(
    capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    code, document = complaint(capsys, *command)
    assert code == 1
    assert document["errorCode"].startswith("08")
    assert "127.0.0.1:1" in document["errorSummary"]
    assert "hunter2" not in json.dumps(document)


@pytest.mark.usefixtures("configured")
def test_filters_are_read_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "filters.json"
    path.write_text('{"processStatus": "NEVER"}', encoding="utf-8")
    code, document = complaint(capsys, "count", "--filters", f"@{path}")
    assert code == 2
    assert "NEVER" in document["errorSummary"]


def test_people_get_text(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert output.run(cli, ["count", "--piid", "x"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("INVALID_REQUEST: ")
    assert "{" not in said
