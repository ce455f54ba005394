"""What a user may ask of the history: his running and his finished processes, and the tasks that he completed.

Every list is sorted by one field, then by start and id, so that pages neither overlap nor leave gaps. Not here: words
for a status, tokens, HTTP.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.rows import dict_row

from archival_pipeline.database.sqlfiles import load_sql
from archival_pipeline.errors import RequestError
from archival_pipeline.history.events.fields import PROCESS, TASK

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

    from archival_pipeline.history.events.fields import Entity

DEFAULT_SORT = "desc(endTime)"
_SORT = re.compile(r"(asc|desc)\(([A-Za-z]*)\)")


@dataclass(frozen=True, slots=True)
class Listing:
    """One list that a user may ask for.

    Attributes:
        statement: name of its SQL, without order and page.
        sortable: field name to what it sorts by; an empty text where all rows are alike.
        key: column that tells rows apart.
    """

    statement: str
    sortable: Mapping[str, str]
    key: str


def _columns(entity: Entity, *without: str) -> dict[str, str]:
    fields = (entity.key, *entity.fields)
    return {field.name: f"listed.{field.column}" for field in fields if field.name not in without}


RUNNING = Listing(
    "history/list_running",
    # Nothing that runs has an end: the default sort is by start.
    {
        **_columns(PROCESS),
        "endTime": "",
        "processState": "listed.state",
        "statusTitle": "CASE WHEN listed.state = 'SUSPENDED' THEN 4 WHEN listed.is_pending THEN 3 ELSE 5 END",
    },
    "process_instance_id",
)
FINISHED = Listing(
    "history/list_finished",
    {
        **_columns(PROCESS),
        "statusTitle": "CASE listed.state WHEN 'EXTERNALLY_TERMINATED' THEN 1 WHEN 'COMPLETED' THEN 2 ELSE 99 END",
    },
    "process_instance_id",
)
TASKS = Listing("history/list_tasks", _columns(TASK, "deleteReason"), "activity_instance_id")


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list, in which order."""

    limit: int
    offset: int
    sort: str = DEFAULT_SORT


def find(session: psycopg.Connection[Any], listing: Listing, user: str, page: Page) -> list[dict[str, Any]]:
    """One page of a user's list.

    Raises:
        RequestError: the sort cannot be used.
    """
    statement = sql.SQL("SELECT * FROM ({listed}) AS listed ORDER BY {order} LIMIT %(limit)s OFFSET %(offset)s").format(
        listed=sql.SQL(load_sql(listing.statement)), order=_order(listing, page.sort)
    )
    values = {"user": user, "limit": page.limit, "offset": page.offset}
    with session.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement, values).fetchall()


def count_running(session: psycopg.Connection[Any], user: str) -> int:
    """How many rows the list of running processes has."""
    row = session.execute(load_sql("history/count_running"), {"user": user}).fetchone()
    assert row is not None  # noqa: S101 - an aggregate returns one row
    return int(row[0])


def _order(listing: Listing, sort: str) -> sql.Composed:
    asked = _SORT.fullmatch(sort)
    if asked is None:
        raise RequestError(
            "The sort is not asc(field) or desc(field).", resolve="Sort by one field.", field="sort", value=sort
        )
    direction, name = asked.groups()
    if name not in listing.sortable:
        known = ", ".join(sorted(listing.sortable))
        raise RequestError("There is no such field.", resolve=f"Sort by one of {known}.", field="sort", value=sort)
    by = listing.sortable[name]
    parts = [f"{by} {direction}"] if by else []
    parts += ["listed.start_time DESC"] if name != "startTime" else []
    # Composed of names in this module only: what the caller sent was looked up.
    return sql.Composed([sql.SQL(", ".join([*parts, f"listed.{listing.key}"]))])
