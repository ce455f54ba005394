"""The audit of restores: a row before and after each request, in the backup database, outside of the engine.

Names of variables stand there, values never. Not here: the audit of moves.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from archival_pipeline import errors
from archival_pipeline.database.connections import connect, short_session
from archival_pipeline.database.sqlfiles import load_sql
from archival_pipeline.variables.failures import PlanRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline.variables.plan import Plan, Step

_DOING = "writing the audit of a variable restore"


class Audit:
    """Adds rows to the audit of one application of a plan."""

    def __init__(self, session: psycopg.Connection[Any], audit_id: str, plan: Plan) -> None:
        self._session = session
        self.audit_id = audit_id
        self._plan = plan

    def begin(self) -> None:
        """Claim the plan.

        Raises:
            PlanRefusedError: it was applied before, or is being applied now.
        """
        try:
            self.write("initiated", 0, f"Apply the plan: {len(self._plan.steps)} step(s)")
        except psycopg.errors.UniqueViolation as error:
            raise PlanRefusedError(
                f"The plan {self._plan.plan_id} was applied before, or is being applied right now.",
                resolve="Look at the audit of the instance; make a new plan if something is left to do.",
            ) from error

    def write(
        self,
        status: str,
        number: int,
        title: str,
        *,
        step: Step | None = None,
        http_status: int | None = None,
        error: errors.ArchivalError | None = None,
    ) -> None:
        """Add one row; what it tells about must not go on if this fails."""
        self._session.execute(
            load_sql("backup/variable_restores_write"),
            {
                "audit_id": self.audit_id,
                "plan_id": self._plan.plan_id,
                "process_instance_id": self._plan.process_instance_id,
                "activity_instance_id": self._plan.activity_instance_id,
                "operation": self._plan.operation,
                "audit_status": status,
                "step_number": number,
                "title": title,
                "method": step.method if step else None,
                "path": step.path if step else None,
                "names": _names(step.body) if step else [],
                "http_status": http_status,
                "error_code": error.code if error else None,
                "error_summary": errors.redact(error.summary) if error else None,
                "error_resolve": error.resolve if error else None,
            },
        )


@contextmanager
def auditing(backup: DatabaseSettings, audit_id: str, plan: Plan) -> Iterator[Audit]:
    """The audit of one application, on a session of its own.

    Raises:
        DatabaseError: the backup database cannot be reached or refuses a row.
    """
    try:
        with connect(backup, purpose=_DOING, autocommit=True) as session:
            yield Audit(session, audit_id, plan)
    except psycopg.Error as error:
        raise errors.from_database(error, _DOING) from error


def of_instance(backup: DatabaseSettings, process_instance_id: str) -> list[dict[str, Any]]:
    """What was sent for one instance, oldest first."""
    with (
        short_session(backup, "reading the audit of variable restores") as session,
        session.cursor(row_factory=dict_row) as cursor,
    ):
        wanted = {"process_instance_id": process_instance_id}
        return cursor.execute(load_sql("backup/variable_restores_of"), wanted).fetchall()


def _names(body: dict[str, Any]) -> list[str]:
    """The variables that a request touches."""
    found = set(body.get("variables", {})) | set(body.get("modifications", {})) | set(body.get("deletions", []))
    for instruction in (*body.get("instructions", []), *body.get("startInstructions", [])):
        found |= set(instruction.get("variables", {}))
    return sorted(found)
