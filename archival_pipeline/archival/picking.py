"""From filters to trees: which instances an operation picks, and which of them stand for whole trees.

Not here: whether a tree may move (``eligibility.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archival_pipeline.archival import expiry, selection, trees
from archival_pipeline.archival.keys import array_literal
from archival_pipeline.database.sqlfiles import load_sql
from archival_pipeline.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg

    from archival_pipeline.archival.filters import Filters
    from archival_pipeline.archival.move import Move


def count(move: Move) -> int:
    """How many instances the operation picks now."""
    origin = move.control.session(move.direction.origin)
    with origin.transaction():
        if move.options.audit_id is None and expiry.expiry_of(move) is None:
            return selection.count(origin, move.bound_filters)
        return len(_selected(move, origin))


def pick(move: Move) -> tuple[int, list[int]]:
    """How many instances are picked, and the roots of the trees they form, in order."""
    origin = move.control.session(move.direction.origin)
    with origin.transaction():
        selected = _selected(move, origin)
        roots = trees.topmost(origin, selected)
        if move.options.roots_only:
            roots = _without_parent(origin, roots)
    return len(selected), roots


def _selected(move: Move, origin: psycopg.Connection[Any]) -> list[int]:
    """What the filters pick; of an audit, what it moved and the filters pick besides."""
    if move.options.audit_id is None:
        return expiry.expired(move, origin, selection.find(origin, move.bound_filters))
    backup = move.control.session("backup")
    with backup.transaction():
        moved = moved_by(backup, move.options.audit_id)
    return narrowed(origin, moved, move.filters, move.bound_filters)


def moved_by(backup: psycopg.Connection[Any], audit_id: str) -> list[int]:
    """Roots of the trees that an operation moved, as the ledger has them; a dry run may ask, too.

    Raises:
        RequestError: the ledger has no such operation.
    """
    if backup.execute(load_sql("backup/ledger_operation"), {"audit_id": audit_id}).fetchone() is None:
        raise RequestError(
            f"The ledger has no operation {audit_id}.",
            resolve="See `archival-pipeline audits list` for the operations.",
            field="auditId",
            value=audit_id,
        )
    return [row[0] for row in backup.execute(load_sql("backup/ledger_moved_roots"), {"audit_id": audit_id})]


def narrowed(
    origin: psycopg.Connection[Any], moved: Sequence[int], filters: Filters, bound_filters: Mapping[str, Any]
) -> list[int]:
    """Those that the filters pick, too; all of them where there are no filters."""
    if filters.is_empty:
        return list(moved)
    wanted = set(selection.find(origin, bound_filters))
    return [root for root in moved if root in wanted]


def _without_parent(origin: psycopg.Connection[Any], roots: list[int]) -> list[int]:
    """Leave out instances whose parent is still there: they move with its tree, when that one is picked."""
    rows = origin.execute(load_sql("common/without_parent"), {"roots": array_literal(roots)}).fetchall()
    return [row[0] for row in rows]
