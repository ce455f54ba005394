"""Writes and reads ``process_audit_logs``: what happened, for people.

Rows are only ever added, on a session of their own outside the data transactions, so that a failed batch still tells.
Not here: the ledger, which the machinery trusts; HTTP paging headers.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg
from psycopg.rows import dict_row, scalar_row
from psycopg.types.json import Jsonb
from pydantic.alias_generators import to_camel

from archival_pipeline import errors
from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from archival_pipeline.archival.filters import Filters

AuditRow: TypeAlias = dict[str, Any]


class AuditType(StrEnum):
    """The kind of operation."""

    BACKUP = "backup"
    RESTORE = "restore"
    DELETE = "delete"
    HOLD = "hold"


class AuditStatus(StrEnum):
    """How far the operation was when the row was written."""

    INITIATED = "initiated"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class AuditStep(StrEnum):
    """The step a row tells about; ``INITIATE`` is the beginning of the operation."""

    INITIATE = "initiate"
    COUNT = "count"
    FETCH = "fetch"
    CHILDREN = "children"
    GENERATE_SQL = "generate_sql"
    EXECUTE = "execute"
    DELETE = "delete"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One row to write; what does not apply stays ``None``.

    Attributes:
        step: which step it tells about.
        status: how far the operation is.
        batch_number: the batch, counted from 1.
        total_batches: how many batches the operation has.
        total_count: how many instances were selected.
        processed_count: how many of them are done.
        remaining_count: how many are left.
        skipped_count: how many were left alone.
        process_instance_ids: the instances of the batch.
        details: more for people, such as skipped trees with their reasons or rows per table.
        error: what went wrong; its code, summary, way out and causes are written.
        started_at: begin of the step.
        ended_at: end of the step.
    """

    step: AuditStep
    status: AuditStatus = AuditStatus.IN_PROGRESS
    batch_number: int | None = None
    total_batches: int | None = None
    total_count: int | None = None
    processed_count: int | None = None
    remaining_count: int | None = None
    skipped_count: int | None = None
    process_instance_ids: Sequence[int] | None = None
    details: Mapping[str, Any] | None = None
    error: errors.ArchivalError | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditCriteria:
    """Which audits to list; each criterion looks at the latest row of an audit.

    Attributes:
        audit_type: kind of operation.
        audit_status: how far it is.
        process_name: the process name it was asked for.
        deployment_id: the deployment it was asked for.
        since: latest row written at this moment or later.
        until: latest row written before this moment.
    """

    audit_type: AuditType | None = None
    audit_status: AuditStatus | None = None
    process_name: str | None = None
    deployment_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class AuditLog:
    """Adds rows to the audit of one operation."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        audit_id: str,
        audit_type: AuditType,
        filters: Filters | None = None,
    ) -> None:
        """Bind the operation.

        Args:
            connection: an autocommit session on the backup database, used for nothing else.
            audit_id: the id people poll.
            audit_type: kind of operation.
            filters: what was asked for; stands in the first row, the two names of it in every row.
        """
        self._connection = connection
        self._filters = filters.as_json() if filters else None
        self._common = {
            "audit_id": audit_id,
            "audit_type": audit_type.value,
            "process_name": filters.process_name if filters else None,
            "deployment_id": filters.deployment_id if filters else None,
        }

    def write(self, *entries: AuditEntry) -> None:
        """Add rows in the order given, all or none, in one round trip.

        Raises:
            DatabaseError: the rows were not written. Whatever they tell about must not go on.
        """
        if not entries:
            return
        rows = [self._row(entry) for entry in entries]
        try:
            self._connection.execute(load_sql("backup/audit_write"), {"entries": Jsonb(rows)})
        except psycopg.Error as error:
            raise errors.from_database(error, "writing the audit") from error

    def _row(self, entry: AuditEntry) -> AuditRow:
        row = {field.name: getattr(entry, field.name) for field in fields(entry)}
        row |= self._common | _error_columns(row.pop("error"))
        row["audit_status"] = row.pop("status")
        if entry.step is AuditStep.INITIATE:
            row["filters"] = self._filters
        if entry.process_instance_ids is not None:
            row["process_instance_ids"] = list(entry.process_instance_ids)
        return {name: _json_ready(value) for name, value in row.items() if value is not None}


def timeline(connection: psycopg.Connection[Any], audit_id: str, page_number: int, page_size: int) -> list[AuditRow]:
    """One page of the rows of one audit, oldest first; pages count from 1."""
    return _rows(connection, "backup/audit_timeline", {"audit_id": audit_id} | _page(page_number, page_size))


def latest(connection: psycopg.Connection[Any], audit_id: str) -> AuditRow | None:
    """The newest row of one audit, with the filters of its first row; ``None`` if there is no such audit."""
    return next(iter(_rows(connection, "backup/audit_latest", {"audit_id": audit_id})), None)


def summary(connection: psycopg.Connection[Any], audit_id: str) -> int:
    """How many rows one audit has."""
    return _number(connection, "backup/audit_summary", {"audit_id": audit_id})


def discover(
    connection: psycopg.Connection[Any],
    criteria: AuditCriteria,
    page_number: int,
    page_size: int,
) -> tuple[list[AuditRow], int]:
    """The newest row of each audit that matches, newest audit first, and how many audits match in all."""
    values = _criteria_values(criteria)
    rows = _rows(connection, "backup/audit_discover_page", values | _page(page_number, page_size))
    return rows, discover_count(connection, criteria)


def discover_count(connection: psycopg.Connection[Any], criteria: AuditCriteria) -> int:
    """How many audits match."""
    return _number(connection, "backup/audit_discover_count", _criteria_values(criteria))


def in_progress(connection: psycopg.Connection[Any]) -> list[AuditRow]:
    """The newest row of each audit without an end, newest first; a crashed operation is among them until it resumes."""
    return _rows(connection, "backup/audit_in_progress", {})


def as_rest(row: AuditRow) -> dict[str, Any]:
    """A row under its REST names, ready for JSON."""
    return {to_camel(name): _json_ready(value) for name, value in row.items()}


def _criteria_values(criteria: AuditCriteria) -> dict[str, Any]:
    return {
        "audit_type": criteria.audit_type,
        "audit_status": criteria.audit_status,
        "process_name": criteria.process_name,
        "deployment_id": criteria.deployment_id,
        "from": criteria.since,
        "to": criteria.until,
    }


def _page(number: int, size: int) -> dict[str, int]:
    return {"page_size": size, "offset": (number - 1) * size}


def _rows(connection: psycopg.Connection[Any], name: str, values: Mapping[str, Any]) -> list[AuditRow]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(load_sql(name), values).fetchall()


def _number(connection: psycopg.Connection[Any], name: str, values: Mapping[str, Any]) -> int:
    with connection.cursor(row_factory=scalar_row) as cursor:
        return int(cursor.execute(load_sql(name), values).fetchall()[0])


def _json_ready(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _error_columns(error: errors.ArchivalError | None) -> dict[str, str | None]:
    if error is None:
        return {}
    return {
        "error_code": error.code,
        "error_summary": _printable(error.summary),
        "error_resolve": _printable(error.resolve),
        "error_message": _printable(" <- ".join(_told(link) for link in _chain(error))),
    }


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what caused it, as Python would print them; ends on a chain that bites its tail."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _told(error: BaseException) -> str:
    """One link of the chain. A driver's error may quote a row in its detail, so only its primary message is taken."""
    if isinstance(error, errors.ArchivalError):
        return f"{error.code}: {error.summary}"
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        return f"{type(error).__name__} {error.sqlstate}: {error.diag.message_primary}"
    return f"{type(error).__name__}: {error}"


def _printable(text: str) -> str:
    """What the database can hold and people may see: no NUL, no half character, no secret."""
    return errors.redact(text).replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
