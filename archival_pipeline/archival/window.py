"""A nightly window in a named time zone: whether a moment lies in it, when it closes.

Safe at clock changes, because every step goes through UTC: in the doubled hour the window is open once, from its first
opening to its last close; an opening in the missing hour happens as the hour is skipped. Not here: who asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Window:
    """Open every day from ``opens`` to ``closes``; a close that is not later than the opening is on the next day.

    Attributes:
        opens: wall-clock time of the opening.
        closes: wall-clock time of the close.
        zone: name of the IANA time zone.
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
        today = now.astimezone(ZoneInfo(self.zone)).date()
        for day in (today - _DAY, today):
            opening, closing = self.on(day)
            if opening <= moment < closing:
                return closing
        return None

    def on(self, day: date) -> tuple[datetime, datetime]:
        """Opening and close of the window that opens on a local day, in UTC."""
        closing_day = day if self.closes > self.opens else day + _DAY
        # fold: of a time that the clock shows twice, the opening is the first and the close is the last.
        return self._moment(day, self.opens, fold=0), self._moment(closing_day, self.closes, fold=1)

    def _moment(self, day: date, at: time, *, fold: int) -> datetime:
        local = datetime.combine(day, at).replace(tzinfo=ZoneInfo(self.zone), fold=fold)
        return local.astimezone(UTC)
