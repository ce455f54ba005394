"""A run of the cleanup: batches in lanes until nothing is due or the window ends.

One session selects, each lane (``lanes.py``) removes with sessions of its own. A batch that meets a lock or a deadlock
is tried again after a pause, then in halves, so that one contended hierarchy does not keep the others; what still
cannot be had is named and left for the next run. Nothing is half removed, whenever a run ends: each transaction takes
whole hierarchies. Not here: schedules, and how numbers are shown.
"""

from __future__ import annotations

import queue
import threading
from collections import Counter, deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg

from archival_pipeline import errors
from archival_pipeline.history.cleanup import compatible, keeping, lanes
from archival_pipeline.history.cleanup.database import Engine, hold_alone, open_session
from archival_pipeline.history.cleanup.removal import Removed
from archival_pipeline.history.cleanup.selecting import Due

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from archival_pipeline.history.cleanup.archive.opening import Target
    from archival_pipeline.history.cleanup.database import Session
    from archival_pipeline.history.cleanup.lanes import Lane
    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline.settings_camunda import CamundaSettings
    from archival_pipeline.settings_cleanup import CleanupSettings

_ATTEMPTS = 3
_PASSES = 3
_PAUSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a run takes from outside: the time, how to wait, when to stop, whom to tell.

    Attributes:
        clock: aware moments.
        sleep: waits so many seconds.
        deadline: no batch begins at or after it; None for no limit.
        progress: told after each batch.
    """

    clock: Callable[[], datetime]
    sleep: Callable[[float], None]
    deadline: datetime | None = None
    progress: Callable[[Outcome], None] = lambda _: None

    @property
    def over(self) -> bool:
        """Whether the window has ended."""
        return self.deadline is not None and self.clock() >= self.deadline


@dataclass(slots=True)
class Outcome:
    """What a run did.

    Attributes:
        removed: hierarchies and rows.
        batches: transactions that removed something.
        retries: batches that were tried again.
        set_aside: roots that could not be had, with the reason.
        left: roots still due at the end.
        stopped: whether the window's end stopped the run.
        seconds: from start to end.
        taken_up: hierarchies of ``removed`` that an earlier run had archived and not removed.
    """

    removed: Removed = field(default_factory=Removed)
    batches: int = 0
    retries: int = 0
    set_aside: dict[str, str] = field(default_factory=dict)
    left: int = 0
    stopped: bool = False
    seconds: float = 0.0
    taken_up: int = 0

    @property
    def rows(self) -> Counter[str]:
        """Rows by table."""
        return self.removed.rows

    def add(self, part: Outcome) -> None:
        """Take a batch's part in."""
        self.removed.add(part.removed)
        self.batches += part.batches
        self.retries += part.retries
        self.set_aside |= part.set_aside | part.removed.refused


def clean(
    settings: CamundaSettings,
    cleanup: CleanupSettings,
    around: Surroundings,
    *,
    mode: str = "hierarchical",
    backup: DatabaseSettings | None = None,
    target: Target | None = None,
) -> Outcome:
    """Remove what is due.

    Args:
        settings: the engine's database.
        cleanup: strategy, batch size, degree of parallelism, holds.
        around: time and the end of the window.
        mode: ``hierarchical``, or ``compatible`` for the engine's own row rule.
        backup: where the table of legal holds is; None for those of the settings alone.
        target: where everything is archived before it is removed; None to keep nothing.

    Raises:
        RequestError: something is on hold or to be archived, and the mode would not see it.
        BusyError: another cleanup of ours is at work on the same tables.
        PreflightError: the tables are not those of a supported engine, or the backup does not fit them.
        DatabaseError: an error that no retry mends; finished batches stay finished.
    """
    if mode == "compatible":
        _require_plain(cleanup, target)
    started = around.clock()
    outcome = Outcome()
    try:
        with ExitStack() as stack:
            selector = stack.enter_context(open_session(settings, "cleanup", autocommit=True))
            hold_alone(selector, settings)
            engine = Engine.probe(settings, selector)
            keeper = stack.enter_context(keeping.keeper(cleanup.holds, target.backup if target else backup))
            due = Due(engine, engine.wall(started), keeping.holding(cleanup, keeper.held()), keeper)
            if mode == "compatible":
                _by_rows(selector, due, around, outcome)
            else:
                workers = lanes.open_lanes(stack, selector, due, target)
                _take_up(workers[0], around, outcome)
                _by_hierarchies(selector, workers, due, around, outcome)
            outcome.left = due.count(selector)
    except psycopg.Error as error:
        raise errors.from_database(error, "cleaning the history") from error
    outcome.seconds = (around.clock() - started).total_seconds()
    return outcome


def _require_plain(cleanup: CleanupSettings, target: Target | None) -> None:
    reasons = {
        "no hold: it would remove what is on hold": cleanup.holds.any,
        "no hierarchies: nothing whole could be archived before it is removed": target is not None,
    }
    for reason, applies in reasons.items():
        if applies:
            raise errors.RequestError(
                f"The engine's own row rule knows {reason}.",
                resolve="Use the mode hierarchical; or archive nothing, and lift the holds: historyCleanupHolds, "
                "`archival-pipeline hold list`.",
                field="mode",
                value="compatible",
            )


