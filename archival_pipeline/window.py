"""A nightly window in a named time zone: whether a moment lies in it, when it closes.

Safe at clock changes, because every step goes through UTC: in the doubled hour the window is open once, from its first
opening to its last close; what would open or close in the missing hour does so as the hour is skipped. Not here: who
asks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

_DAY = timedelta(days=1)
_TICK = timedelta(microseconds=1)
_OFFSET = re.compile(r"([+-])(\d{2})(\d{2})")


def zone_of(name: str) -> tzinfo:
    """The time zone of a name of the IANA database or of an offset such as +0200."""
    found = _OFFSET.fullmatch(name)
    if found is None:
        return ZoneInfo(name)
    sign, hours, minutes = found.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(-offset if sign == "-" else offset)


@dataclass(frozen=True, slots=True)
class Window:
    """Open every day from ``opens`` to ``closes``; a close that is not later than the opening is on the next day.

    Attributes:
        opens: wall-clock time of the opening.
        closes: wall-clock time of the close.
        zone: name of the IANA time zone, or an offset from UTC such as +0200.
    """

    opens: time
    closes: time
    zone: str

    def closing(self, now: datetime) -> datetime | None:
        """When the window that is open now closes, in UTC; None if it is shut.

        Args:
            now: an aware moment.
        """
        moment = now.astimezone(UTC)
        today = now.astimezone(zone_of(self.zone)).date()
        for day in (today - _DAY, today):
            opening, closing = self.on(day)
            if opening <= moment < closing:
                return closing
        return None

    def on(self, day: date) -> tuple[datetime, datetime]:
        """Opening and close of the window that opens on a local day, in UTC."""
        closing_day = day if self.closes > self.opens else day + _DAY
        # fold: of a time that the clock shows twice, the opening is the first and the close is the last. The close is
        # the end of the last moment inside: one that stands where the doubled hour begins is not shown an hour late.
        opening = self._moment(datetime.combine(day, self.opens), fold=0)
        last = self._moment(datetime.combine(closing_day, self.closes) - _TICK, fold=1)
        return opening, (last + _TICK).replace(microsecond=0)

    def _moment(self, shown: datetime, *, fold: int) -> datetime:
        """When the clock on the wall shows a time; for a time that it skips, when it does so."""
        zone = zone_of(self.zone)
        local = shown.replace(tzinfo=zone, fold=fold)
        moment = local.astimezone(UTC)
        if moment.astimezone(zone).replace(tzinfo=None) == shown:
            return moment
        # Read with the offset after the change it lies before it, and the other way round: the change is in between.
        before, after = (local.replace(fold=each).astimezone(UTC).replace(microsecond=0) for each in (1, 0))
        old = before.astimezone(zone).utcoffset()
        while after - before > timedelta(seconds=1):
            middle = (before + (after - before) / 2).replace(microsecond=0)
            before, after = (middle, after) if middle.astimezone(zone).utcoffset() == old else (before, middle)
        return after
