"""Asks a database which process instances the filters pick, and which descend from given ones.

Thin calls of the SQL functions that the migrations install; they mean the same in both databases. Not here: whether a
tree may move, what it consists of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg.rows import scalar_row
from psycopg.types.json import Jsonb

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    import psycopg

    from archival_pipeline.archival.filters import SqlFilters


def count(connection: psycopg.Connection[Any], filters: SqlFilters) -> int:
    """How many process instances the filters pick."""
    return int(_scalars(connection, "SELECT process_count_fn_v1(%s)", [Jsonb(dict(filters))])[0])


def find(
    connection: psycopg.Connection[Any],
    filters: SqlFilters,
    page_size: int | None = None,
    page_number: int = 1,
) -> list[int]:
    """The ids that the filters pick, each once and in order; one page, or all without ``page_size``.

    Args:
        connection: a session on either database.
        filters: from :func:`archival_pipeline.archival.filters.resolve`.
        page_size: ids per page.
        page_number: counts from 1.
    """
    query = "SELECT process_find_fn_v1(%s, %s::integer, %s::integer)"
    return _scalars(connection, query, [Jsonb(dict(filters)), page_size, page_number])


def children(connection: psycopg.Connection[Any], process_instance_ids: Collection[int]) -> list[int]:
    """All descendants of the given instances, each once and in order, the given ones left out."""
    query = "SELECT DISTINCT process_instance_id FROM process_children_fn_v1(%s::bigint[]) ORDER BY process_instance_id"
    given = set(process_instance_ids)
    return [child for child in _scalars(connection, query, [sorted(given)]) if child not in given]


def server_now(connection: psycopg.Connection[Any]) -> datetime:
    """The database's clock, with its offset: the clock that cut-offs are taken from."""
    moment: datetime = _scalars(connection, "SELECT clock_timestamp()", [])[0]
    return moment


def _scalars(connection: psycopg.Connection[Any], query: Any, values: list[Any]) -> list[Any]:
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(query, values).fetchall()
