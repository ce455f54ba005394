"""Errors: which SQLSTATE is retried, which stops, and what a user is told."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors as server

from archival_pipeline.errors import (
    ArchivalError,
    BusyError,
    CancelledError,
    ConfigurationError,
    DatabaseError,
    FencedError,
    LedgerGapError,
    OperatorDatabaseError,
    PreflightError,
    RequestError,
    TransientDatabaseError,
    VerificationError,
    from_database,
)

OUR_CODES: dict[type[ArchivalError], str] = {
    ConfigurationError: "INVALID_CONFIG",
    RequestError: "INVALID_REQUEST",
    PreflightError: "PREFLIGHT_FAILED",
    BusyError: "OPERATION_IN_PROGRESS",
    CancelledError: "CANCELLED",
    FencedError: "LOCK_LOST",
    VerificationError: "DIGEST_MISMATCH",
    LedgerGapError: "LEDGER_GAP",
}

# A server error, what becomes of it, and a word of the advice.
BY_STATE: list[tuple[type[psycopg.Error], type[DatabaseError], str]] = [
    (server.ConnectionFailure, TransientDatabaseError, "reachable"),
    (server.SerializationFailure, TransientDatabaseError, "same job again"),
    (server.DeadlockDetected, TransientDatabaseError, "waited for each other"),
    (server.LockNotAvailable, TransientDatabaseError, "quieter"),
    (server.QueryCanceled, TransientDatabaseError, "batchSize"),
    (server.AdminShutdown, TransientDatabaseError, "ended the session"),
    (server.CrashShutdown, TransientDatabaseError, "ended the session"),
    (server.CannotConnectNow, TransientDatabaseError, "ended the session"),
    (server.DiskFull, OperatorDatabaseError, "disk space"),
    (server.OutOfMemory, OperatorDatabaseError, "max_locks_per_transaction"),
    (server.TooManyConnections, OperatorDatabaseError, "out of a resource"),
    (server.ReadOnlySqlTransaction, OperatorDatabaseError, "read-only"),
    (server.InvalidPassword, OperatorDatabaseError, "password"),
    (server.InvalidAuthorizationSpecification, OperatorDatabaseError, "user name"),
    (server.InvalidCatalogName, OperatorDatabaseError, "Create the database"),
    (server.InsufficientPrivilege, OperatorDatabaseError, "Grant the right"),
    (server.UndefinedTable, OperatorDatabaseError, "migrate"),
    (server.UndefinedFunction, OperatorDatabaseError, "migrate"),
    (server.UndefinedColumn, OperatorDatabaseError, "check"),
    (server.UniqueViolation, DatabaseError, "same key"),
    (server.ForeignKeyViolation, DatabaseError, "constraint"),
    (server.NotNullViolation, DatabaseError, "constraint"),
    (server.StringDataRightTruncation, DatabaseError, "cannot store"),
    (server.InternalError_, DatabaseError, "log"),
]


@pytest.mark.parametrize(("raised", "expected", "advice"), BY_STATE, ids=[row[0].__name__ for row in BY_STATE])
def test_sqlstate_decides(raised: type[psycopg.Error], expected: type[DatabaseError], advice: str) -> None:
    error = from_database(raised("said by the server"), "copying table task")
    assert type(error) is expected
    assert error.code == raised.sqlstate
    assert advice in error.resolve
    assert "while copying table task" in error.summary


def test_lost_connection_without_sqlstate_is_worth_another_try() -> None:
    error = from_database(psycopg.OperationalError("server closed the connection"), "deleting")
    assert type(error) is TransientDatabaseError
    assert error.code == "08006"
    assert "the connection was lost" in error.summary


def test_a_mistake_in_a_statement_of_ours_is_no_lost_connection() -> None:
    error = from_database(psycopg.ProgrammingError("query parameter missing: known_timer"), "the step children")
    assert (type(error), error.code) == (DatabaseError, "DRIVER")
    assert "ProgrammingError" in error.summary


def test_given_state_is_used_only_where_the_driver_has_none() -> None:
    refused = from_database(psycopg.OperationalError("certificate verify failed"), "connecting", state="TLS_REFUSED")
    assert (type(refused), refused.code) == (OperatorDatabaseError, "TLS_REFUSED")
    assert from_database(server.DiskFull("full"), "copying", state="28P01").code == "53100"


def test_row_values_stay_out_of_the_message() -> None:
    error = from_database(server.UniqueViolation("Key (id)=(4711) already exists."), "copying table task")
    assert "4711" not in str(error)


@pytest.mark.parametrize(("kind", "code"), OUR_CODES.items(), ids=[kind.__name__ for kind in OUR_CODES])
def test_codes_are_stable(kind: type[ArchivalError], code: str) -> None:
    assert kind.code == code


def test_codes_of_our_own_are_unique() -> None:
    assert len(set(OUR_CODES.values())) == len(OUR_CODES)


def test_text_is_code_summary_and_way_out() -> None:
    assert str(ArchivalError("It broke.", resolve="Mend it.")) == "ARCHIVAL_ERROR: It broke. Mend it."
    assert str(ArchivalError("It broke.", code="X")) == "X: It broke."


def test_code_of_one_error_does_not_change_its_class() -> None:
    ConfigurationError("x", code="INVALID_DB_CONFIG")
    assert ConfigurationError.code == "INVALID_CONFIG"


def test_preflight_lists_every_finding() -> None:
    error = PreflightError(["table a is unknown", "column b is missing"])
    assert error.findings == ("table a is unknown", "column b is missing")
    assert "2 finding(s)" in error.summary
    assert all(finding in str(error) for finding in error.findings)


def test_busy_names_the_audit_to_poll() -> None:
    error = BusyError("6c1f")
    assert error.audit_id == "6c1f"
    assert "6c1f" in error.resolve


def test_request_keeps_field_and_value() -> None:
    error = RequestError("Not a status.", resolve="Use one of ...", field="processStatus", value="DONE")
    assert (error.field, error.value) == ("processStatus", "DONE")
