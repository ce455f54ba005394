"""Daily partitions by the day on which a tree's root ended: each moment belongs to exactly one."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from dagster import DailyPartitionsDefinition

from archival_pipeline.archival.filters import parse_filters, resolve
from archival_pipeline.errors import RequestError

with warnings.catch_warnings():
    # Dagster looks for the fields of a resource that has none by a name that pydantic has deprecated.
    warnings.filterwarnings("ignore", "The `__fields__` attribute is deprecated")
    from archival_pipeline.defs import jobs
    from archival_pipeline.defs.partitions import by_end_day, of_day

KYIV = DailyPartitionsDefinition(start_date="2025-01-01", timezone="Europe/Kyiv")
NOW = datetime(2025, 12, 1, tzinfo=UTC)


def bounds(day: str) -> tuple[str, str]:
    """First moment and end of a partition, as the engine's rows are compared with them."""
    filters = of_day({"processName": "a"}, KYIV.time_window_for_partition_key(day))
    frozen = resolve(parse_filters(filters), now=NOW, time_zone="Europe/Kyiv")
    assert frozen["processName"] == "a"
    return frozen["endedFrom"], frozen["endedTo"]


@pytest.mark.parametrize("day", ["2025-01-15", "2025-03-30", "2025-10-26", "2025-11-30"])
def test_partition_is_one_day_on_the_engines_clock(day: str) -> None:
    following = (datetime.fromisoformat(day) + timedelta(days=1)).date().isoformat()
    assert bounds(day) == (f"{day} 00:00:00.000000", f"{following} 00:00:00.000000")


def test_days_follow_each_other_without_a_gap() -> None:
    days = KYIV.get_partition_keys(current_time=NOW)
    assert len(days) == 334
    assert all(bounds(one)[1] == bounds(other)[0] for one, other in pairwise(days))


def test_day_that_goes_on_has_no_partition_yet() -> None:
    midnight = datetime(2025, 6, 2, 21, tzinfo=UTC)
    assert KYIV.get_partition_keys(current_time=midnight - timedelta(minutes=1))[-1] == "2025-06-01"
    assert KYIV.get_partition_keys(current_time=midnight)[-1] == "2025-06-02"


@pytest.mark.parametrize("own", [{"endedFrom": "2025-01-01T00:00:00Z"}, {"endedTo": "2025-01-01T00:00:00Z"}])
def test_end_dates_of_the_users_own_are_refused(own: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="daily partition") as refused:
        of_day(own, KYIV.time_window_for_partition_key("2025-01-15"))
    assert refused.value.field in own
    assert "process_backup" in refused.value.resolve


def test_only_the_daily_backup_has_partitions() -> None:
    assert jobs.process_backup_by_day.partitions_def is by_end_day
    assert jobs.process_backup.partitions_def is None
