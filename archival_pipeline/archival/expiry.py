"""Time to live: which trees have been over, or in the archive, for longer than their process definitions allow.

A tree expires when every member has ended longer ago than the time to live of its own definition; or, in the archive,
was archived longer ago. What has no time to live never expires. The moment from which the cut-offs are reckoned is
frozen with the operation. Not here: the removal itself, which is a bulk deletion (``removal.py``), and its windows.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from archival_pipeline.archival.keys import array_literal
from archival_pipeline.archival.ledger import TreeReport
from archival_pipeline.archival.options import ExpiryOptions
from archival_pipeline.archival.trees import REASONS, new_children
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
    members = array_literal([member for _, member in pairs])
    parameters = {
        "roots": array_literal([root for root, _ in pairs]),
        "members": members,
        "cutoffs": json.dumps(cutoffs.of),
        "cutoff": cutoffs.default,
        **_archived(move, origin, members, wanted=expiry.since == "archived"),
    }
    return {
        root: TreeReport(root, "skipped", reason, instance, detail=REASONS[reason])
        for root, reason, instance in origin.execute(load_sql("common/unexpired"), parameters)
    }


def _archived(move: Move, origin: psycopg.Connection[Any], members: str, *, wanted: bool) -> dict[str, Any]:
    """When the members were archived, where that is what counts; only the archive has a ledger beside it."""
    zone = move.settings.engine.time_zone
    found = (
        origin.execute(load_sql("backup/archived_at"), {"members": members, "zone": zone}).fetchall() if wanted else []
    )
    return {"archived": wanted, "archived_ids": [row[0] for row in found], "archived_at": [row[1] for row in found]}


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
    kin = [(member, root) for root, members in trees.items() for member in members]
    with primary.transaction():
        children = new_children(primary, [member for member, _ in kin])
        asked = {"process": array_literal([*(member for member, _ in kin), *(parent for _, parent in parents)])}
        here = {row[0] for row in primary.execute(load_sql("common/present_members"), asked)}
    found = {root: member for member, root in kin if member in here}
    found |= {root: children[member] for member, root in kin if member in children}
    found |= {root: parent for root, parent in parents if parent in here}
    return {
        root: TreeReport(root, "skipped", "in_primary", instance, detail=REASONS["in_primary"])
        for root, instance in found.items()
    }


def _cutoffs(move: Move, expiry: Expiry) -> _Cutoffs:
    # As it was begun: who takes it up again may have other settings by now.
    begun = move.ledger.operation()
    limit = datetime.fromisoformat(begun["bound_filters"]["endedBefore"])
    now = limit + timedelta(days=begun["filters"]["beforeNoOfDays"])

    def before(days: int | None) -> str:
        return _NEVER if days is None else (now - timedelta(days=days)).isoformat(sep=" ")

    return _Cutoffs(before(expiry.days), {name: before(days) for name, days in expiry.days_of.items()})
