"""Reads one process instance's history from a Camunda database, with a fixed number of queries.

Five queries make the history, one more the values of the entries that came out. All of them run in one REPEATABLE READ
transaction that the caller holds, so that the engine may go on writing. Not here: what the rows mean.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg

from archival_pipeline import errors
from archival_pipeline.database.connections import connect
from archival_pipeline.database.sqlfiles import load_sql
from archival_pipeline.variables import failures
from archival_pipeline.variables.history import Activity, Change, History, JobSuccess, Process, Variable
from archival_pipeline.variables.values import Content, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from archival_pipeline.settings import DatabaseSettings

INLINE_BYTES = 1024 * 1024
NO_LIMIT = 2**31 - 1
_FULL = "3"
_LEVELS = {"0": "none", "1": "activity", "2": "audit"}
_SUCCESS = 2
_BEFORE = "async-before"


@contextmanager
def reading(settings: DatabaseSettings) -> Iterator[psycopg.Connection[Any]]:
    """One read-only view of the engine's database.

    Raises:
        DatabaseError: whatever PostgreSQL refuses comes out as our error.
    """
    doing = "reading variables"
    try:
        with connect(settings, purpose=doing) as session:
            session.read_only = True
            session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            yield session
    except psycopg.Error as error:
        raise errors.from_database(error, doing) from error


def process_of(
    session: psycopg.Connection[Any], *, process_instance_id: str | None = None, activity_instance_id: str | None = None
) -> Process:
    """The process instance, found by its own id or by an activity instance's.

    Raises:
        SnapshotError: there is no such instance, or the engine's history level is below full.
    """
    wanted = {"process_instance_id": process_instance_id, "activity_instance_id": activity_instance_id}
    row = session.execute(load_sql("camunda/variables_process"), wanted).fetchone()
    level = row[-1] if row is not None else None
    if level != _FULL:
        name = _LEVELS.get(str(level), "unknown" if level is None else f"a custom one, {level}")
        raise failures.SnapshotError(
            f"The engine's history level is {name}; only level full records every change of a variable.",
            resolve="Set the engine's history level to full; instances that start from then on have snapshots.",
            code=failures.LEVEL,
        )
    if row is None or row[0] is None:
        raise failures.SnapshotError(
            f"History knows no instance {process_instance_id or activity_instance_id}.",
            resolve="Check the id; history that was cleaned is gone.",
            code=failures.NOT_FOUND,
        )
    return Process(*row[:-1])


def history_of(session: psycopg.Connection[Any], process: Process) -> History:
    """Everything about the instance but values."""
    activities = _rows(session, "variables_activities", process.id)
    variables = _rows(session, "variables_variables", process.id)
    changes = _rows(session, "variables_changes", process.id)
    jobs = _rows(session, "variables_jobs", process.id)
    done = {job[3] for job in jobs if job[4] == _SUCCESS}
    return History(
        process,
        list(map(Activity._make, activities)),
        list(map(Variable._make, variables)),
        list(map(Change._make, changes)),
        [JobSuccess(*job[:3]) for job in jobs if job[4] == _SUCCESS and job[5] == _BEFORE],
        has_unseen_tokens=any(job[3] not in done for job in jobs),
    )


def activities_of(session: psycopg.Connection[Any], process: Process) -> list[Activity]:
    """The activity instances alone."""
    return list(map(Activity._make, _rows(session, "variables_activities", process.id)))


def values_of(
    session: psycopg.Connection[Any], change_ids: Iterable[str], *, inline_bytes: int = INLINE_BYTES
) -> dict[str, Value]:
    """The values of changes, by their ids.

    Args:
        session: the same one that the history came from.
        change_ids: ids of changes.
        inline_bytes: the longest byte array to read along; of a longer one only size and digest are read.

    Raises:
        SnapshotError: a value's bytes are gone.
    """
    wanted = {"ids": list(change_ids), "inline_bytes": inline_bytes}
    found = {}
    for row in session.execute(load_sql("camunda/variables_values"), wanted, binary=True):
        change_id, kind, text, text2, long, double, size, digest, data, lost = row
        if lost:
            raise failures.SnapshotError(
                f"The bytes of the change {change_id} are gone.",
                resolve="History was partly cleaned; there is no snapshot of this variable.",
            )
        content = None if size is None else Content(size, digest, data)
        found[change_id] = Value(kind, text, text2, long, double, content)
    return found


def _rows(session: psycopg.Connection[Any], name: str, process_instance_id: str) -> list[tuple[Any, ...]]:
    wanted = {"process_instance_id": process_instance_id}
    return session.execute(load_sql(f"camunda/{name}"), wanted, binary=True).fetchall()
