"""Measures a snapshot of an instance with 100,000 changes: seconds, queries, and the ratio to reading the rows alone.

``make bench-variables``. Not here: the measurements of the move.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from archival_pipeline.database.connections import connect
from archival_pipeline.local import camunda_schema
from archival_pipeline.local.postgres import EmbeddedPostgres
from archival_pipeline.variables import reading, service
from archival_pipeline.variables.cut import Boundary
from archival_pipeline.variables.listing import Criteria
from archival_pipeline_tests.support import camunda

if TYPE_CHECKING:
    from collections.abc import Callable

    from archival_pipeline.settings_camunda import CamundaSettings

_INSTANCE = "p-1"
_ACTIVITIES = 10_000
# An id of the engine's generator for a number: the timestamp of a UUID of version 1.
_ID = """
CREATE FUNCTION pg_temp.made(n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT substr(h, 8, 8) || '-' || substr(h, 4, 4) || '-1' || substr(h, 1, 3) || '-a2ee-02fc00000001'
    FROM lpad(to_hex(n + 1000000000), 15, '0') AS h
$$
"""
_FILL = (
    """
    INSERT INTO act_hi_procinst (id_, proc_inst_id_, proc_def_key_, proc_def_id_, start_time_, state_)
    VALUES ('p-1', 'p-1', 'big', 'big:1:1', '2026-01-01', 'ACTIVE')
    """,
    """
    INSERT INTO act_hi_actinst (
        id_, parent_act_inst_id_, proc_def_id_, proc_inst_id_, execution_id_, act_id_, act_type_, start_time_,
        end_time_, act_inst_state_
    )
    SELECT 'A:' || pg_temp.made(n * 20), 'p-1', 'big:1:1', 'p-1', 'p-1', 'A', 'serviceTask',
        timestamp '2026-01-01' + n * interval '20 ms', timestamp '2026-01-01 00:00:00.009' + n * interval '20 ms', 4
    FROM generate_series(1::bigint, %(activities)s) AS n
    """,
    """
    INSERT INTO act_hi_varinst (
        id_, proc_def_id_, proc_inst_id_, execution_id_, act_inst_id_, name_, var_type_, rev_, state_
    )
    SELECT 'v-' || n, 'big:1:1', 'p-1', 'p-1', 'p-1', 'name' || n, 'string', 1, 'CREATED'
    FROM generate_series(0, %(variables)s - 1) AS n
    """,
    """
    INSERT INTO act_hi_detail (
        id_, type_, proc_inst_id_, execution_id_, act_inst_id_, var_inst_id_, name_, var_type_, rev_, time_, text_,
        sequence_counter_
    )
    SELECT pg_temp.made(n * 20 * %(activities)s / %(changes)s + 1), 'VariableUpdate', 'p-1', 'p-1', 'p-1',
        'v-' || n %% %(variables)s, 'name' || n %% %(variables)s, 'string', (n / %(variables)s)::integer,
        timestamp '2026-01-01' + n * %(activities)s / %(changes)s * interval '20 ms', repeat('x', 60),
        n / %(variables)s + 1
    FROM generate_series(0::bigint, %(changes)s - 1) AS n
    """,
    "ANALYZE",
)
_RAW = "SELECT * FROM act_hi_detail WHERE proc_inst_id_ = 'p-1'"


def main() -> None:
    """Fill a database, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=100_000)
    parser.add_argument("--variables", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "cluster") as cluster:
        settings = camunda.camunda_settings(cluster.create_database("bench"))
        middle = _fill(settings, asked.changes, asked.variables)
        _measure(settings, middle, asked.repeats, asked.changes)


def _fill(settings: CamundaSettings, changes: int, variables: int) -> str:
    with connect(settings, purpose="bench") as session:
        camunda_schema.create(session)
        session.execute(_ID)
        for statement in _FILL:
            session.execute(statement, {"changes": changes, "variables": variables, "activities": _ACTIVITIES})
        row = session.execute("SELECT id_ FROM act_hi_actinst ORDER BY start_time_ DESC LIMIT 1 OFFSET 100").fetchone()
    assert row is not None
    return str(row[0])


def _measure(settings: CamundaSettings, activity: str, repeats: int, changes: int) -> None:
    now = datetime.now(UTC)
    wanted = service.Moment(activity_instance_id=activity, boundary=Boundary.END)
    moment = service.Moment(process_instance_id=_INSTANCE, at=now)
    first = Criteria(page_number=50, page_size=100)
    print(f"{changes} changes, {_ACTIVITIES} activity instances, best and median of {repeats}:")
    base = _timed("rows alone, SELECT * of the changes", lambda: _raw(settings), repeats, None)
    _timed("snapshot at the end of an activity", lambda: service.show(settings, wanted, now=now), repeats, base)
    _timed("snapshot of the instance at a moment", lambda: service.show(settings, moment, now=now), repeats, base)
    _timed("list, page 50", lambda: service.activities(settings, _INSTANCE, first), repeats, base)
    print(f"queries of a snapshot: {_queries(settings, wanted, now)}")


def _raw(settings: CamundaSettings) -> None:
    with connect(settings, purpose="bench") as session:
        session.execute(_RAW).fetchall()


def _timed(what: str, call: Callable[[], object], repeats: int, base: float | None) -> float:
    taken, worked = [], []
    for _ in range(repeats):
        begun, before = time.perf_counter(), time.process_time()
        call()
        taken.append(time.perf_counter() - begun)
        worked.append(time.process_time() - before)
    ratio = f"  {min(taken) / base:4.1f} times the rows alone" if base else ""
    print(f"  {what:40s} {min(taken):6.2f} s {statistics.median(taken):6.2f} s, own work {min(worked):5.2f} s{ratio}")
    return min(taken)


def _queries(settings: CamundaSettings, wanted: service.Moment, now: datetime) -> int:
    asked = 0
    rows = reading.Reader.rows

    def counted(reader: reading.Reader, name: str, values: object) -> object:
        nonlocal asked
        asked += 1
        return rows(reader, name, values)  # type: ignore[arg-type]

    reading.Reader.rows = counted  # type: ignore[method-assign,assignment]
    try:
        service.show(settings, wanted, now=now)
    finally:
        reading.Reader.rows = rows  # type: ignore[method-assign]
    return asked


if __name__ == "__main__":
    main()
