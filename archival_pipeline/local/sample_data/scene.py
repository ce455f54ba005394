"""What every row maker needs at hand: the writer, the random numbers, the profile. Not here: any table's name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from archival_pipeline.local.sample_data import vocabulary

if TYPE_CHECKING:
    from datetime import datetime
    from random import Random

    from archival_pipeline.local.sample_data.forest import Instance
    from archival_pipeline.local.sample_data.profile import Profile
    from archival_pipeline.local.sample_data.writer import Writer

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(slots=True)
class Scene:
    """The tools of one tree."""

    writer: Writer
    rng: Random
    profile: Profile
    now: datetime

    def chance(self, share: float, *, said: bool | None = None) -> bool:
        """Draw with a probability, unless somebody has said what it is to be."""
        return self.rng.random() < share if said is None else said

    def content(self) -> bytes:
        """Draw a binary value of the profile's size."""
        return vocabulary.content(self.rng, self.profile.blob_median)

    def blob(self) -> object:
        """Draw the value of a binary column."""
        return self.writer.blob(self.content())

    def moments(self, instance: Instance, count: int) -> list[datetime]:
        """Return rising moments from the start of an instance to its end or to now, in milliseconds."""
        last = instance.end or self.now
        step = (last - instance.start) // max(count - 1, 1)
        step -= step % _MILLISECOND
        return [instance.start + step * position for position in range(count)]
