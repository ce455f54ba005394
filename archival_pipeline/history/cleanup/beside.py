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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archival_pipeline.history.cleanup.database import Session
    from archival_pipeline.history.cleanup.selecting import Due

# Days are those of the calendar on the engine's wall; a definition without a time to live keeps what is its own.
_CASES = """
SELECT c.id_
FROM {act_hi_caseinst} AS c INNER JOIN {act_re_case_def} AS d ON d.id_ = c.case_def_id_
WHERE c.close_time_ <= %(now)s AND c.close_time_ + make_interval(days => d.history_ttl_) <= %(now)s
    AND NOT EXISTS (SELECT 1 FROM {act_ru_case_execution} AS e WHERE e.case_inst_id_ = c.id_)
    AND NOT c.id_ = ANY(%(held_instances)s) AND coalesce(NOT c.business_key_ = ANY(%(held_keys)s), true)
ORDER BY c.close_time_ LIMIT %(size)s
FOR UPDATE OF c SKIP LOCKED
"""
_DECISIONS = """
SELECT i.id_
FROM {act_hi_decinst} AS i INNER JOIN {act_re_decision_def} AS d ON d.id_ = i.dec_def_id_
WHERE i.proc_inst_id_ IS NULL AND i.root_proc_inst_id_ IS NULL AND i.case_inst_id_ IS NULL
    AND i.eval_time_ <= %(now)s AND i.eval_time_ + make_interval(days => d.history_ttl_) <= %(now)s
ORDER BY i.eval_time_ LIMIT %(size)s
FOR UPDATE OF i SKIP LOCKED
"""
_METRICS = """
SELECT m.id_
FROM {act_ru_task_meter_log} AS m
WHERE m.timestamp_ + make_interval(days => %(metric_days)s) <= %(now)s
ORDER BY m.timestamp_ LIMIT %(size)s
FOR UPDATE OF m SKIP LOCKED
"""


def expired_beside(session: Session, due: Due) -> dict[str, list[str]]:
    """Up to a batch of each kind, ids by table; locked for as long as the session's transaction lasts."""
    found: dict[str, list[str]] = {}
    if due.cleanup.strategy == "endTimeBased":
        if all(map(due.engine.has, (CASES_TABLE, "act_ru_case_execution", "act_re_case_def"))):
            found |= _with_all_that_names_them(session, due, _ids(session, due, _CASES))
        if due.engine.has("act_hi_decinst", CASE) and due.engine.has("act_re_decision_def", "history_ttl_"):
            found["act_hi_decinst"] = found.get("act_hi_decinst", []) + _ids(session, due, _DECISIONS)
    found[METRICS_TABLE] = expired_metrics(session, due)
    return {table: ids for table, ids in found.items() if ids}


def expired_metrics(session: Session, due: Due) -> list[str]:
    """Up to a batch of metrics of tasks, where these expire at all."""
    if due.cleanup.metric_days is None or not due.engine.has(METRICS_TABLE):
        return []
    return _ids(session, due, _METRICS)


def _ids(session: Session, due: Due, text: str) -> list[str]:
    values = due.values | {"size": due.cleanup.batch_size, "metric_days": due.cleanup.metric_days}
    return [row[0] for row in session.execute(due.engine.names(text), values)]


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
