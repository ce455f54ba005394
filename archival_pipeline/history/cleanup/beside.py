"""History beside process instances that goes by its age: case instances, standalone decisions, metrics of tasks.

The engine gives case instances no removal time at all, and none to anything where it computes none: under the strategy
``endTimeBased`` a closed case goes with everything that names it, and a standalone decision with its inputs and
outputs, by the time to live of their definitions. Metrics of tasks go by ``taskMetricsTimeToLive``, whatever the
strategy. Not here: rows with a removal time (``rootless.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from archival_pipeline.catalogue.camunda import CASE, CASE_TABLES, CASES_TABLE, METRICS_TABLE
from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archival_pipeline.history.cleanup.database import Session
    from archival_pipeline.history.cleanup.selecting import Due


def expired_beside(session: Session, due: Due) -> dict[str, list[str]]:
    """Up to a batch of each kind, ids by table; locked for as long as the session's transaction lasts."""
    found: dict[str, list[str]] = {}
    if due.cleanup.strategy == "endTimeBased":
        if all(map(due.engine.has, (CASES_TABLE, "act_ru_case_execution", "act_re_case_def"))):
            found |= _with_all_that_names_them(session, due, _ids(session, due, "expired_cases"))
        if due.engine.has("act_hi_decinst", CASE) and due.engine.has("act_re_decision_def", "history_ttl_"):
            found["act_hi_decinst"] = found.get("act_hi_decinst", []) + _ids(session, due, "expired_decisions")
    found[METRICS_TABLE] = expired_metrics(session, due)
    return {table: ids for table, ids in found.items() if ids}


def expired_metrics(session: Session, due: Due) -> list[str]:
    """Up to a batch of metrics of tasks, where these expire at all."""
    if due.cleanup.metric_days is None or not due.engine.has(METRICS_TABLE):
        return []
    return _ids(session, due, "expired_metrics")


def _ids(session: Session, due: Due, statement: str) -> list[str]:
    values = due.values | {"size": due.cleanup.batch_size, "metric_days": due.cleanup.metric_days}
    return [row[0] for row in session.execute(due.engine.names(load_sql(f"cleanup/{statement}")), values)]


def _with_all_that_names_them(session: Session, due: Due, cases: Sequence[str]) -> dict[str, list[str]]:
    """The rows of cases in every table; a row that also names a process instance belongs to that one."""
    found = {CASES_TABLE: list(cases)}
    for table in CASE_TABLES if cases else ():
        if not due.engine.has(table.name, CASE):
            continue
        alone = sql.SQL("true")
        if table.instance and due.engine.has(table.name, table.instance):
            alone = sql.SQL("r.{} IS NULL").format(sql.Identifier(table.instance))  # type: ignore[assignment]
        query = sql.SQL("SELECT r.id_ FROM {} AS r WHERE r.case_inst_id_ = ANY(%s) AND {}").format(
            due.engine.name(table.name), alone
        )
        found[table.name] = [row[0] for row in session.execute(query, (list(cases),))]
    return found
