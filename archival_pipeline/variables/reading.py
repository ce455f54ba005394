"""Reads one process instance's history from a Camunda database, with a fixed number of queries.

Five queries make the history, one more the values of the entries that came out. All of them run in one REPEATABLE READ
transaction that the caller holds, so that the engine may go on writing. Not here: what the rows mean.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg

from archival_pipeline import errors
from archival_pipeline.catalogue.camunda_sql import statement, stores_snapshots
from archival_pipeline.database.connections import connect
from archival_pipeline.variables import failures
from archival_pipeline.variables.history import Activity, Change, History, JobSuccess, Process, Variable, Wait
from archival_pipeline.variables.values import Content, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from archival_pipeline.settings_camunda import CamundaSettings

INLINE_BYTES = 1024 * 1024
NO_LIMIT = 2**31 - 1
_FULL = "3"
_LEVELS = {"0": "none", "1": "activity", "2": "audit"}
_CREATED = 0
_SUCCESS = 2
_BEFORE = "async-before"


class Reader:
    """One read-only view of the engine's database."""

    def __init__(self, session: psycopg.Connection[Any], settings: CamundaSettings) -> None:
        self._session = session
        self._settings = settings

    def rows(self, name: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """All rows of the statement ``sql/<name>.sql``."""
        return self._session.execute(statement(self._settings, name), values, binary=True).fetchall()

    def has_stored_snapshots(self) -> bool:
        """Whether the tables of stored snapshots are there."""
        return stores_snapshots(self._session, self._settings)


@contextmanager
def reading(settings: CamundaSettings) -> Iterator[Reader]:
    """One read-only view of the engine's database.

    Raises:
        DatabaseError: whatever PostgreSQL refuses comes out as our error.
    """
    doing = "reading variables"
    try:
        with connect(settings, purpose=doing) as session:
            session.read_only = True
            session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            yield Reader(session, settings)
    except psycopg.Error as error:
        raise errors.from_database(error, doing) from error


def process_of(
    reader: Reader, *, process_instance_id: str | None = None, activity_instance_id: str | None = None
) -> Process:
    """The process instance, found by its own id or by an activity instance's.

    Raises:
        SnapshotError: there is no such instance, or the engine's history level is below full.
    """
    wanted = {"process_instance_id": process_instance_id, "activity_instance_id": activity_instance_id}
    row = next(iter(reader.rows("camunda/variables_process", wanted)), None)
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


def history_of(reader: Reader, process: Process) -> History:
    """Everything about the instance but values."""
    activities = _rows(reader, "camunda/variables_activities", process.id)
    variables = _rows(reader, "camunda/variables_variables", process.id)
    changes = _rows(reader, "camunda/variables_changes", process.id)
    jobs = _rows(reader, "camunda/variables_jobs", process.id)
    return History(
        process,
        list(map(Activity._make, activities)),
        list(map(Variable._make, variables)),
        list(map(Change._make, changes)),
        [JobSuccess(*job[:3]) for job in jobs if job[4] == _SUCCESS and job[5] == _BEFORE],
        _waits(jobs),
    )


def _waits(jobs: Iterable[tuple[Any, ...]]) -> list[Wait]:
    """One for each job; a job that was deleted may have left its token behind."""
    found: dict[str, Wait] = {}
    for _, _, execution_id, job_id, state, _, time in jobs:
        wait = found.get(job_id, Wait(execution_id, None, None))
        if state == _CREATED:
            wait = wait._replace(execution_id=execution_id, start=time)
        elif state == _SUCCESS:
            wait = wait._replace(end=time)
        found[job_id] = wait
    return list(found.values())


def values_of(reader: Reader, change_ids: Iterable[str], *, inline_bytes: int = INLINE_BYTES) -> dict[str, Value]:
    """The values of changes, by their ids.

    Args:
        reader: the same one that the history came from.
        change_ids: ids of changes.
        inline_bytes: the longest byte array to read along; of a longer one only size and digest are read.

    Raises:
        SnapshotError: a value's bytes are gone.
    """
    wanted = {"ids": list(change_ids), "inline_bytes": inline_bytes}
    found = {}
    for row in reader.rows("camunda/variables_values", wanted):
        change_id, kind, text, text2, long, double, size, digest, data, lost = row
        if lost:
            raise failures.SnapshotError(
                f"The bytes of the change {change_id} are gone.",
                resolve="History was partly cleaned; there is no snapshot of this variable.",
            )
        content = None if size is None else Content(size, digest, data)
        found[change_id] = Value(kind, text, text2, long, double, content)
    return found


def _rows(reader: Reader, name: str, process_instance_id: str) -> list[tuple[Any, ...]]:
    return reader.rows(name, {"process_instance_id": process_instance_id})
