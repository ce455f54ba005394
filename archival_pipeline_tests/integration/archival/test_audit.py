"""The audit keeps what was written, refuses to forget it, and answers what operators ask."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from archival_pipeline.archival import audit
from archival_pipeline.archival.audit import (
    AuditCriteria,
    AuditEntry,
    AuditLog,
    AuditStatus,
    AuditStep,
    AuditType,
)
from archival_pipeline.archival.filters import Filters, parse_filters
from archival_pipeline.database import migrations
from archival_pipeline.database.connections import connect
from archival_pipeline.errors import ArchivalError, DatabaseError, VerificationError, from_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline_tests.support.databases import TestDatabases

    Session = psycopg.Connection[tuple[Any, ...]]

FILTERS = parse_filters({"processName": "order's", "deploymentId": "shop:1", "processStatus": "COMPLETED"})
BEGIN = AuditEntry(step=AuditStep.INITIATE, status=AuditStatus.INITIATED)
END = AuditEntry(step=AuditStep.COMPLETE, status=AuditStatus.COMPLETED)


@pytest.fixture(scope="module")
def migrated(backup_databases: TestDatabases) -> Iterator[DatabaseSettings]:
    """A migrated backup database for all tests of this file."""
    database = backup_databases.fresh()
    migrations.upgrade(database, "backup")
    yield database
    backup_databases.drop(database)


@pytest.fixture
def session(migrated: DatabaseSettings) -> Iterator[Session]:
    """An autocommit session on an empty audit; what the test before wrote is removed the way retention does it."""
    with connect(migrated, purpose="test", autocommit=True) as connection:
        connection.execute("SET archival.audit_retention = 'on'; DELETE FROM process_audit_logs")
        connection.execute("ALTER TABLE process_audit_logs ALTER id RESTART; RESET archival.audit_retention")
        yield connection


def log(session: Session, audit_id: str = "run-1", audit_type: AuditType = AuditType.BACKUP, **given: Any) -> AuditLog:
    """The audit of one operation."""
    return AuditLog(session, audit_id, audit_type, given.get("filters", FILTERS))


def test_a_row_comes_back_as_it_was_written(session: Session) -> None:
    begun = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
    log(session).write(
        AuditEntry(
            step=AuditStep.EXECUTE,
            status=AuditStatus.IN_PROGRESS,
            batch_number=2,
            total_batches=7,
            total_count=2**40,
            processed_count=200,
            remaining_count=500,
            skipped_count=3,
            process_instance_ids=(1, 2**53 + 1, 2**63 - 1),
            details={"rowsPerTable": {"task": 5}, "skipped": [{"root": 9, "reason": "it's open; \u2019 $$ %s \\"}]},
            started_at=begun,
            ended_at=begun + timedelta(seconds=5),
        )
    )

    row = audit.latest(session, "run-1")

    assert row is not None
    rest = audit.as_rest(row)
    created = datetime.fromisoformat(rest.pop("createdAt"))
    assert abs(created - datetime.now(UTC)) < timedelta(minutes=1)
    assert json.loads(json.dumps(rest)) == rest
    assert rest == {
        "id": 1,
        "auditId": "run-1",
        "auditType": "backup",
        "auditStatus": "in_progress",
        "step": "execute",
        "batchNumber": 2,
        "totalBatches": 7,
        "totalCount": 2**40,
        "processedCount": 200,
        "remainingCount": 500,
        "skippedCount": 3,
        "processName": "order's",
        "deploymentId": "shop:1",
        "filters": None,
        "processInstanceIds": [1, 2**53 + 1, 2**63 - 1],
        "details": {"rowsPerTable": {"task": 5}, "skipped": [{"root": 9, "reason": "it's open; \u2019 $$ %s \\"}]},
        "errorCode": None,
        "errorSummary": None,
        "errorResolve": None,
        "errorMessage": None,
        "startedAt": "2026-03-01T12:00:00.123456+00:00",
        "endedAt": "2026-03-01T12:00:05.123456+00:00",
    }


def test_a_timeline_is_complete_and_in_order(session: Session) -> None:
    log(session, "other").write(BEGIN)
    log(session).write(BEGIN)
    log(session).write(*(AuditEntry(step=AuditStep.FETCH, batch_number=number) for number in range(1, 100)))

    pages = [audit.timeline(session, "run-1", number, 30) for number in range(1, 6)]

    assert [len(page) for page in pages] == [30, 30, 30, 10, 0]
    assert [row["batch_number"] for page in pages for row in page] == [None, *range(1, 100)]
    assert audit.summary(session, "run-1") == 100
    assert audit.timeline(session, "unknown", 1, 30) == []
    assert audit.summary(session, "unknown") == 0
    assert audit.latest(session, "unknown") is None


def test_writing_nothing_writes_nothing(session: Session) -> None:
    log(session).write()

    assert audit.summary(session, "run-1") == 0


def test_the_filters_stand_in_the_first_row_and_show_in_the_latest(session: Session) -> None:
    log(session).write(BEGIN, AuditEntry(step=AuditStep.COUNT, total_count=5))

    first, second = audit.timeline(session, "run-1", 1, 10)
    found, _ = audit.discover(session, AuditCriteria(), 1, 10)
    newest = audit.latest(session, "run-1")

    assert first["filters"] == FILTERS.as_json()
    assert second["filters"] is None
    assert newest is not None
    assert newest["filters"] == found[0]["filters"] == FILTERS.as_json()
    assert newest["step"] == "count"


def test_rows_of_one_call_are_written_all_or_none(session: Session) -> None:
    wrong = AuditEntry(step="unheard of")  # type: ignore[arg-type]

    with pytest.raises(DatabaseError, match="writing the audit") as caught:
        log(session).write(BEGIN, wrong, END)

    assert caught.value.code == "23514"
    assert audit.summary(session, "run-1") == 0


@pytest.mark.parametrize(
    ("audit_type", "status"),
    [("purge", "completed"), ("backup", "done"), ("Backup", "completed")],
)
def test_the_database_refuses_words_that_nobody_agreed_on(session: Session, audit_type: str, status: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        session.execute(
            "INSERT INTO process_audit_logs (audit_id, audit_type, audit_status, step) VALUES ('a', %s, %s, 'count')",
            [audit_type, status],
        )


@pytest.mark.parametrize("word", [*AuditType, *AuditStatus, *AuditStep])
def test_every_word_of_ours_is_accepted(session: Session, word: AuditType | AuditStatus | AuditStep) -> None:
    kind = word if isinstance(word, AuditType) else AuditType.DELETE
    status = word if isinstance(word, AuditStatus) else AuditStatus.IN_PROGRESS
    step = word if isinstance(word, AuditStep) else AuditStep.COUNT

    log(session, audit_type=kind).write(AuditEntry(step=step, status=status))

    assert audit.summary(session, "run-1") == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE process_audit_logs SET audit_status = 'completed'",
        "DELETE FROM process_audit_logs",
        "TRUNCATE process_audit_logs",
        "SET archival.audit_retention = 'on'; UPDATE process_audit_logs SET audit_status = 'completed'",
        "SET archival.audit_retention = 'on'; TRUNCATE process_audit_logs",
    ],
)
def test_what_was_written_cannot_be_changed(session: Session, statement: str) -> None:
    log(session).write(BEGIN)

    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="append-only"):
        session.execute(statement.encode())

    assert audit.timeline(session, "run-1", 1, 10)[0]["audit_status"] == "initiated"


def test_retention_deletes_where_a_session_says_so_first(session: Session) -> None:
    log(session).write(BEGIN, END)
    log(session, "run-2").write(BEGIN)

    session.execute("SET archival.audit_retention = 'on'")
    session.execute("DELETE FROM process_audit_logs WHERE audit_id = 'run-1'")
    session.execute("RESET archival.audit_retention")

    assert audit.summary(session, "run-1") == 0
    assert audit.summary(session, "run-2") == 1
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
        session.execute("DELETE FROM process_audit_logs")


def test_an_error_is_told_with_its_causes_and_without_rows_or_secrets(session: Session) -> None:
    session.execute("CREATE TEMP TABLE secret_rows (name text PRIMARY KEY)")
    session.execute("INSERT INTO secret_rows VALUES ('private customer')")
    error = _failure(session)

    log(session).write(AuditEntry(step=AuditStep.EXECUTE, status=AuditStatus.FAILED, error=error))

    row = audit.latest(session, "run-1")
    assert row is not None
    told = {name: row[name] for name in ("error_code", "error_summary", "error_resolve", "error_message")}
    assert told["error_code"] == "DIGEST_MISMATCH"
    assert told["error_summary"] == "Table task differs at postgresql://***@host/db."
    assert told["error_resolve"] == "Look."
    assert told["error_message"].startswith("DIGEST_MISMATCH: Table task differs")
    assert " <- 23505: PostgreSQL answered 23505 while copying (table secret_rows)" in told["error_message"]
    assert " <- UniqueViolation 23505: duplicate key" in told["error_message"]
    assert " <- RuntimeError: login with password=*** failed" in told["error_message"]
    assert "private customer" not in str(told)
    assert "hunter2" not in str(told)


def _failure(session: Session) -> ArchivalError:
    try:
        try:
            try:
                _log_in()
            except RuntimeError:
                session.execute("INSERT INTO secret_rows VALUES ('private customer')")
        except psycopg.Error as error:
            raise from_database(error, "copying") from error
    except DatabaseError as error:
        failure = VerificationError("Table task differs at postgresql://me:hunter2@host/db.", resolve="Look.")
        failure.__cause__ = error
        return failure
    return pytest.fail("the insert went through")


def _log_in() -> None:
    message = "login with password=hunter2 failed"
    raise RuntimeError(message)


def test_text_that_no_database_can_hold_does_not_silence_an_error(session: Session) -> None:
    error = ArchivalError("half \ud800 and NUL \x00 end", resolve="")

    log(session).write(AuditEntry(step=AuditStep.FETCH, status=AuditStatus.FAILED, error=error))

    row = audit.latest(session, "run-1")
    assert row is not None
    assert row["error_summary"] == "half ? and NUL  end"


def test_a_lost_session_is_an_error_and_not_a_silence(session: Session) -> None:
    writer = log(session)
    session.close()

    with pytest.raises(DatabaseError, match="writing the audit"):
        writer.write(BEGIN)


@pytest.fixture
def audits(session: Session) -> Session:
    """Four audits: a finished backup, a failed one, a running restore and a cancelled deletion."""
    log(session, "b-done").write(BEGIN, END)
    log(session, "b-failed", filters=Filters(process_name="invoice")).write(
        BEGIN, AuditEntry(step=AuditStep.EXECUTE, status=AuditStatus.FAILED)
    )
    log(session, "r-running", AuditType.RESTORE).write(BEGIN)
    log(session, "d-cancelled", AuditType.DELETE, filters=None).write(
        BEGIN, AuditEntry(step=AuditStep.DELETE, status=AuditStatus.CANCELLED)
    )
    log(session, "r-running", AuditType.RESTORE).write(AuditEntry(step=AuditStep.FETCH))
    return session


DISCOVERED: list[tuple[AuditCriteria, list[str]]] = [
    (AuditCriteria(), ["r-running", "d-cancelled", "b-failed", "b-done"]),
    (AuditCriteria(audit_type=AuditType.BACKUP), ["b-failed", "b-done"]),
    (AuditCriteria(audit_status=AuditStatus.INITIATED), []),
    (AuditCriteria(audit_status=AuditStatus.IN_PROGRESS), ["r-running"]),
    (AuditCriteria(process_name="order's"), ["r-running", "b-done"]),
    (AuditCriteria(process_name="' OR '1'='1"), []),
    (AuditCriteria(deployment_id="shop:1", audit_type=AuditType.RESTORE), ["r-running"]),
    (AuditCriteria(since=datetime(2020, 1, 1, tzinfo=UTC), until=datetime(2021, 1, 1, tzinfo=UTC)), []),
    (AuditCriteria(since=datetime(2020, 1, 1, tzinfo=UTC)), ["r-running", "d-cancelled", "b-failed", "b-done"]),
]


@pytest.mark.parametrize(("criteria", "found"), DISCOVERED)
def test_discovery_gives_the_latest_row_of_each_audit_that_matches(
    audits: Session, criteria: AuditCriteria, found: list[str]
) -> None:
    rows, total = audit.discover(audits, criteria, 1, 10)

    assert [row["audit_id"] for row in rows] == found
    assert total == len(found) == audit.discover_count(audits, criteria)
    assert all(row == audit.latest(audits, row["audit_id"]) for row in rows)


def test_discovery_in_pages_still_knows_the_total(audits: Session) -> None:
    pages = [audit.discover(audits, AuditCriteria(), number, 3) for number in (1, 2, 3)]

    assert [[row["audit_id"] for row in rows] for rows, _ in pages] == [
        ["r-running", "d-cancelled", "b-failed"],
        ["b-done"],
        [],
    ]
    assert [total for _, total in pages] == [4, 4, 4]


def test_only_what_has_no_end_is_in_progress(audits: Session) -> None:
    assert [row["audit_id"] for row in audit.in_progress(audits)] == ["r-running"]


def test_discovery_of_nothing_is_empty(session: Session) -> None:
    assert audit.discover(session, AuditCriteria(), 1, 10) == ([], 0)
    assert audit.in_progress(session) == []


def test_the_cost_of_discovery_does_not_grow_with_the_rows_of_an_audit(session: Session) -> None:
    session.execute(
        "INSERT INTO process_audit_logs (audit_id, audit_type, audit_status, step)"
        " SELECT 'run-' || n % 5, 'backup', 'in_progress', 'fetch' FROM generate_series(1, 20000) AS n"
    )
    session.execute("ANALYZE process_audit_logs")

    plan = session.execute("EXPLAIN SELECT * FROM process_audit_latest_v1").fetchall()

    assert not any("Seq Scan" in line for (line,) in plan), plan
    assert audit.discover(session, AuditCriteria(), 1, 10)[1] == 5
