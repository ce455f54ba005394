"""The windows of a week, by tables: midnight, weekdays, whole days, clock changes, edges."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from archival_pipeline.history.cleanup.weekly import WeeklyWindows
from archival_pipeline.settings_cleanup import CleanupSettings

KYIV = "Europe/Kyiv"


def windows(zone: str = "UTC", **given: str) -> WeeklyWindows:
    names = {"start": "historyCleanupBatchWindowStartTime", "end": "historyCleanupBatchWindowEndTime"}
    return WeeklyWindows.of(CleanupSettings.model_validate({names.get(k, k): v for k, v in given.items()}), zone)


def moment(shown: str) -> datetime:
    return datetime.fromisoformat(shown).replace(tzinfo=UTC)


# zone, start, end, now in UTC, close in UTC or None. 2026-03-29 and 2026-10-25 change the clocks of Kyiv.
CASES = {
    "inside": ("UTC", "20:00", "22:00", "2026-01-05T21:00", "2026-01-05T22:00"),
    "start is inside": ("UTC", "20:00", "22:00", "2026-01-05T20:00", "2026-01-05T22:00"),
    "a tick before the start is not": ("UTC", "20:00", "22:00", "2026-01-05T19:59:59.999999", None),
    "end is outside": ("UTC", "20:00", "22:00", "2026-01-05T22:00", None),
    "a tick before the end is inside": ("UTC", "20:00", "22:00", "2026-01-05T21:59:59.999999", "2026-01-05T22:00"),
    "over midnight, evening": ("UTC", "22:00", "02:00", "2026-01-05T23:00", "2026-01-06T02:00"),
    "over midnight, morning": ("UTC", "22:00", "02:00", "2026-01-06T01:59", "2026-01-06T02:00"),
    "over midnight, noon": ("UTC", "22:00", "02:00", "2026-01-06T12:00", None),
    "until midnight": ("UTC", "20:00", "00:00", "2026-01-05T23:59", "2026-01-06T00:00"),
    "whole day, before its start": ("UTC", "20:00", "20:00", "2026-01-05T19:59", "2026-01-05T20:00"),
    "whole day, at its start": ("UTC", "20:00", "20:00", "2026-01-05T20:00", "2026-01-06T20:00"),
    "zone in winter": (KYIV, "20:00", "22:00", "2026-01-05T18:00", "2026-01-05T20:00"),
    "zone in summer": (KYIV, "20:00", "22:00", "2026-07-06T17:00", "2026-07-06T19:00"),
    "offset, not the zone": (KYIV, "20:00+0000", "22:00+0000", "2026-07-06T20:30", "2026-07-06T22:00"),
    "spring: an hour is missing inside": (KYIV, "02:00", "05:00", "2026-03-29T00:30", "2026-03-29T02:00"),
    "spring: start in the missing hour": (KYIV, "03:30", "05:00", "2026-03-29T01:00", "2026-03-29T02:00"),
    "spring: before the missing hour": (KYIV, "03:30", "05:00", "2026-03-29T00:59", None),
    "autumn: doubled hour, first round": (KYIV, "03:30", "05:00", "2026-10-25T00:30", "2026-10-25T03:00"),
    "autumn: end in the doubled hour": (KYIV, "02:00", "03:30", "2026-10-25T01:29", "2026-10-25T01:30"),
    "autumn: after the second round": (KYIV, "02:00", "03:30", "2026-10-25T01:30", None),
}


@pytest.mark.parametrize("case", CASES)
def test_close_of_the_open_window(case: str) -> None:
    zone, start, end, now, closes = CASES[case]
    found = windows(zone, start=start, end=end).closing(moment(now))
    assert found == (moment(closes) if closes else None)


@pytest.mark.parametrize(
    ("now", "closes"),
    [
        ("2026-01-05T21:00", "2026-01-05T22:00"),  # Monday: default
        ("2026-01-10T21:00", "2026-01-11T00:00"),  # Saturday: own start, end by default midnight
        ("2026-01-11T03:00", None),  # Saturday's window is over, Sunday's not open
        ("2026-01-11T21:00", "2026-01-12T06:00"),  # Sunday into Monday
        ("2026-01-12T05:59", "2026-01-12T06:00"),  # yesterday's first
        ("2026-01-12T06:00", None),
    ],
)
def test_weekdays_have_windows_of_their_own(now: str, closes: str | None) -> None:
    week = windows(
        saturdayHistoryCleanupBatchWindowStartTime="12:00",
        sundayHistoryCleanupBatchWindowStartTime="20:00",
        sundayHistoryCleanupBatchWindowEndTime="06:00",
    )
    assert week.closing(moment(now)) == (moment(closes) if closes else None)


def test_next_opening_is_after_now() -> None:
    week = windows(KYIV)
    assert week.next_opening(moment("2026-01-05T17:59")) == moment("2026-01-05T18:00")
    assert week.next_opening(moment("2026-01-05T18:00")) == moment("2026-01-06T18:00")
    assert week.next_opening(moment("2026-03-28T20:00")) == moment("2026-03-29T17:00")
