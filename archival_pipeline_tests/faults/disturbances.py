# ruff: noqa: S608 - fixed statements, put together here
"""What the engine or anybody else may do to a tree while it is moved, as statements; moments of a move, as patterns.

Not here: what must hold afterwards.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from archival_pipeline.database.connections import connect
from archival_pipeline_tests.support.checker import Checker, differences, together

if TYPE_CHECKING:
    from archival_pipeline_tests.faults.stage import Sides
    from archival_pipeline_tests.support.checker import Rows

ROOT = 1
"""Root of the first tree of the small stage."""

# Moments of a backup, as patterns of fault points.
COPY_BEGINS = 'before backup COPY "'
COPIED = "before backup COMMIT"
COPY_ENDED = "after backup UPDATE archival_batch SET state = 'copied'"
DELETE_BEGINS = r"before primary SELECT count\(\*\) FROM \( SELECT p.id"
LOCKED = r"after primary SELECT count\(\*\) FROM \( SELECT i.instanceid"
ROWS_GONE = "before primary SELECT pg_current_xact_id"
DELETING = "before primary COMMIT"

_COPY_OF_A_ROW = (
    "INSERT INTO {table} SELECT (jsonb_populate_record(t, '{changes}')).* FROM {table} AS t"
    f" WHERE t.processinstanceid = {ROOT} ORDER BY t.id LIMIT 1"
)
LATE_LOG_ROW = _COPY_OF_A_ROW.format(table="nodeinstancelog", changes='{"id": 900001}')
LATE_VARIABLE = _COPY_OF_A_ROW.format(table="variableinstancelog", changes='{"id": 900002, "value": "late"}')
LATE_CHILD = (
    'INSERT INTO processinstancelog SELECT (jsonb_populate_record(t, \'{"id": 900003, "processinstanceid": 900003,'
    f' "parentprocessinstanceid": {ROOT}}}\')).* FROM processinstancelog AS t WHERE t.processinstanceid = {ROOT}'
)
CHANGED_ROW = f"UPDATE variableinstancelog SET value = value || ' changed' WHERE processinstanceid = {ROOT}"
ONE_VALUE_NULL = f"UPDATE nodeinstancelog SET nodename = NULL WHERE processinstanceid = {ROOT}"
SWAPPED = f"UPDATE nodeinstancelog SET nodename = nodeid, nodeid = nodename WHERE processinstanceid = {ROOT}"
ACTIVE_AGAIN = f"UPDATE processinstancelog SET status = 1, end_date = NULL WHERE processinstanceid = {ROOT}"
CLEANED = f"DELETE FROM nodeinstancelog WHERE processinstanceid = {ROOT}"

CHANGES = {
    "late log row": LATE_LOG_ROW,
    "late variable": LATE_VARIABLE,
    "late child": LATE_CHILD,
    "changed row": CHANGED_ROW,
    "one value NULL": ONE_VALUE_NULL,
    "values swapped": SWAPPED,
    "active again": ACTIVE_AGAIN,
}


def everything(sides: Sides) -> Rows:
    """The owned rows of both databases together."""
    checker = Checker(*sides)
    return together(checker.primary(), checker.backup())


def missing(expected: Rows, found: Rows) -> list[str]:
    """A sentence for each table of which an expected row is in neither database."""
    return [f"{table}: {gone.total()} rows" for table, rows in expected.items() if (gone := rows - found[table])]


def lost(expected: Rows, found: Rows) -> list[str]:
    """A sentence for each table that does not have exactly the expected rows in both databases together."""
    return differences(expected, {table: found.get(table, Counter()) for table in expected})


def torn(sides: Sides) -> list[tuple[int, int]]:
    """Pairs of parent and child that stand in different databases."""
    found: list[dict[int, int]] = []
    for side in sides:
        with connect(side, purpose="check") as session:
            query = "SELECT processinstanceid, parentprocessinstanceid FROM processinstancelog"
            found.append(dict(session.execute(query).fetchall()))
    here, there = found
    return [pair for one, other in ((here, there), (there, here)) for pair in one.items() if pair[1] in other]
