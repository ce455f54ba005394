"""The activity instances of a process instance, to choose one from, page by page.

Not here: their snapshots.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from archival_pipeline.variables.loops import Loops

if TYPE_CHECKING:
    from archival_pipeline.variables.history import Activity, History

_STATES = {0: "running", 1: "completed", 2: "cancelled", 4: "completed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """Which activity instances to list; what is None does not matter.

    Attributes:
        activity_id: id in the model.
        activity_type: type, such as ``userTask``.
        state: ``running``, ``completed`` or ``cancelled``.
        parent_id: the activity instance they ran in, such as a multi-instance body.
        loop_index: their loop counter.
        page_number: from 1.
        page_size: rows per page.
    """

    activity_id: str | None = None
    activity_type: str | None = None
    state: str | None = None
    parent_id: str | None = None
    loop_index: int | None = None
    page_number: int = 1
    page_size: int = 100


class Listed(NamedTuple):
    """One activity instance to choose."""

    activity: Activity
    state: str
    loop_index: int | None


def state_of(activity: Activity) -> str:
    """How it ended. Parallel gateways keep their running state after their end, so the end time decides."""
    if activity.end is None:
        return "running"
    return "completed" if not activity.state else _STATES.get(activity.state, "completed")


def page(history: History, criteria: Criteria) -> tuple[list[Listed], int]:
    """One page in the order in which they began, and how many match."""
    loops = Loops(history)
    # Ids tell the order inside a millisecond; where they do not, the order is at least always the same.
    rows = history.keys.ordered(history.activities.values())
    if not history.keys.comparable:
        rows = sorted(rows, key=lambda row: row.id)
    matching = [row for row in sorted(rows, key=lambda row: row.start) if _matches(row, criteria)]
    if criteria.loop_index is not None:
        matching = [row for row in matching if loops.index_of(row) == criteria.loop_index]
    first = (criteria.page_number - 1) * criteria.page_size
    shown = matching[first : first + criteria.page_size]
    return [Listed(row, state_of(row), loops.index_of(row)) for row in shown], len(matching)


def _matches(row: Activity, criteria: Criteria) -> bool:
    wanted = (
        (criteria.activity_id, row.activity_id),
        (criteria.activity_type, row.type),
        (criteria.state, state_of(row)),
        (criteria.parent_id, row.parent_id),
    )
    return all(asked is None or asked == has for asked, has in wanted)
