"""Works on several batches at once: threads, each with sessions of its own, and one signal that stops them all.

Threads and not processes: the work is done by the database servers, and Python only passes bytes on. Not here: what is
done with a batch.
"""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import psycopg
from psycopg import IsolationLevel

from archival_pipeline.database.connections import Limits, connect
from archival_pipeline.errors import CancelledError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from archival_pipeline.archival.direction import Side
    from archival_pipeline.settings import Settings

Item = TypeVar("Item")
Result = TypeVar("Result")

# How long the main thread may sleep without looking up: an interrupt reaches it between two looks.
_LOOK_UP_SECONDS = 0.2


# A number may have been given to another session since; that one has another name, unless it is a lane's own.
_END_SESSION = "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity WHERE pid = %s AND application_name = %s"
_LONGEST_END = 5_000


class StopSignal:
    """Tells every lane to stop after the batch at hand, and says why.

    Attributes:
        reason: why the work stops; None while it goes on.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self.reason: str | None = None

    def stop(self, reason: str) -> None:
        """Ask every lane to stop; the first reason counts."""
        if not self._event.is_set():
            self.reason = reason
            self._event.set()

    @property
    def is_set(self) -> bool:
        """Whether the work should stop."""
        return self._event.is_set()

    def rest(self, seconds: float) -> None:
        """Rest for so long, or until the work should stop."""
        self._event.wait(seconds)

    def check(self) -> None:
        """Raise if the work should stop.

        Raises:
            CancelledError: it should.
        """
        if self._event.is_set():
            raise CancelledError(
                f"The operation was stopped: {self.reason}.",
                resolve="Finished batches stay finished; run the same job again to go on.",
            )


@dataclass(slots=True)
class Lane:
    """The sessions of one worker. They are opened on first use, and again after a failure closed them.

    Attributes:
        settings: where the two databases are.
        audit_id: shown to the DBA.
        limits: time limits of every session.
        read_only: whether the servers should refuse every write (a dry run).
        generic_plans: plan each statement once for all batches. Right for a worker, whose statements look up small
            arrays of keys by index; wrong for statements over a whole selection.
    """

    settings: Settings
    audit_id: str
    limits: Limits
    read_only: bool = False
    generic_plans: bool = False
    _sessions: dict[str, psycopg.Connection[Any]] = field(default_factory=dict)
    _backends: dict[str, int] = field(default_factory=dict)

    def session(self, side: Side) -> psycopg.Connection[Any]:
        """A session on one side, in no transaction."""
        return self._session(side, side)

    @contextmanager
    def snapshot(self, side: Side) -> Iterator[psycopg.Connection[Any]]:
        """One read-only REPEATABLE READ transaction of a side: every statement in it sees the same rows."""
        session = self._session(f"{side} snapshot", side)
        session.read_only = True
        session.isolation_level = IsolationLevel.REPEATABLE_READ
        with session.transaction():
            yield session

    def _session(self, name: str, side: Side) -> psycopg.Connection[Any]:
        session = self._sessions.get(name)
        if session is None or session.closed:
            database = self.settings.primary if side == "primary" else self.settings.backup
            session = connect(database, purpose=f"move {self.audit_id}", limits=self.limits)
            # Every table has a few statements; all of them stay prepared for the whole run.
            session.prepared_max = 1_000
            session.read_only = self.read_only or None
            if self.generic_plans:
                session.prepare_threshold = 0
                with session.transaction():
                    session.execute("SET plan_cache_mode = force_generic_plan")
            self._end_predecessor(name, session)
            self._sessions[name] = session
        return session

    def _end_predecessor(self, name: str, session: psycopg.Connection[Any]) -> None:
        """End what the server still has of a session that was lost: it may hold locks that this one is going to need.

        A server that was not told, as behind something that swallows what it should pass on, waits in a COPY for ever.
        """
        known = self._backends.get(name)
        if known is not None:
            with session.transaction():
                session.execute(_END_SESSION, [_LONGEST_END, known, session.info.parameter_status("application_name")])
        self._backends[name] = session.info.backend_pid

    def cancel(self) -> None:
        """Cancel the statements in flight, on the server too; called from another thread."""
        for session in list(self._sessions.values()):
            if not session.closed:
                # A session that cannot be cancelled any more has ended, or ends with its time limit.
                with suppress(psycopg.Error):
                    session.cancel_safe(timeout=5.0)

    def close(self) -> None:
        """Close the sessions; open transactions are rolled back by the server."""
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()


class _Shared(Generic[Item]):
    """An iterator that several threads take from."""

    def __init__(self, items: Iterator[Item]) -> None:
        self._items = items
        self._lock = threading.Lock()

    def take(self) -> Item | None:
        """The next item, or None after the last."""
        with self._lock:
            return next(self._items, None)


class Lanes:
    """A fixed number of lanes and the threads that use them.

    Args:
        lanes: the sessions of each worker.
        signal: stops them all.
    """

    def __init__(self, lanes: Sequence[Lane], signal: StopSignal) -> None:
        self._lanes = tuple(lanes)
        self.signal = signal

    def __len__(self) -> int:
        return len(self._lanes)

    def run(
        self,
        items: Iterable[Item],
        work: Callable[[Lane, Item], Iterable[Result]],
        report: Callable[[Result], None],
    ) -> None:
        """Work on every item, and report each result as it is there.

        A failure stops the other lanes after the item they are at, and is raised when they have; so is an interrupt
        of the main thread, after the statements in flight were cancelled on their servers.

        Args:
            items: what to work on; lanes take one after the other, and may wait for the next.
            work: called in the lane's thread; what it has yielded is reported even if it fails later. Should end by
                itself soon after the signal is set.
            report: called in the caller's thread.
        """
        waiting = _Shared(iter(items))
        done: SimpleQueue[Result] = SimpleQueue()
        with ThreadPoolExecutor(max_workers=len(self._lanes), thread_name_prefix="lane") as pool:
            futures = [pool.submit(self._drain, lane, waiting, done, work) for lane in self._lanes]
            try:
                self._collect(futures, done, report)
            except BaseException as error:
                self.signal.stop(str(error) or type(error).__name__)
                for lane in self._lanes:
                    lane.cancel()
                raise

    def _drain(
        self,
        lane: Lane,
        waiting: _Shared[Item],
        done: SimpleQueue[Result],
        work: Callable[[Lane, Item], Iterable[Result]],
    ) -> None:
        while not self.signal.is_set:
            item = waiting.take()
            if item is None:
                return
            for result in work(lane, item):
                done.put(result)

    def _collect(
        self,
        futures: list[Future[None]],
        done: SimpleQueue[Result],
        report: Callable[[Result], None],
    ) -> None:
        pending = set(futures)
        while pending:
            ended, pending = wait(pending, timeout=_LOOK_UP_SECONDS, return_when=FIRST_COMPLETED)
            # A lane puts its result before it ends, so nothing can come after this look at an empty pending set.
            while not done.empty():
                report(done.get())
            for future in ended:
                future.result()

    def close(self) -> None:
        """Close every session."""
        for lane in self._lanes:
            lane.close()