def _take_up(worker: Lane, around: Surroundings, outcome: Outcome) -> None:
    """Finish what dead runs have left between archive and engine, before anything new is begun."""
    for work in worker.unfinished():
        if around.over:
            outcome.stopped = True
            return
        try:
            part = _patiently(around, work)
        except errors.TransientDatabaseError as error:
            if lanes.lost(worker):
                raise
            # It stays open in the ledger, for the next run: it must not hold up the rest.
            outcome.set_aside["open units of an earlier run"] = str(error)
            continue
        outcome.taken_up += part.removed.roots
        outcome.add(part)
        around.progress(outcome)


def _by_rows(session: Session, due: Due, around: Surroundings, outcome: Outcome) -> None:
    """The engine's rule, transaction by transaction, as long as one of its deletions was full."""
    more = True
    while more and not around.over:
        with due.removing() as now:
            _require_plain(now.cleanup, None)
            rows = compatible.remove_rows(session, due)
        more = max(rows.values(), default=0) >= due.cleanup.batch_size
        outcome.add(Outcome(removed=Removed(roots=rows["act_hi_procinst"], rows=rows), batches=1))
        around.progress(outcome)
    outcome.stopped = more


def _by_hierarchies(
    selector: Session, workers: Sequence[Lane], due: Due, around: Surroundings, outcome: Outcome
) -> None:
    for _ in range(0 if outcome.stopped else _PASSES):
        before = len(outcome.removed.locked)
        _pass(selector, workers, due, around, outcome)
        # Locks are short: what was locked a moment ago is usually free now.
        if outcome.stopped or len(outcome.removed.locked) == before:
            break
    while not outcome.stopped:
        if around.over:
            outcome.stopped = True
            return
        part = _patiently(around, workers[0].remove_rootless)
        outcome.add(part)
        if not part.removed.rows.total():
            return
        around.progress(outcome)


def _pass(selector: Session, workers: Sequence[Lane], due: Due, around: Surroundings, outcome: Outcome) -> None:
    """Every page once. No more pages are taken than lanes are free, so that the window's end finds none waiting."""
    free: queue.SimpleQueue[Lane] = queue.SimpleQueue()
    for worker in workers:
        free.put(worker)
    pages = due.pages(selector, due.cleanup.batch_size)
    at_work: set[Future[Outcome]] = set()
    halted = threading.Event()
    with ThreadPoolExecutor(len(workers), thread_name_prefix="cleanup") as pool:
        try:
            for page in _until(pages, around, outcome):
                roots = [root for root in page if root not in outcome.set_aside]
                at_work.add(pool.submit(_batch, free, around, roots, halted))
                if len(at_work) >= len(workers):
                    at_work = _collect(at_work, around, outcome)
            while at_work:
                at_work = _collect(at_work, around, outcome)
        except BaseException:
            # Told to stop, or one lane failed: what the others have at work is rolled back on the server.
            halted.set()
            for worker in workers:
                lanes.cancel(worker)
            raise


def _until(pages: Iterator[list[str]], around: Surroundings, outcome: Outcome) -> Iterator[list[str]]:
    for page in pages:
        if around.over:
            outcome.stopped = True
            return
        yield page


def _collect(at_work: set[Future[Outcome]], around: Surroundings, outcome: Outcome) -> set[Future[Outcome]]:
    done, rest = wait(at_work, return_when=FIRST_COMPLETED)
    for future in done:
        outcome.add(future.result())
        around.progress(outcome)
    return rest


def _batch(free: queue.SimpleQueue[Lane], around: Surroundings, roots: list[str], halted: threading.Event) -> Outcome:
    """One page in a lane, in halves where it cannot be had whole."""
    worker = free.get()
    outcome = Outcome()
    waiting = deque([roots] if roots else [])
    try:
        while waiting:
            part = waiting.popleft()
            try:
                outcome.add(_patiently(around, lambda part=part: worker.remove(part)))  # type: ignore[misc]
            except errors.TransientDatabaseError as error:
                outcome.retries += 1
                if lanes.lost(worker) or halted.is_set():
                    raise
                if len(part) == 1:
                    outcome.set_aside[part[0]] = str(error)
                    continue
                middle = len(part) // 2
                waiting.extendleft((part[middle:], part[:middle]))
    finally:
        free.put(worker)
    return outcome


def _patiently(around: Surroundings, work: Callable[[], Removed]) -> Outcome:
    """Try again what met a lock, a deadlock or a change, with growing pauses.

    Raises:
        TransientDatabaseError: it did not pass in the end.
        DatabaseError: no retry would mend it.
    """
    outcome = Outcome()
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            outcome.removed = work()
        except psycopg.Error as error:
            failure = errors.from_database(error, "removing a batch of the history")
            lost = not isinstance(error, psycopg.OperationalError) or (error.sqlstate or "08006").startswith(
                ("08", "57P")
            )
            if not isinstance(failure, errors.TransientDatabaseError) or lost or attempt == _ATTEMPTS:
                raise failure from error
            outcome.retries += 1
            around.sleep(_PAUSE_SECONDS * 2 ** (attempt - 1))
        else:
            outcome.batches = int(bool(outcome.removed.rows.total()))
            return outcome
    message = "unreachable: the last attempt returns or raises"
    raise AssertionError(message)
