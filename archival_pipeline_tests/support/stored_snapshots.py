"""What tests of stored snapshots share, and a process that stores and kills itself before its n-th statement.

``python -m archival_pipeline_tests.support.stored_snapshots N NOW SINCE`` with the settings in the environment.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from archival_pipeline.catalogue.camunda import HISTORY_TABLES, REMOVAL
from archival_pipeline.database.connections import connect
from archival_pipeline.settings_camunda import load_camunda
from archival_pipeline.variables import reading, snapshot, stored, storing
from archival_pipeline.variables.cut import Boundary
from archival_pipeline_tests.support import camunda_golden

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archival_pipeline.settings_camunda import CamundaSettings

ALL = {
    camunda_golden.history(line["process_instance_id"]).process.definition_key: ["*"]
    for line in camunda_golden.expected()
}
_DANGLING = """
SELECT count(*) FROM {snapshots} AS s LEFT JOIN {variables} AS v ON v.snapshot_id = s.id
WHERE NOT EXISTS (SELECT 1 FROM act_hi_procinst AS p WHERE p.id_ = s.process_instance_id)
OR (v.change_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM act_hi_detail AS d WHERE d.id_ = v.change_id))
"""
# For each instance a snapshot that refers to everything that happened in it.
_REFER = """
WITH made AS (
    INSERT INTO {snapshots} (
        process_instance_id, process_definition_id, process_definition_key, activity_instance_id, activity_id,
        boundary, activity_time, path
    )
    SELECT p.id_, p.proc_def_id_, coalesce(p.proc_def_key_, ''), 'of ' || p.id_, 'any', 'start', p.start_time_, '{{}}'
    FROM act_hi_procinst AS p RETURNING id, process_instance_id
)
INSERT INTO {variables} (snapshot_id, place, listed_as, name, variable_id, change_id, owner_kind, depth, flags)
SELECT m.id, row_number() OVER (PARTITION BY m.id ORDER BY d.id_), 'variables', coalesce(d.name_, ''),
    coalesce(d.var_inst_id_, ''), d.id_, 'process', 0, '{{}}'
FROM made AS m INNER JOIN act_hi_detail AS d ON d.proc_inst_id_ = m.process_instance_id
"""


def _named(settings: CamundaSettings, text: str) -> sql.Composed:
    schema = settings.snapshots_schema
    return sql.SQL(text).format(
        snapshots=sql.Identifier(schema, "stored_snapshot"), variables=sql.Identifier(schema, "stored_variable")
    )


def refer_to_everything(settings: CamundaSettings) -> None:
    """Make the tables, and one row for each process instance with a reference to each of its changes."""
    storing.prepare(settings)
    with connect(settings, purpose="test", autocommit=True) as session:
        session.execute(_named(settings, _REFER))


def dangling(settings: CamundaSettings) -> int:
    """References that lead nowhere."""
    with connect(settings, purpose="test", autocommit=True) as session:
        row = session.execute(_named(settings, _DANGLING)).fetchone()
    assert row is not None
    return int(row[0])


def expire(session: psycopg.Connection[Any], instances: Sequence[str]) -> None:
    """Put the removal time of everything that belongs to these instances into the past, and end them."""
    session.execute("DELETE FROM act_ru_execution WHERE proc_inst_id_ = ANY(%s)", (list(instances),))
    for table in HISTORY_TABLES:
        if table.instance is not None and table.rooted:
            statement = sql.SQL("UPDATE {} SET {} = '2001-01-01' WHERE {} = ANY(%s)").format(
                sql.Identifier(table.name), sql.Identifier(REMOVAL), sql.Identifier(table.instance)
            )
            session.execute(statement, (list(instances),))


def differing(settings: CamundaSettings) -> list[int]:
    """Ids of stored snapshots that do not say what the computed ones say; every one must be there."""
    with reading.reading(settings) as reader:
        rows, _ = stored.page(reader, stored.Wanted(page_size=1000))
        instances = {row.process_instance_id for row in rows}
        histories = {
            name: reading.history_of(reader, reading.process_of(reader, process_instance_id=name)) for name in instances
        }
        kept = {row.id: stored.load(reader, row.id) for row in rows}
    lines = {(line["activity_instance_id"], line["at"]) for line in camunda_golden.expected()}
    assert lines <= {(row.activity_instance_id, row.boundary) for row in rows}
    return [
        row.id
        for row in rows
        if kept[row.id]
        != snapshot.of_activity(histories[row.process_instance_id], row.activity_instance_id, Boundary(row.boundary))
    ]


def main() -> None:
    """Store until the statement at which this process dies."""
    last, now, since = int(sys.argv[1]), datetime.fromisoformat(sys.argv[2]), datetime.fromisoformat(sys.argv[3])
    statements = itertools.count(1)
    execute = psycopg.Connection.execute

    def counting(self: psycopg.Connection[Any], *arguments: Any, **options: Any) -> Any:
        if next(statements) == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return execute(self, *arguments, **options)

    psycopg.Connection.execute = counting  # type: ignore[method-assign]
    settings = load_camunda()
    assert settings is not None
    storing.store(settings, ALL, now=now, since=since)


if __name__ == "__main__":
    main()
