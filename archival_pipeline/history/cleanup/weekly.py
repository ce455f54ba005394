"""The windows of a week: a weekday may have its own, the others share the default.

As the engine decides it: the window that opened yesterday is looked at first, then today's; a start is inside, an end
is not; an end that is not later than its start is on the next day. Unlike the engine, which keeps the offset of the
day on which it started, times here are those of the wall clock on both sides of a clock change.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from archival_pipeline.errors import RequestError
from archival_pipeline.settings_cleanup import WEEKDAYS, CleanupSettings, clock_time
from archival_pipeline.window import Window, zone_of

if TYPE_CHECKING:
    from datetime import date

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class WeeklyWindows:
    """Seven windows, Monday first, and the zone that says which day it is."""

    days: tuple[Window, ...]
    zone: str

    @classmethod
    def of(cls, settings: CleanupSettings, zone: str) -> WeeklyWindows:
        """The windows of the settings; times without an offset are those of the zone."""
        return cls(tuple(_window(settings, day, zone) for day in WEEKDAYS), zone)

    def on(self, day: date) -> tuple[datetime, datetime]:
        """Opening and close of the window that opens on a local day, in UTC."""
        return self.days[day.weekday()].on(day)

    def closing(self, now: datetime) -> datetime | None:
        """When the window that is open now closes, in UTC; None if none is open."""
        moment, today = now.astimezone(UTC), now.astimezone(zone_of(self.zone)).date()
        for day in (today - _DAY, today):
            opening, closing = self.on(day)
            if opening <= moment < closing:
                return closing
        return None

    def next_opening(self, now: datetime) -> datetime:
        """When the next window after this moment opens, in UTC."""
        moment, today = now.astimezone(UTC), now.astimezone(zone_of(self.zone)).date()
        openings = (self.on(today + number * _DAY)[0] for number in range(9))
        return next(opening for opening in openings if opening > moment)


def deadline(windows: WeeklyWindows, now: datetime, *, immediate: bool) -> datetime | None:
    """When a run that starts now has to stop; None for never.

    Raises:
        RequestError: no window is open, and nobody said `immediate`.
    """
    closing = windows.closing(now)
    if closing is None and not immediate:
        raise RequestError(
            f"No cleanup window is open; the next one opens at {windows.next_opening(now).isoformat()}.",
            resolve="Wait for the window, or set immediate to run outside it.",
            field="immediate",
            value=immediate,
        )
    return None if immediate else closing


def _window(settings: CleanupSettings, day: str, zone: str) -> Window:
    own = getattr(settings, f"{day}_opens")
    # The engine's default for an end that is not given is midnight.
    ends = (getattr(settings, f"{day}_closes") or "00:00") if own else settings.closes
    (opens, offset), (closes, _) = clock_time(own or settings.opens), clock_time(ends)
    return Window(opens, closes, offset or zone)
