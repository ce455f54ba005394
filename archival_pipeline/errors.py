"""The errors a user can meet, each with a code, a summary and the way out.

::

    ArchivalError
     +-- ConfigurationError        a setting is missing or wrong (INVALID_CONFIG, INVALID_DB_CONFIG)
     +-- RequestError              a filter or an option is wrong (INVALID_REQUEST)
     |    +-- NotFoundError        what was asked for is not there (NOT_FOUND)
     +-- PreflightError            the catalogue does not fit the live databases (PREFLIGHT_FAILED)
     +-- BusyError                 another operation holds the lock (OPERATION_IN_PROGRESS)
     +-- CancelledError            the operation was told to stop (CANCELLED)
     +-- FencedError               the lock was lost while working (LOCK_LOST)
     +-- VerificationError         two sides of a move differ (DIGEST_MISMATCH)
     +-- LedgerGapError            a planned batch has no end state (LEDGER_GAP)
     +-- AlertError                an alert did not go out (ALERT_NOT_SENT)
     +-- DatabaseError             PostgreSQL said no (the code is the SQLSTATE)
          +-- TransientDatabaseError   worth another try
          +-- OperatorDatabaseError    stops until somebody acts: disk full, read-only, no right

Not here: how an error is shown. Dagster, HTTP and the command line each turn these into their own form.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from collections.abc import Sequence


class ArchivalError(Exception):
    """Something a user can act on.

    Attributes:
        code: SQLSTATE or one of our own upper-case codes; stable, meant for programs.
        summary: one sentence that says what happened.
        resolve: one sentence that says what to do about it.
    """

    code = "ARCHIVAL_ERROR"

    def __init__(self, summary: str, *, resolve: str = "", code: str | None = None) -> None:
        self.summary = summary
        self.resolve = resolve
        if code is not None:
            self.code = code
        super().__init__(summary)

    def __str__(self) -> str:
        return f"{self.code}: {self.summary}" + (f" {self.resolve}" if self.resolve else "")


class ConfigurationError(ArchivalError):
    """One or more settings are missing or wrong."""

    code = "INVALID_CONFIG"


class RequestError(ArchivalError):
    """A filter or an option cannot be used; ``field`` and ``value`` say which."""

    code = "INVALID_REQUEST"

    def __init__(self, summary: str, *, resolve: str, field: str, value: object = None) -> None:
        self.field = field
        self.value = value
        super().__init__(summary, resolve=resolve)


class NotFoundError(RequestError):
    """What was asked for by its name or id is not there."""

    code = "NOT_FOUND"


class PreflightError(ArchivalError):
    """The live databases do not fit the catalogue; ``findings`` lists every reason."""

    code = "PREFLIGHT_FAILED"

    def __init__(self, findings: Sequence[str]) -> None:
        self.findings = tuple(findings)
        listing = "; ".join(self.findings)
        super().__init__(
            f"{len(self.findings)} finding(s) stop the run before it writes: {listing}",
            resolve="Mend each finding, or run `archival-pipeline migrate` where it says so, then start again.",
        )


class BusyError(ArchivalError):
    """Another operation is at work; ``audit_id`` is the one to poll."""

    code = "OPERATION_IN_PROGRESS"

    def __init__(self, audit_id: str) -> None:
        self.audit_id = audit_id
        super().__init__(
            "Previous operation is still in progress, please wait for it to complete before retrying",
            resolve=f"Poll the audit {audit_id}.",
        )


class CancelledError(ArchivalError):
    """The operation was told to stop; finished batches stay finished."""

    code = "CANCELLED"


class FencedError(ArchivalError):
    """The operation lock was lost while working, so another operation may be at work."""

    code = "LOCK_LOST"


class VerificationError(ArchivalError):
    """The digests of the two sides of a move differ."""

    code = "DIGEST_MISMATCH"


class LedgerGapError(ArchivalError):
    """A planned batch reached no end state."""

    code = "LEDGER_GAP"


class AlertError(ArchivalError):
    """An alert did not go out by every way; addresses stay out of the message, for they may be secrets."""

    code = "ALERT_NOT_SENT"

    def __init__(self, title: str, problems: Sequence[str]) -> None:
        super().__init__(
            f"The alert «{title}» did not go out: {'; '.join(problems)}.",
            resolve="Look at the settings ALERT_… and at the servers they name.",
        )


class DatabaseError(ArchivalError):
    """PostgreSQL refused a statement; the code is its SQLSTATE."""

    code = "08000"


class TransientDatabaseError(DatabaseError):
    """Worth another try after a pause: the same statement may pass."""


class OperatorDatabaseError(DatabaseError):
    """No retry helps until somebody acts on the server."""


# SQLSTATE, its class, or a code of our own -> (error class, way out). The longest match wins.
_RESOLUTIONS: dict[str, tuple[type[DatabaseError], str]] = {
    "08": (TransientDatabaseError, "Check that the server is up and reachable, then run the same job again."),
    "40001": (TransientDatabaseError, "Run the same job again: another transaction changed the rows first."),
    "40P01": (TransientDatabaseError, "Run the same job again: two transactions waited for each other."),
    "55P03": (
        TransientDatabaseError,
        "Run the same job again when the engine is quieter: a lock was not free in time.",
    ),
    "57014": (TransientDatabaseError, "Run the same job again with a smaller batchSize: a statement ran too long."),
    "25P03": (TransientDatabaseError, "Run the same job again: a session waited too long inside a transaction."),
    "57P": (TransientDatabaseError, "The server ended the session; run the same job again when it is up."),
    "53100": (OperatorDatabaseError, "Free disk space on the server named here, then run the same job again."),
    "53200": (OperatorDatabaseError, "Raise max_locks_per_transaction or memory, or use a smaller batchSize."),
    "53": (OperatorDatabaseError, "The server is out of a resource; give it more, then run the same job again."),
    "54000": (
        DatabaseError,
        "A value of this tree is larger than a row can hold; keep the tree, or shorten the value in the engine.",
    ),
    "25006": (OperatorDatabaseError, "The database is read-only; point the setting at a writable server."),
    "28": (OperatorDatabaseError, "Correct the user name or password setting of this database."),
    "3D000": (OperatorDatabaseError, "Create the database, or correct its name setting."),
    "DRIVER": (DatabaseError, "Please report it: the statement was never sent."),
    "TLS_REFUSED": (OperatorDatabaseError, "Compare the SSL and CA certificate settings with the server's own."),
    "42501": (OperatorDatabaseError, "Grant the right to the role, as docs/operators-guide.md lists per database."),
    "42P01": (OperatorDatabaseError, "Run `archival-pipeline migrate`; check the schema name setting."),
    "42883": (OperatorDatabaseError, "Run `archival-pipeline migrate`; check the schema name setting."),
    "42": (OperatorDatabaseError, "Run `archival-pipeline check`: the schema is not the one this release expects."),
    "23505": (
        DatabaseError,
        (
            "The destination holds other content under the same key. Compare both rows; then delete the conflicting "
            "instances on that side (delete-bulk) or keep them, and run the same job again."
        ),
    ),
    "23": (DatabaseError, "A constraint of the destination refused the rows; compare both schemas with `check`."),
    "22": (DatabaseError, "The destination cannot store a value of this tree; compare encodings and column types."),
}


def from_database(error: psycopg.Error, doing: str, *, state: str | None = None) -> DatabaseError:
    """Turn a driver error into ours, by SQLSTATE.

    Args:
        error: what psycopg raised.
        doing: what was being done, in words, for the summary ("copying table task").
        state: the code to use where the driver has none, as for a session that never began.

    Returns:
        The error to raise ``from`` the given one. It carries the server's primary message, never row values.
    """
    state = error.sqlstate or state or ("08006" if isinstance(error, _LOST) else "DRIVER")
    error_class, resolve = _lookup(state)
    said = error.diag.message_primary or _UNSAID.get(state, f"the driver refused it ({type(error).__name__})")
    if state.startswith(_QUOTES_VALUES):
        said = "a value does not fit"
    where = f" (table {error.diag.table_name})" if error.diag.table_name else ""
    return error_class(f"PostgreSQL answered {state} while {doing}{where}: {said}.", resolve=resolve, code=state)


# What the driver raises without a word of the server when a session has ended; anything else of the kind is a mistake
# in a statement of ours, which no other try mends.
_LOST = (psycopg.OperationalError, psycopg.InterfaceError)
_UNSAID = {"08006": "the connection was lost"}

# Messages of this class quote the value at fault.
_QUOTES_VALUES = "22"


def _lookup(state: str) -> tuple[type[DatabaseError], str]:
    for key in (state, state[:3], state[:2]):
        found = _RESOLUTIONS.get(key)
        if found is not None:
            return found
    return DatabaseError, "Read the server's log for this time; then run the same job again."


_SECRETS = (
    (re.compile(r"(?<=://)[^/\s@]*:[^/\s]*(?=@)"), "***"),
    (re.compile(r"(?i)\b(bearer|basic)(\s+)[A-Za-z0-9._~+/=-]{12,}"), r"\1\2***"),
    (re.compile(r"(?i)\b(password|passwd|secret|token|authorization)(\s*[=:]\s*)('[^']*'|\"[^\"]*\"|\S+)"), r"\1\2***"),
)


def redact(text: str) -> str:
    """Blank whatever looks like a secret, for texts that people and logs see."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text
