"""The workers of a run: one that only removes, and one that archives first.

Each has sessions of its own and does one page of roots at a time. Not here: pages, retries, the window
(``running.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from archival_pipeline.history.cleanup import rootless
from archival_pipeline.history.cleanup.archive import lane, ledger, opening, recovery
from archival_pipeline.history.cleanup.archive.removal import Sessions
from archival_pipeline.history.cleanup.database import LIMITS, PATIENT, open_session
from archival_pipeline.history.cleanup.removal import remove_hierarchies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import ExitStack

    from archival_pipeline.history.cleanup.archive.opening import Target
    from archival_pipeline.history.cleanup.archive.units import Unit
    from archival_pipeline.history.cleanup.database import Session
    from archival_pipeline.history.cleanup.removal import Removed
    from archival_pipeline.history.cleanup.selecting import Due

_CANCEL_SECONDS = 5.0


class Lane(Protocol):
    """What a run asks of a worker. Each call commits; each may be called again after an error."""

    @property
    def sessions(self) -> Sequence[Session]:
        """Its sessions."""
        ...

    def remove(self, wanted: Sequence[str]) -> Removed:
        """Remove these roots with everything that belongs to them."""
        ...

    def remove_rootless(self) -> Removed:
        """Remove up to a batch of each kind of expired rows without a root."""
        ...

    def unfinished(self) -> Iterator[Callable[[], Removed]]:
        """What dead runs have left open, piece by piece."""
        ...


def lost(worker: Lane) -> bool:
    """Whether a session of the worker is gone."""
    return any(session.closed for session in worker.sessions)


def cancel(worker: Lane) -> None:
    """End what the worker has at work on the servers."""
    for session in worker.sessions:
        session.cancel_safe(timeout=_CANCEL_SECONDS)


class Removing:
    """Removes, and keeps nothing."""

    def __init__(self, session: Session, due: Due) -> None:
        self.sessions = (session,)
        self._session = session
        self._due = due

    def remove(self, wanted: Sequence[str]) -> Removed:
        """As the protocol says."""
        return remove_hierarchies(self._session, self._due, wanted)

    def remove_rootless(self) -> Removed:
        """As the protocol says."""
        return rootless.remove_rootless(self._session, self._due)

    def unfinished(self) -> Iterator[Callable[[], Removed]]:
        """Nothing: each transaction is whole."""
        return iter(())


class Archiving:
    """Copies to the backup, and removes what the backup gives back."""

    def __init__(self, at: Sessions) -> None:
        self.sessions = (at.engine, at.backup)
        self._at = at

    def remove(self, wanted: Sequence[str]) -> Removed:
        """As the protocol says."""
        return lane.archive_hierarchies(self._at, wanted)

    def remove_rootless(self) -> Removed:
        """As the protocol says."""
        return lane.archive_rootless(self._at)

    def unfinished(self) -> Iterator[Callable[[], Removed]]:
        """Open units, page by page."""
        for page in ledger.pages_of_open(self._at.backup, self._at.due.cleanup.batch_size):
            yield self._take_up(page)

    def _take_up(self, page: list[Unit]) -> Callable[[], Removed]:
        return lambda: recovery.take_up(self._at, page)


def open_lanes(stack: ExitStack, selector: Session, due: Due, target: Target | None) -> list[Lane]:
    """Open as many workers as the settings say; their sessions close with the stack.

    Raises:
        PreflightError: history is to be archived, and the backup does not fit the engine.
    """
    settings, count = due.engine.settings, due.cleanup.degree_of_parallelism
    limits = LIMITS if target is None else PATIENT
    engines = [
        stack.enter_context(open_session(settings, f"cleanup lane {number}", autocommit=True, limits=limits))
        for number in range(1, count + 1)
    ]
    if target is None:
        return [Removing(session, due) for session in engines]
    backups = [
        stack.enter_context(opening.open_backup(target.backup, f"cleanup lane {number}"))
        for number in range(1, count + 1)
    ]
    archive = opening.check(due.engine, selector, backups[0], target)
    return [Archiving(Sessions(engine, backup, archive, due)) for engine, backup in zip(engines, backups, strict=True)]
