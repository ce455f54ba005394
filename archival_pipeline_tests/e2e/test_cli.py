"""The command line on real servers, called as a script calls it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from typing import TYPE_CHECKING

import psycopg
import pytest

from archival_pipeline.database.connections import connect
from archival_pipeline_tests.e2e.conftest import COMMAND
from archival_pipeline_tests.support.processes import started

if TYPE_CHECKING:
    from pathlib import Path

    from archival_pipeline_tests.e2e.conftest import Archive

COMPLETED = ("--process-status", "COMPLETED")
BACKUP = ("backup", *COMPLETED, "--yes")


def test_installed_program_answers_with_json_alone(archive_pair: Archive) -> None:
    done = subprocess.run(
        [COMMAND, "count", *COMPLETED],
        check=False,
        capture_output=True,
        text=True,
        env=archive_pair.environment,
        stdin=subprocess.DEVNULL,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == archive_pair.run("count", *COMPLETED).document


def test_reading_commands_answer_in_the_names_of_the_rest_interface(archive_pair: Archive) -> None:
    total = archive_pair.run("count", *COMPLETED).document["totalCount"]
    first = archive_pair.run("find", *COMPLETED, "--page-size", "7").document["processInstanceIds"]
    second = archive_pair.run("find", *COMPLETED, "--page-size", "7", "--page-number", "2").document
    every = archive_pair.run("find", *COMPLETED, "--page-size", "10000").document["processInstanceIds"]
    assert len(every) == total
    assert every[:14] == first + second["processInstanceIds"]
    assert archive_pair.run("count", *COMPLETED, "--database", "backup").document == {"totalCount": 0}
    assert archive_pair.run("check").document["findings"] == []


def test_filters_of_every_form_mean_the_same(archive_pair: Archive, tmp_path: Path) -> None:
    document = tmp_path / "filters.json"
    document.write_text('{"piids": [1, 2, 3], "processStatus": "COMPLETED"}', encoding="utf-8")
    as_options = archive_pair.run("find", "--piid", "3", "--piid", "1", "--piid", "2", *COMPLETED)
    as_file = archive_pair.run("find", "--filters", f"@{document}")
    mixed = archive_pair.run("find", "--filters", '{"piids": ["1", "2", "3"]}', *COMPLETED)
    assert as_options.code == 0
    assert as_options.document == as_file.document == mixed.document


def test_children_are_those_that_the_engine_recorded(archive_pair: Archive) -> None:
    with connect(archive_pair.settings.primary, purpose="look") as session:
        row = session.execute(
            "SELECT parentprocessinstanceid, array_agg(processinstanceid ORDER BY processinstanceid)"
            " FROM processinstancelog AS child WHERE parentprocessinstanceid > 0 AND NOT EXISTS ("
            "  SELECT FROM processinstancelog AS grandchild"
            "  WHERE grandchild.parentprocessinstanceid = child.processinstanceid)"
            " GROUP BY parentprocessinstanceid ORDER BY count(*) DESC, parentprocessinstanceid LIMIT 1"
        ).fetchone()
    assert row is not None
    parent, found = row
    assert set(found) <= set(archive_pair.run("children", str(parent)).document["childProcessInstanceIds"])


def test_generated_script_puts_the_rows_into_the_backup(archive_pair: Archive) -> None:
    picked = archive_pair.run("find", *COMPLETED, "--page-size", "3").document["processInstanceIds"]
    script = archive_pair.run("generate-sql", *map(str, picked)).document["backupSqlScript"]
    assert script[0], script[-1] == ("BEGIN;", "COMMIT;")
    with connect(archive_pair.settings.backup, purpose="run the script", autocommit=True) as session:
        for statement in script:
            session.execute(statement)
    found = archive_pair.run("find", "--database", "backup", *COMPLETED).document["processInstanceIds"]
    assert set(picked) <= set(found)


def test_script_for_a_dba_does_what_migrate_does(archive_pair: Archive) -> None:
    with connect(archive_pair.settings.backup, purpose="start anew", autocommit=True) as session:
        session.execute("DROP SCHEMA public CASCADE")
        session.execute("CREATE SCHEMA public")
    before = archive_pair.run("check")
    assert before.code == 1
    assert any("migrate" in finding for finding in before.document["findings"])
    script = archive_pair.run("migrate", "--sql").document["sql"]
    assert archive_pair.run("check").document == before.document
    with connect(archive_pair.settings.backup, purpose="run the script", autocommit=True) as session:
        session.execute(script)
    assert archive_pair.run("check").document["findings"] == []
    assert archive_pair.run("migrate").document["backupTableStatements"] == []


def test_backup_moves_and_its_audit_can_be_read(archive_pair: Archive) -> None:
    before = archive_pair.look_at_primary()
    rehearsal = archive_pair.run("backup", *COMPLETED, "--dry-run")
    assert rehearsal.code == 0
    assert archive_pair.look_at_primary() == before
    assert archive_pair.audits() == []

    done = archive_pair.run(*BACKUP, "--batch-size", "20", "--batches-per-wave", "2")
    assert done.code == 0
    document = done.document
    assert document["treesMoved"] == rehearsal.document["treesToMove"] > 0
    assert document["rowsMoved"] == rehearsal.document["rowsToMove"] == sum(document["rowsPerTable"].values())
    assert document["treesSkipped"] == len(document["stayed"]) > 0
    assert archive_pair.what_does_not_add_up(before) == []

    audit_id = document["auditId"]
    newest = archive_pair.run("audits", "latest", audit_id).document
    assert (newest["auditStatus"], newest["step"]) == ("completed", "complete")
    timeline = archive_pair.run("audits", "show", audit_id, "--page-size", "3").document
    assert timeline["totalCount"] > len(timeline["audits"]) == 3
    assert [row["step"] for row in timeline["audits"]] == ["initiate", "count", "fetch"]
    listed = archive_pair.run("audits", "list", "--audit-type", "backup").document
    assert [row["auditId"] for row in listed["audits"]] == [audit_id]
    assert archive_pair.run("audits", "summary", "--audit-status", "failed").document == {"totalCount": 0}
    unknown = archive_pair.run("audits", "show", "nobody")
    assert (unknown.code, unknown.error["errorCode"]) == (2, "NOT_FOUND")


def test_conflicting_content_in_the_backup_is_reported_by_the_exit_code(archive_pair: Archive) -> None:
    row = "INSERT INTO processinstancelog (id, processinstanceid, processname) VALUES (%s, %s, 'another content')"
    with connect(archive_pair.settings.primary, purpose="look") as session:
        ours = session.execute("SELECT id FROM processinstancelog WHERE status = 2 ORDER BY id LIMIT 1").fetchone()
    assert ours is not None
    with connect(archive_pair.settings.backup, purpose="conflict", autocommit=True) as session:
        session.execute(row, [ours[0], 987_654_321])
    done = archive_pair.run(*BACKUP)
    assert done.code == 4
    quarantined = [tree for tree in done.document["stayed"] if tree["outcome"] == "quarantined"]
    assert [tree["errorCode"] for tree in quarantined] == ["23505"]
    assert done.document["treesMoved"] > 0


def test_second_operation_is_refused_and_names_the_first(archive_pair: Archive, tmp_path: Path) -> None:
    log = tmp_path / "first.log"
    with archive_pair.held_up(), started([COMMAND, *BACKUP], archive_pair.environment, log) as first:
        archive_pair.wait_until_held_up()
        second = archive_pair.run(*BACKUP)
        [(audit_id, status)] = archive_pair.audits()
        assert status == "in_progress"
        assert second.code == 3
        assert (second.error["errorCode"], second.error["auditId"]) == ("OPERATION_IN_PROGRESS", audit_id)
        assert first.poll() is None


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_stops_it_cleanly_and_the_next_run_goes_on(
    archive_pair: Archive, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    before = archive_pair.look_at_primary()
    log = tmp_path / "stopped.log"
    with archive_pair.held_up(), started([COMMAND, *BACKUP], archive_pair.environment, log) as process:
        archive_pair.wait_until_held_up()
        process.send_signal(number)
        # The lock is still held: it is the statement in flight that has to be cancelled.
        assert process.wait(timeout=20) == code
    assert '"errorCode": "CANCELLED"' in log.read_text(encoding="utf-8")
    assert [status for _, status in archive_pair.audits()] == ["cancelled"]
    assert archive_pair.run(*BACKUP).code == 0
    assert archive_pair.what_does_not_add_up(before) == []


@pytest.mark.parametrize(("reply", "code", "moved"), [("n", 1, False), ("y", 0, True)])
def test_person_is_asked_first(archive_pair: Archive, reply: str, code: int, *, moved: bool) -> None:
    ended, text = _at_a_terminal(archive_pair, reply, "backup", *COMPLETED)
    assert ended == code
    assert "instance(s) are selected" in text
    assert ("Rows per table" in text) is moved
    assert bool(archive_pair.audits()) is moved


def test_person_is_asked_about_what_the_operation_moved(archive_pair: Archive) -> None:
    first = archive_pair.run(*BACKUP, "--max-batches", "1", "--batch-size", "5").document
    second = archive_pair.run(*BACKUP, "--max-batches", "1", "--batch-size", "7").document
    assert 0 < first["treesMoved"] < second["treesMoved"]
    ended, text = _at_a_terminal(archive_pair, "n", "restore", "--audit-id", first["auditId"])
    assert ended == 1
    assert f"{first['treesMoved']} tree(s) of {first['auditId']} are selected" in " ".join(text.split())
    unknown = archive_pair.run("restore", "--audit-id", "nobody", "--yes")
    assert (unknown.code, unknown.error["errorCode"]) == (2, "INVALID_REQUEST")


def _at_a_terminal(archive: Archive, reply: str, *arguments: str) -> tuple[int, str]:
    """Run a command as a person does, and give one answer; return how it ended and what was shown."""
    ours, theirs = pty.openpty()
    environment = archive.environment | {"TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(
        [COMMAND, *arguments], env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        os.write(ours, f"{reply}\n".encode())
        text = _read_all(ours)
        return process.wait(timeout=60), text


def _read_all(terminal: int) -> str:
    """Read until the other side has closed its end."""
    parts = []
    try:
        while part := os.read(terminal, 65_536):
            parts.append(part)
    except OSError:
        # This is how Linux says that the last program has left the terminal.
        pass
    finally:
        os.close(terminal)
    return b"".join(parts).decode(errors="replace")


def test_no_secret_is_ever_printed(archive_pair: Archive) -> None:
    secret = archive_pair.settings.primary.password.get_secret_value()
    answers = [
        archive_pair.run(*arguments)
        for arguments in (("check",), ("migrate", "--sql"), ("count", "--process-name", secret), ("find", "--bad"))
    ]
    assert all(secret not in answer.out + answer.err for answer in answers)


def test_database_that_refuses_is_named(archive_pair: Archive) -> None:
    with connect(archive_pair.settings.primary, purpose="break", autocommit=True) as session:
        session.execute("DROP FUNCTION process_count_fn_v1")
    refused = archive_pair.run("count", *COMPLETED)
    assert refused.code == 1
    assert refused.error["errorCode"] == psycopg.errors.UndefinedFunction.sqlstate
    assert "migrate" in refused.error["errorResolve"]
