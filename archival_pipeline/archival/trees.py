"""Trees: the closure of selected instances, and whether each may leave the primary now.

Eligibility belongs to the whole tree. Not here: which instances are selected (``selection.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archival_pipeline.archival.keys import array_literal
from archival_pipeline.archival.ledger import TreeReport
from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import psycopg

Trees = dict[int, list[int]]
"""Members by root; the root is a member."""

# Reason code -> what it means, for people. The order is the order in which one reason is chosen for a tree.
REASONS = {
    "on_hold": "an instance of the tree, or of its family, is on legal hold",
    "running_member": "the instance has not ended",
    "live_state": "the engine still holds state, a work item or a session of the instance",
    "open_task": "a task of the instance is open",
    "queued_job": "a job of the instance is queued, retrying or running",
    "younger_member": "the instance ended after the date limit",
    "running_ancestor": "an ancestor of the tree has not ended",
    "case_shared": "another instance has the same case, and with it the same case file",
    "case_outside": "an instance that the case started is running outside the tree",
    "shared_content": "a task outside the tree uses the same content",
    "archived_unknown": "the ledger knows no backup that archived the instance",
    "in_primary": "the primary has the instance, its parent or a child of it",
    "not_there": "the instance is not in the database that it should be moved from",
    "locked": "the engine held a row of the tree for longer than the lock time-out",
    "changed_during_run": "the tree changed while it was moved",
}


def topmost(connection: psycopg.Connection[Any], selected: Sequence[int]) -> list[int]:
    """Of the selected instances, those that no other selected instance contains, in order."""
    rows = connection.execute(load_sql("common/topmost"), {"selected": array_literal(selected)}).fetchall()
    return [row[0] for row in rows]


def closure(connection: psycopg.Connection[Any], roots: Sequence[int]) -> Trees:
    """The trees of the given roots, as the session's database has them now."""
    trees: Trees = {root: [] for root in roots}
    for root, member in connection.execute(load_sql("common/tree_members"), {"roots": array_literal(roots)}):
        trees[root].append(member)
    return trees


def missing(connection: psycopg.Connection[Any], trees: Mapping[int, Sequence[int]]) -> dict[int, TreeReport]:
    """Roots that the session's database does not have any more."""
    rows = connection.execute(load_sql("common/present_members"), {"process": array_literal(list(trees))})
    here = {row[0] for row in rows}
    return {
        root: TreeReport(root, "skipped", "not_there", root, detail=REASONS["not_there"])
        for root in trees
        if root not in here
    }


def obstacles(
    connection: psycopg.Connection[Any],
    trees: Mapping[int, Sequence[int]],
    date_limit: str | None,
    *,
    only: Collection[str] | None = None,
) -> dict[int, TreeReport]:
    """Trees that may not leave the primary, each with the reason that counts most.

    Args:
        connection: a session of the primary.
        trees: members by root.
        date_limit: every member must have ended before, on the engine's clock; None for no limit.
        only: the reasons that count; None for all.
    """
    parameters = _parallel(trees) | {"distinct_roots": array_literal(list(trees)), "before": date_limit}
    rows = connection.execute(load_sql("primary/tree_obstacles"), parameters).fetchall()
    return _by_weight([row for row in rows if only is None or row[1] in only])


def shared_content(connection: psycopg.Connection[Any], trees: Mapping[int, Sequence[int]]) -> dict[int, TreeReport]:
    """Trees that share a content row with another tree. Scans the task tables: ask once per wave."""
    return _by_weight(connection.execute(load_sql("primary/shared_content"), _parallel(trees)).fetchall())


def new_children(connection: psycopg.Connection[Any], members: Sequence[int]) -> dict[int, int]:
    """Children that the members have now and that are not among them, by parent."""
    rows = connection.execute(load_sql("common/new_children"), {"process": array_literal(members)}).fetchall()
    return {row[0]: row[1] for row in rows}


def _parallel(trees: Mapping[int, Sequence[int]]) -> dict[str, str]:
    pairs = [(root, member) for root, members in trees.items() for member in members]
    return {
        "roots": array_literal([root for root, _ in pairs]),
        "members": array_literal([member for _, member in pairs]),
    }


def _by_weight(rows: Sequence[tuple[Any, ...]]) -> dict[int, TreeReport]:
    weight = {reason: place for place, reason in enumerate(REASONS)}
    found: dict[int, TreeReport] = {}
    for root, reason, instance in sorted(rows, key=lambda row: (row[0], weight[row[1]])):
        if root not in found:
            found[root] = TreeReport(root, "skipped", reason, instance, detail=REASONS[reason])
    return found
