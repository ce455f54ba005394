"""Plan and apply as operations: settings in, a plan or its outcome out.

Not here: the rules (``planning``, ``placing``, ``applying``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archival_pipeline.errors import ConfigurationError
from archival_pipeline.settings_variables import load_camunda_rest
from archival_pipeline.variables import applying, audit, reading, service
from archival_pipeline.variables.engine import Engine

if TYPE_CHECKING:
    from datetime import datetime

    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline.settings_camunda import CamundaSettings
    from archival_pipeline.settings_variables import CamundaRestSettings
    from archival_pipeline.variables.applying import Applied
    from archival_pipeline.variables.plan import Plan
    from archival_pipeline.variables.planning import Wishes
    from archival_pipeline.variables.service import Moment


def rest() -> CamundaRestSettings:
    """The engine's REST API.

    Raises:
        ConfigurationError: it is not configured.
    """
    settings = load_camunda_rest()
    if settings is None:
        raise ConfigurationError(
            "No REST API of the engine is configured, so nothing can be planned or applied.",
            resolve="Set CAMUNDA_REST_URL, as docs/configuration.md says.",
        )
    return settings


def plan(
    database: CamundaSettings,
    engine: CamundaRestSettings,
    wanted: Moment,
    wishes: Wishes,
    *,
    plan_id: str,
    now: datetime,
) -> Plan:
    """The plan that puts a snapshot back; nothing is changed.

    Raises:
        SnapshotError: history cannot answer.
        PlanRefusedError: the wishes do not fit.
        EngineError: the engine refused or gave no answer.
    """
    shown = service.show(database, wanted, now=now, inline_bytes=reading.NO_LIMIT)
    with Engine(engine) as session:
        return applying.make(session, shown, wishes, plan_id=plan_id, made_at=now.isoformat(timespec="seconds"))


def apply(
    engine: CamundaRestSettings, backup: DatabaseSettings, made: Plan, *, audit_id: str, accept_inexact: bool
) -> Applied:
    """Apply a plan, with audit rows.

    Raises:
        PlanRefusedError: the instance moved on, the plan was applied before, or its losses were not accepted.
        EngineError: the engine refused a request.
        DatabaseError: the audit cannot be written.
    """
    with Engine(engine) as session, audit.auditing(backup, audit_id, made) as log:
        return applying.apply(session, made, log, accept_inexact=accept_inexact)
