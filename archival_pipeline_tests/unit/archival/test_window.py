"""The nightly window against a clock on the wall that is looked at every minute."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from archival_pipeline.archival.window import Window

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
KYIV, LORD_HOWE, APIA = "Europe/Kyiv", "Australia/Lord_Howe", "Pacific/Apia"
# Days around which the clock changes: an hour, half an hour, a whole day.
CHANGES = {
    KYIV: (date(2025, 3, 30), date(2025, 10, 26)),
    LORD_HOWE: (date(2025, 4, 6), date(2025, 10, 5)),
    APIA: (date(2011, 12, 30), date(2012, 4, 1)),
    "America/St_Johns": (date(2006, 4, 2), date(2006, 10, 29)),
    "UTC": (date(2025, 6, 1),),
}
WINDOWS = (
    (time(20), time(22)),
    (time(1, 30), time(2, 30)),
    (time(23), time(1)),
    (time(22), time(3)),
    (time(3, 15), time(3, 45)),
    (time(4), time(3)),
)


@cache
def minutes_around(zone: str, day: date) -> tuple[tuple[datetime, datetime], ...]:
    """Every minute of eight days, as UTC and as the wall shows it."""
    start = datetime.combine(day, time(), UTC) - 4 * DAY
    moments = [start + number * MINUTE for number in range(8 * 24 * 60)]
    return tuple((moment, moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)) for moment in moments)


@cache
def seen_open(window: Window, around: date) -> list[tuple[datetime, datetime]]:
    """When the window of each day was open, by looking at the wall every minute."""
    found = []
    for day in (around + number * DAY for number in range(-3, 3)):
        closing_day = day if window.closes > window.opens else day + DAY
        opens, closes = datetime.combine(day, window.opens), datetime.combine(closing_day, window.closes)
        inside = [moment for moment, shown in minutes_around(window.zone, around) if opens <= shown < closes]
        if inside:
            found.append((inside[0], inside[-1] + MINUTE))
    return found


def closing_as_seen(window: Window, around: date, now: datetime) -> datetime | None:
    return next((end for start, end in seen_open(window, around) if start <= now < end), None)


@pytest.mark.parametrize(("zone", "day"), [(zone, day) for zone, days in CHANGES.items() for day in days])
@pytest.mark.parametrize("hours", WINDOWS, ids=lambda hours: f"{hours[0]:%H:%M}-{hours[1]:%H:%M}")
def test_closes_when_the_wall_says_so_around_clock_changes(zone: str, day: date, hours: tuple[time, time]) -> None:
    window = Window(*hours, zone)
    spans = seen_open(window, day)
    for moment, _ in minutes_around(zone, day):
        if abs(moment - datetime.combine(day, time(12), UTC)) < 1.5 * DAY:
            expected = next((end for start, end in spans if start <= moment < end), None)
            assert window.closing(moment) == expected, moment


@st.composite
def cases(draw: st.DrawFn) -> tuple[Window, date, datetime]:
    clock = st.builds(time, st.integers(0, 23), st.integers(0, 59))
    opens, closes = draw(st.lists(clock, min_size=2, max_size=2, unique=True))
    zone = draw(st.sampled_from([*CHANGES, "America/Los_Angeles", "Asia/Kathmandu", "Africa/Casablanca"]))
    day = draw(st.sampled_from(CHANGES[zone]) if zone in CHANGES else st.dates(date(2024, 1, 1), date(2026, 12, 31)))
    minute = draw(st.integers(-36 * 60, 36 * 60))
    return Window(opens, closes, zone), day, datetime.combine(day, time(), UTC) + minute * MINUTE


@settings(max_examples=60, deadline=None)
@given(cases())
@example((Window(time(3, 30), time(5), KYIV), date(2025, 3, 30), datetime(2025, 3, 30, 1, 10, tzinfo=UTC)))
def test_closes_when_the_wall_says_so(case: tuple[Window, date, datetime]) -> None:
    window, day, now = case
    assert window.closing(now) == closing_as_seen(window, day, now)


def test_opening_in_the_missing_hour_is_the_moment_that_skips_it() -> None:
    opening, closing = Window(time(3, 30), time(5), KYIV).on(date(2025, 3, 30))
    assert (opening, closing) == (datetime(2025, 3, 30, 1, tzinfo=UTC), datetime(2025, 3, 30, 2, tzinfo=UTC))


def test_doubled_hour_has_one_window_from_the_first_opening_to_the_last_close() -> None:
    opening, closing = Window(time(3, 15), time(3, 45), KYIV).on(date(2025, 10, 26))
    assert closing - opening == timedelta(minutes=90)


def test_close_at_the_beginning_of_the_doubled_hour_comes_the_first_time() -> None:
    opening, closing = Window(time(1), time(3), KYIV).on(date(2025, 10, 26))
    assert closing - opening == timedelta(hours=2)


def test_day_that_a_zone_skips_has_no_window() -> None:
    window = Window(time(20), time(22), APIA)
    opening, closing = window.on(date(2011, 12, 30))
    assert opening == closing
    days = [window.on(date(2011, 12, day)) for day in (29, 31)]
    assert [closing - opening for opening, closing in days] == [timedelta(hours=2)] * 2
    assert all(later[0] - earlier[0] == DAY for earlier, later in pairwise(days))


@pytest.mark.parametrize("zone", [KYIV, "America/Los_Angeles"])
def test_moment_counts_whatever_zone_it_is_given_in(zone: str) -> None:
    window = Window(time(20), time(22), KYIV)
    inside = datetime(2025, 6, 1, 18, 30, tzinfo=UTC)
    assert window.closing(inside.astimezone(ZoneInfo(zone))) == datetime(2025, 6, 1, 19, tzinfo=UTC)
    assert window.closing(datetime(2025, 6, 1, 19, tzinfo=UTC)) is None
    assert window.closing(datetime(2025, 6, 1, 17, tzinfo=UTC)) == datetime(2025, 6, 1, 19, tzinfo=UTC)
