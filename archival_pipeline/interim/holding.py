"""Which interim data must stay because of a legal hold: that of every process with a relative on hold.

Asked right before every removal, like the engine, and under a lock that whoever places a hold waits for. The engine is
asked about relatives only while anything is held. Not here: the holds themselves (``catalogue/holds.py``).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from archival_pipeline.catalogue.kinship import KINDS, Families

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import psycopg

    from archival_pipeline.catalogue.holds import HoldBook, Holds
    from archival_pipeline.interim.engines import EngineReader

ON_HOLD = "on legal hold"


@dataclass(frozen=True, slots=True)
class Guard:
    """Says what is on hold; one for each lane.

    Attributes:
        book: the holds of the engine.
        engine: knows who is related to whom.
        backup: a session on the backup database, in autocommit, that nobody uses at the same time; where jBPM's trees
            have moved to it, it knows relatives, too.
    """

    book: HoldBook
    engine: EngineReader
    backup: psycopg.Connection[Any]

    @contextmanager
    def removal(self) -> Iterator[OnHold]:
        """The time of one removal, and what is on hold in it: whoever places a hold meanwhile waits for its end."""
        with self.book.removal():
            held = self.book.active()
            yield OnHold(self, held, self._archive() if held.any else None)

    def _archive(self) -> psycopg.Connection[Any] | None:
        """Where archived trees are; None where there are none."""
        if self.engine.name != "jbpm":
            return None
        row = self.backup.execute("SELECT to_regclass('processinstancelog') IS NOT NULL").fetchone()
        return self.backup if row and row[0] else None


@dataclass(slots=True)
class OnHold:
    """What is on hold during one removal. Without any hold, no question costs anything.

    Attributes:
        guard: whose removal it is.
        held: the holds.
        archive: where the engine's archived trees are, if anywhere.
    """

    guard: Guard
    held: Holds
    archive: psycopg.Connection[Any] | None
    _known: dict[str, str | None] = field(default_factory=dict)

    @property
    def any(self) -> bool:
        """Whether anything is held."""
        return self.held.any

    def require(self) -> None:
        """The last thing before data goes: make sure that whoever places a hold still waits.

        Raises:
            TransientDatabaseError: the session is lost.
        """
        self.guard.book.require()

    def processes(self, process_ids: Iterable[str]) -> dict[str, str]:
        """Those of some processes whose data stays, with the reason."""
        if not self.any:
            return {}
        asked = {one for one in process_ids if self.guard.engine.owns(one)}
        if new := asked.difference(self._known):
            families: Families[str] = Families()
            for one in new:
                families.join(one, one)
            families.explore(self._relatives)
            for instance in self.held.instances:
                families.hold(instance)
            found = families.held(new)
            self._known |= {one: _reason(*found[one]) if one in found else None for one in new}
        return {one: why for one in asked if (why := self._known[one]) is not None}

    def starts(self, names: Iterable[str]) -> dict[str, str]:
        """Those of some keys from before a start, without their keyspace, that a process on hold names."""
        asked = list(set(names)) if self.any else []
        if not asked:
            return {}
        named_by = self.guard.engine.named_by(asked, self.archive)
        held = self.processes({process for _, process in named_by})
        return {key: held[process] for key, process in named_by if process in held}

    def _relatives(self, process_ids: Sequence[str]) -> list[tuple[str, str | None, str | None]]:
        asked = {
            "ids": list(process_ids),
            "definitions": sorted(self.held.definitions),
            "business_keys": sorted(self.held.business_keys),
        }
        return self.guard.engine.relatives(asked, self.archive)


def _reason(instance: str, kind: str) -> str:
    return f"{ON_HOLD}: instance {instance} of its tree is held, by {KINDS[kind]}"
