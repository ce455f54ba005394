"""Daily partitions of the backup, by the day on which a tree's root ended, in the engine's time zone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dagster import DailyPartitionsDefinition, TimeWindow

from archival_pipeline.errors import RequestError
from archival_pipeline.settings import load_engine, load_nightly

if TYPE_CHECKING:
    from collections.abc import Mapping

# A day's partition ends as late as the day: the newest one is yesterday.
by_end_day = DailyPartitionsDefinition(
    start_date=load_nightly().partitions_start.isoformat(), timezone=load_engine().time_zone
)


def of_day(filters: Mapping[str, Any], window: TimeWindow) -> dict[str, Any]:
    """The filters, limited to the partition's day.

    Raises:
        RequestError: the filters have an end date of their own.
    """
    own = [name for name in ("endedFrom", "endedTo") if filters.get(name)]
    if own:
        raise RequestError(
            f"A daily partition sets endedFrom and endedTo itself; {' and '.join(own)} cannot be given too.",
            resolve="Leave them out, or launch process_backup, which has no partitions.",
            field=own[0],
            value=filters[own[0]],
        )
    return {**filters, "endedFrom": window.start.isoformat(), "endedTo": window.end.isoformat()}
