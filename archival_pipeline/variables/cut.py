"""Which changes had happened at a boundary: the cut through time, and what was left of each variable.

``start`` is the state before entry, what a token that arrives sees; ``end`` the state at the end event, before output
parameters. Where the order of two rows cannot be told, the row is left out and the variable is flagged.

Not here: who could see a variable (``owners``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from archival_pipeline.variables.history import Activity, Change, History, Variable


class Boundary(StrEnum):
    """Which moment of an activity instance."""

    START = "start"
    END = "end"


class Flag(StrEnum):
    """What a reader must know about a value before trusting it."""

    AMBIGUOUS = "ambiguous"
    TIE = "tie"
    DELETE_AMBIGUOUS = "delete-ambiguous"
    TECHNICAL = "technical"
    INCOMPLETE = "incomplete"


_COMPENSATION_THROWS = frozenset({"compensationEndEvent", "intermediateCompensationThrowEvent"})


@dataclass(slots=True)
class Kept:
    """What was left of one variable after the cut.

    Attributes:
        variable: the variable.
        first: its first change, which says where it came from.
        last: its last change before the boundary; None where a tie alone makes it known.
        gone: the last change was a deletion.
        flags: what could not be told.
    """

    variable: Variable
    first: Change
    last: Change | None
    gone: bool = False
    flags: set[Flag] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Cut:
    """A boundary: each change is before it, after it, or at a tie with it."""

    keeps: Callable[[Change], bool]
    ties: Callable[[Change], bool]


def at_start(history: History, activity: Activity) -> Cut:
    """Before entry: ids minted before the activity instance's own."""
    keys = history.keys
    if keys.comparable:
        limit = keys[activity.id]
        return Cut(lambda change: keys[change.id] < limit, _never)
    begun = activity.start
    return Cut(
        lambda change: change.time < begun and change.source != activity.id,
        lambda change: change.time == begun and change.source != activity.id,
    )


def at_end(history: History, activity: Activity, *, after_outputs: bool = False) -> Cut:
    """At the end event; with ``after_outputs`` also what its output parameters then set."""
    assert activity.end is not None  # noqa: S101 - the caller refuses an activity that still runs
    ended: datetime = activity.end
    inside = history.subtree(activity)
    outputs = _outputs(history, activity, inside) if after_outputs else _Outputs()
    if not history.keys.comparable:
        return Cut(
            lambda change: (
                change.time < ended or (change.time == ended and change.source in inside) or change.id in outputs.sure
            ),
            lambda change: (
                change.id in outputs.doubtful
                or (change.time == ended and change.source not in inside and change.id not in outputs.sure)
            ),
        )
    limit = _last_key_inside(history, activity, inside)
    keys = history.keys
    silent = _silent_sources(history, activity, ended, limit)

    def keeps(change: Change) -> bool:
        if change.time < ended or change.id in outputs.sure:
            return True
        return change.time == ended and keys[change.id] <= limit

    def ties(change: Change) -> bool:
        if change.id in outputs.doubtful:
            return True
        return change.time == ended and not keeps(change) and change.source not in silent

    return Cut(keeps, ties)


def at_moment(moment: datetime) -> Cut:
    """At a time: changes of that very millisecond count."""
    return Cut(lambda change: change.time <= moment, _never)


def apply(history: History, cut: Cut) -> list[Kept]:
    """What is left of every variable; variables that began after the boundary are not there."""
    found = []
    for variable in history.variables.values():
        changes = history.changes.get(variable.id)
        if changes:
            kept = _left_of(variable, changes, cut)
            if kept is not None:
                found.append(kept)
    return found


def _left_of(variable: Variable, changes: Sequence[Change], cut: Cut) -> Kept | None:
    place, tied = -1, False
    # From the end: the order inside one variable is sure, so the last change that is kept decides.
    for index in range(len(changes) - 1, -1, -1):
        if cut.keeps(changes[index]):
            place = index
            break
        tied = tied or cut.ties(changes[index])
    if place < 0 and not tied:
        return None
    kept = Kept(variable, changes[0], changes[place] if place >= 0 else None)
    if tied:
        kept.flags.add(Flag.TIE)
    if place >= 0:
        _judge_deletion(kept, changes, place)
    return kept


def _judge_deletion(kept: Kept, changes: Sequence[Change], place: int) -> None:
    """An empty row is a deletion or a null value; the engine does not say which.

    A variable's first row creates it, and a deletion repeats the type of the row before. A variable goes on under its
    id after a deletion only within the same transaction, which leaves the revision as it is.
    """
    row = changes[place]
    if not row.empty or place == 0 or row.type != changes[place - 1].type:
        return
    if place == len(changes) - 1:
        kept.gone = kept.variable.deleted
    elif changes[place + 1].revision == row.revision:
        kept.gone = True
        kept.flags.add(Flag.DELETE_AMBIGUOUS)


@dataclass(frozen=True, slots=True)
class _Outputs:
    """Ids of changes that output parameters made, and of those that another activity's may have made."""

    sure: frozenset[str] = frozenset()
    doubtful: frozenset[str] = frozenset()


def _outputs(history: History, activity: Activity, inside: set[str]) -> _Outputs:
    parent = activity.parent_id or history.process.id
    ended = activity.end
    assert ended is not None  # noqa: S101 - see at_end
    rows = [
        change
        for group in history.changes.values()
        for change in group
        if change.source == parent and change.time >= ended and change.execution_id != activity.execution_id
    ]
    if not history.keys.comparable:
        return _Outputs(doubtful=frozenset(change.id for change in rows if change.time == ended))
    keys = history.keys
    limit = _last_key_inside(history, activity, inside)
    later = [key for key in (keys[row] for row in history.activities) if key > limit]
    until = min(later, default=None)
    rows = [change for change in rows if keys[change.id] > limit and (until is None or keys[change.id] < until)]
    others = [
        row.end
        for row in history.children.get(parent, ())
        if row.id != activity.id and row.end is not None and row.end >= ended
    ]
    doubtful = {change.id for change in rows if any(end <= change.time for end in others)}
    return _Outputs(frozenset(change.id for change in rows if change.id not in doubtful), frozenset(doubtful))


def _last_key_inside(history: History, activity: Activity, inside: set[str]) -> int:
    """The highest key of the activity instance, what ran in it, and what was set there up to its end."""
    keys = history.keys
    ids = [row for row in inside if row in history.activities]
    ids += [
        change.id
        for group in history.changes.values()
        for change in group
        if change.source in inside and activity.end is not None and change.time <= activity.end
    ]
    return max(keys[row] for row in ids)


def _silent_sources(history: History, activity: Activity, ended: datetime, limit: int) -> frozenset[str | None]:
    """Sources whose changes in the millisecond of the end surely came after it."""
    outputs: Iterable[str | None] = (activity.parent_id or history.process.id,)
    if activity.type in _COMPENSATION_THROWS:
        # Handlers run while the throwing event is active, outside of what is inside it.
        return frozenset(outputs)
    keys = history.keys
    later = (row.id for row in history.activities.values() if row.start >= ended and keys[row.id] > limit)
    return frozenset([*outputs, *later])


def _never(_: Change) -> bool:
    return False
