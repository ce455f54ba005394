"""Whether a token was alone in its scope, so that nothing that ran there can have been on a branch.

A token sits in an activity instance or waits for a job. Of several tokens in a scope none runs on the scope's own
execution; of a single one everything does but activities with an execution of their own. Not here: who owns a variable
(``owners``).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from archival_pipeline.variables.history import Activity, History, Wait


def was_alone(history: History, activity: Activity) -> bool:
    """Whether no other token can have been in the scope of an activity instance when its own token was there.

    Branches begin one after the other in the same transaction: the second one may begin only when the first one's
    token has left the activity for another or for a job. So what followed counts, up to the scope's own execution.
    Instances that only touch in the same millisecond count too, as their order is not known.
    """
    parent = history.activities.get(activity.parent_id or "")
    if activity.parent_id is None or (parent is None and activity.parent_id != history.process.id):
        return False
    scope = parent.execution_id if parent else history.process.id
    beside = [row for row in history.children[activity.parent_id] if row.id != activity.id]
    if any(row.execution_id != scope and _touches(activity, row) for row in beside):
        return False
    settled = [wait.start for wait in history.waits if wait.execution_id == scope and _began_after(wait, activity)]
    until = min((start for start in settled if start is not None), default=None)
    followers = _followers(history, activity, beside, scope, until)
    if any(_overlap(history, row, following) for row, following in pairwise(followers)):
        return False
    if followers and followers[-1].execution_id == scope:
        until = followers[-1].start
    return not any(
        wait.execution_id != scope
        and (wait.end is None or wait.end >= activity.start)
        and (wait.start is None or until is None or wait.start <= until)
        and not _is_elsewhere(history, activity, wait)
        for wait in history.waits
    )


def _touches(activity: Activity, other: Activity) -> bool:
    return (activity.end is None or other.start <= activity.end) and (other.end is None or other.end >= activity.start)


def _is_elsewhere(history: History, activity: Activity, wait: Wait) -> bool:
    """Whether the token that waits is in another scope; if that one lies in ours, its own row was looked at."""
    rows = history.by_execution.get(wait.execution_id or "", [])
    return wait.execution_id == history.process.id or any(
        row.is_scope or row.parent_id != activity.parent_id for row in rows
    )


def _began_after(wait: Wait, activity: Activity) -> bool:
    return wait.start is not None and activity.end is not None and wait.start > activity.start


def _followers(
    history: History, activity: Activity, beside: list[Activity], scope: str, until: datetime | None
) -> list[Activity]:
    """What began in the scope after an activity instance, up to the first that ran on the scope's own execution."""
    if history.keys.comparable:
        mine = history.keys[activity.id]
        later = [row for row in beside if history.keys[row.id] > mine]
    else:
        # Of those that began together the scope's own comes last, so that the others are looked at.
        later = [row for row in beside if row.start >= activity.start]
        later.sort(key=lambda row: (row.start, row.execution_id == scope))
    found = []
    for row in later:
        if until is not None and row.start > until:
            break
        found.append(row)
        if row.execution_id == scope and (history.keys.comparable or activity.end is None or row.start > activity.end):
            break
    return found


def _overlap(history: History, row: Activity, following: Activity) -> bool:
    if row.end is None or following.start < row.end:
        return True
    return not history.keys.comparable and following.start == row.start
