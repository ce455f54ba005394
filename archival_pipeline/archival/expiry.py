"""Time to live: which trees have been over, or in the archive, for longer than their process definitions allow.

A tree expires when every member has ended longer ago than the time to live of its own definition; or, in the archive,
was archived longer ago. What has no time to live never expires. The cut-offs are frozen with the operation: they are
reckoned from its date limit, which is that of the shortest time to live. Not here: the removal itself, which is a bulk
deletion (``removal.py``), and its windows.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from archival_pipeline.archival.keys import array_literal
from archival_pipeline.archival.ledger import TreeReport
from archival_pipeline.archival.options import ExpiryOptions
from archival_pipeline.archival.trees import REASONS
from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg

    from archival_pipeline.archival.move import Move
    from archival_pipeline.archival.options import Expiry

_NEVER = "-infinity"


@dataclass(frozen=True, slots=True)
class _Cutoffs:
    """Before which moment, on the engine's clock, something must have ended to be expired."""

    default: str
    of: Mapping[str, str]


def expiry_of(move: Move) -> Expiry | None:
    """What the operation says about times to live; None for one that knows of none."""
    return move.options.expiry if isinstance(move.options, ExpiryOptions) else None


def expired(move: Move, origin: psycopg.Connection[Any], picked: Sequence[int]) -> list[int]:
    """Of the picked instances those that have expired by themselves."""
    if expiry_of(move) is None:
        return list(picked)
    stay = unexpired(move, origin, {instance: [instance] for instance in picked})
    return [instance for instance in picked if instance not in stay]


def unexpired(move: Move, origin: psycopg.Connection[Any], trees: Mapping[int, Sequence[int]]) -> dict[int, TreeReport]:
    """Trees with a member that has not expired, or is not over.

    Args:
        move: the operation; one that knows no time to live holds nothing back here.
        origin: a session of the origin.
        trees: members by root.
    """
    expiry = expiry_of(move)
    if expiry is None:
        return {}
    cutoffs = _cutoffs(move, expiry)
    pairs = [(root, member) for root, members in trees.items() for member in members]
    parameters = {
        "roots": array_literal([root for root, _ in pairs]),
        "members": array_literal([member for _, member in pairs]),
        "cutoffs": json.dumps(cutoffs.of),
        "cutoff": cutoffs.default,
        "zone": move.settings.engine.time_zone,
    }
    name = "common/unexpired" if expiry.since == "ended" else "backup/unexpired_in_archive"
    return {
        root: TreeReport(root, "skipped", reason, instance, detail=REASONS[reason])
        for root, reason, instance in origin.execute(load_sql(name), parameters)
    }


def standing_in_primary(
    move: Move, primary: psycopg.Connection[Any], trees: Mapping[int, Sequence[int]]
) -> dict[int, TreeReport]:
    """Archived trees that are not alone: the primary has an instance of theirs, a parent or a child.

    Somebody has to look at them, or they belong to something that is not archived yet.
    """
    expiry = expiry_of(move)
    if expiry is None or move.direction.origin != "backup":
        return {}
    backup = move.control.session("backup")
    parents = backup.execute(load_sql("common/parents"), {"process": array_literal(list(trees))}).fetchall()
    by_instance = {member: root for root, members in trees.items() for member in members}
    by_instance |= {parent: root for root, parent in parents if parent not in by_instance}
    with primary.transaction():
        asked = {"process": array_literal(sorted(by_instance))}
        here = [row[0] for row in primary.execute(load_sql("common/present_members"), asked)]
        children = primary.execute(load_sql("common/new_children"), asked).fetchall()
    found = {by_instance[instance]: instance for instance in here}
    found |= {by_instance[parent]: child for parent, child in children}
    return {
        root: TreeReport(root, "skipped", "in_primary", instance, detail=REASONS["in_primary"])
        for root, instance in found.items()
    }


def _cutoffs(move: Move, expiry: Expiry) -> _Cutoffs:
    limit, shortest = datetime.fromisoformat(move.bound_filters["endedBefore"]), expiry.shortest
    assert shortest is not None  # noqa: S101 - without any time to live there is no such operation

    def before(days: int | None) -> str:
        if days is None:
            return _NEVER
        return (limit - timedelta(days=days - shortest)).isoformat(sep=" ")

    return _Cutoffs(before(expiry.days), {name: before(days) for name, days in expiry.days_of.items()})
