"""What a run would remove: cleanable instances per process definition, and an estimate of rows, bytes and seconds.

Reads only. Rows are estimated from a sample of due hierarchies, bytes from the size of the tables per row. Not here:
rows that no run removes (``orphans.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from archival_pipeline.catalogue.camunda import ROOT
from archival_pipeline.history.cleanup.database import Engine, open_session
from archival_pipeline.history.cleanup.selecting import DAYS, Due

if TYPE_CHECKING:
    from datetime import datetime

    from archival_pipeline.history.cleanup.database import Session
    from archival_pipeline.settings_camunda import CamundaSettings
    from archival_pipeline.settings_cleanup import CleanupSettings

_SAMPLE = 200


@dataclass(frozen=True, slots=True)
class Cleanable:
    """One process definition of the report, as the engine's cleanable report names its columns."""

    definition_id: str
    key: str
    version: int | None
    tenant_id: str | None
    history_time_to_live: int | None
    effective_days: int
    finished: int
    cleanable: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run would remove now.

    Attributes:
        definitions: per process definition; root and called instances alike, as the engine counts them.
        hierarchies: due roots that nothing of still runs.
        rows: estimated rows by table.
        size: estimated bytes.
        seconds: estimated, at the given rate; None without one.
    """

    definitions: tuple[Cleanable, ...]
    hierarchies: int
    rows: dict[str, int]
    size: int
    seconds: float | None


def forecast(
    settings: CamundaSettings,
    cleanup: CleanupSettings,
    now: datetime,
    *,
    rows_per_second: float | None = None,
) -> Forecast:
    """Say what a run would remove at a moment.

    Args:
        settings: the engine's database.
        cleanup: strategy, times to live and holds.
        now: an aware moment.
        rows_per_second: of an earlier run.
    """
    with open_session(settings, "cleanup forecast", autocommit=True) as session:
        session.read_only = True
        engine = Engine.probe(settings, session)
        due = Due(engine, engine.wall(now), cleanup)
        hierarchies = due.count(session)
        rows = _rows(session, due, hierarchies)
        size = sum(int(_width(session, engine, table) * count) for table, count in rows.items())
        seconds = sum(rows.values()) / rows_per_second if rows_per_second else None
        return Forecast(_definitions(session, due), hierarchies, rows, size, seconds)


def _definitions(session: Session, due: Due) -> tuple[Cleanable, ...]:
    cleanable = {
        "removalTimeBased": "p.removal_time_ <= %(now)s",
        "endTimeBased": f"p.end_time_ + make_interval(days => {DAYS}) <= %(now)s",
    }[due.cleanup.strategy]
    text = (
        "WITH counted AS (SELECT p.proc_def_id_, p.proc_def_key_, count(p.end_time_) AS finished,"  # noqa: S608 - own texts
        f" count(*) FILTER (WHERE {cleanable}) AS cleanable, min({DAYS}) AS days"
        " FROM {act_hi_procinst} AS p GROUP BY p.proc_def_id_, p.proc_def_key_)"
        " SELECT c.proc_def_id_, coalesce(c.proc_def_key_, ''), d.version_, d.tenant_id_, d.history_ttl_,"
        " c.days, c.finished, c.cleanable"
        " FROM counted AS c LEFT JOIN {act_re_procdef} AS d ON d.id_ = c.proc_def_id_ ORDER BY 2, 3, 1"
    )
    return tuple(Cleanable(*row) for row in session.execute(due.engine.names(text), due.values))


def _rows(session: Session, due: Due, hierarchies: int) -> dict[str, int]:
    sample: list[str] = next(due.pages(session, _SAMPLE), [])
    if not sample:
        return {}
    tables = [table.name for table in due.engine.tables if due.engine.has(table.name, ROOT)]
    counts = sql.SQL(", ").join(
        sql.SQL("(SELECT count(*) FROM {} WHERE root_proc_inst_id_ = ANY(%(roots)s))").format(due.engine.name(table))
        for table in tables
    )
    found = session.execute(sql.SQL("SELECT {}").format(counts), {"roots": sample}).fetchone() or ()
    scaled = {
        table: round(count * hierarchies / len(sample)) for table, count in zip(tables, found, strict=True) if count
    }
    return dict(sorted(scaled.items()))


def _width(session: Session, engine: Engine, table: str) -> float:
    """Bytes of a row, indexes included."""
    values: dict[str, Any] = {"name": engine.name(table).as_string(session)}
    row = session.execute(
        "SELECT pg_total_relation_size(oid) / greatest(reltuples, 1) FROM pg_class WHERE oid = %(name)s::regclass",
        values,
    ).fetchone()
    return float(row[0]) if row else 0.0
