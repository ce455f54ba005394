"""A run in numbers: under the engine's names where it has them, and whether the cleanup keeps up."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from archival_pipeline.catalogue.camunda import HISTORY_TABLES, ROOTS_TABLE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from archival_pipeline.history.cleanup.running import Outcome

# So many nights in a row on which more was left than on the night before.
NIGHTS = 3


def numbers(outcome: Outcome) -> dict[str, int | float]:
    """What a run did, by name."""
    rows = outcome.rows.total()
    engines = {table.counted: outcome.rows[table.name] for table in HISTORY_TABLES if table.counted}
    return {
        **engines,
        "removed hierarchies": outcome.removed.roots,
        "removed instances": outcome.rows[ROOTS_TABLE],
        "removed rows": rows,
        "left over": outcome.left,
        "locked by others": len(set(outcome.removed.locked)),
        "set aside": len(outcome.set_aside),
        "taken up from earlier runs": outcome.taken_up,
        "batches": outcome.batches,
        "retries": outcome.retries,
        "seconds": round(outcome.seconds, 3),
        "rows per second": round(rows / outcome.seconds, 1) if outcome.seconds else 0.0,
    }


def window_used(outcome: Outcome, started: datetime, closing: datetime | None) -> float | None:
    """The share of what was left of the window that the run took; None without a window."""
    if closing is None or closing <= started:
        return None
    return round(min(1.0, outcome.seconds / (closing - started).total_seconds()), 4)


def falls_behind(left_over: Sequence[int]) -> bool:
    """Whether more was left over night after night, :data:`NIGHTS` times running.

    Args:
        left_over: of each night, oldest first.
    """
    last = left_over[-NIGHTS - 1 :]
    return len(last) == NIGHTS + 1 and all(before < after for before, after in pairwise(last))
