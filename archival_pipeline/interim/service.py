"""Opens everything that cleaning and sweeping need from the settings, and closes it again.

What Dagster and the command line call. Not here: the work (``cleanup.py``, ``sweeper.py``, ``tokens.py``).
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg

from archival_pipeline import errors
from archival_pipeline.catalogue.holds import HoldBook
from archival_pipeline.database.connections import Limits, connect
from archival_pipeline.interim import metrics
from archival_pipeline.interim.archive import Archive
from archival_pipeline.interim.books import Books
from archival_pipeline.interim.cleanup import Cleanup
from archival_pipeline.interim.engines import EngineReader, cursor_from
from archival_pipeline.interim.file_store import open_files
from archival_pipeline.interim.holding import Guard
from archival_pipeline.interim.judging import Judge
from archival_pipeline.interim.keeping import Keeper
from archival_pipeline.interim.keys import Keyspaces
from archival_pipeline.interim.outages import Patience
from archival_pipeline.interim.redis_client import open_redis
from archival_pipeline.interim.redis_store import RedisStore
from archival_pipeline.interim.restoring import Restorer
from archival_pipeline.interim.sealing import Seal
from archival_pipeline.interim.sweeper import Sweeper
from archival_pipeline.interim.tokens import TokenKeeper
from archival_pipeline.settings import load_settings
from archival_pipeline.settings_camunda import load_camunda
from archival_pipeline.settings_interim import KeepSettings, load_backup, load_interim, load_keep, load_stores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from archival_pipeline.interim.books import Store
    from archival_pipeline.interim.cleanup import StoreReport
    from archival_pipeline.interim.engines import EngineName
    from archival_pipeline.interim.file_store import FileStore
    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline.settings_interim import FileSettings, InterimSettings, RedisSettings

# A question to the engine is short; a session waits while a store is tried again.
_LIMITS = Limits(lock_timeout=5_000, statement_timeout=60_000, idle_in_transaction=900_000)


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything is, as the settings say.

    Attributes:
        engine_name: which engine the stores belong to.
        engine: its database.
        time_zone: the zone in which it writes its times.
        backup: the database with the books.
        redis: the form data and payloads.
        files: the bucket.
        interim: what to do.
        table_prefix: what Camunda puts before the names of its tables.
        keep: whether anything is kept before it is removed.
    """

    engine_name: EngineName
    engine: DatabaseSettings
    time_zone: str
    backup: DatabaseSettings
    redis: RedisSettings
    files: FileSettings
    interim: InterimSettings
    table_prefix: str = ""
    keep: KeepSettings | None = None

    def require_a_store(self) -> None:
        """Refuse to work on nothing.

        Raises:
            ConfigurationError: neither store is configured.
        """
        if not (self.redis.configured or self.files.configured):
            raise errors.ConfigurationError(
                "No store of interim data is configured.",
                resolve="Set STORAGE_BACKEND_REDIS_* or LOWCODE_FILE_STORAGE_BACKEND_CEPH_*, as docs/interim.md says.",
            )


@dataclass(frozen=True, slots=True)
class Opened:
    """Sessions and clients, open for the length of one operation."""

    places: Places
    engine: EngineReader
    books: Books
    redis: RedisStore | None
    files: FileStore | None
    sleep: Callable[[float], None]
    archive: Archive
    guard: Guard

    @property
    def keeper(self) -> Keeper | None:
        """What keeps data before it is removed; None where that is not wished."""
        return Keeper(self.archive) if self.places.keep is not None and self.places.keep.before_delete else None

    def restorer(self) -> Restorer:
        """What puts back what was kept."""
        return Restorer(self.archive, self.redis, self.files, Patience(self.sleep))

    def forget_expired(self) -> int:
        """Delete what was kept for longer than it is to be, and is not on hold; return how many things that were."""
        days = self.places.keep.days if self.places.keep is not None else None
        if days is None:
            return 0
        with self.guard.removal() as on_hold:
            held = on_hold.processes(self.archive.owners_older_than(days)) if on_hold.any else {}
            return self.archive.forget_older_than(days, held)

    def cleanup(self, stop: Callable[[], bool]) -> Cleanup:
        """What removes the data of ended processes."""
        patience = Patience(self.sleep)
        judge = Judge(self.engine)
        return Cleanup(self.engine, self.books, judge, self.guard, self.redis, self.files, patience, stop, self.keeper)

    def clean(self, store: Store, stop: Callable[[], bool]) -> StoreReport:
        """Do the work of one store that is due, in lanes: while one waits for a server, another one computes."""
        report = self._in_lanes(store, stop)
        numbers = {
            "processes": report.processes,
            "removed": sum(report.removed.values()),
            "bytes": report.bytes,
            "failed": len(report.failed),
            "on_hold": len(report.on_hold),
            "down": int(report.down is not None),
        }
        self.books.note_run(store, numbers)
        return report

    def _in_lanes(self, store: Store, stop: Callable[[], bool]) -> StoreReport:
        due = sum(waiting.due for waiting in self.books.backlog() if waiting.store == store)
        more = min(self.places.interim.lanes, due) - 1
        if more < 1:
            return self.cleanup(stop).clean(store)
        halted = threading.Event()

        def lane() -> StoreReport:
            # Sessions of its own; the clients of the stores take calls from several threads.
            with _databases(self.places) as (engine, books, archive, guard):
                own = replace(self, engine=engine, books=books, archive=archive, guard=guard)
                return own.cleanup(lambda: halted.is_set() or stop()).clean(store)

        with ThreadPoolExecutor(more) as pool:
            others = [pool.submit(lane) for _ in range(more)]
            try:
                report = self.cleanup(stop).clean(store)
                for other in others:
                    report.merge(other.result())
            finally:
                # Whoever stops this lane, as Dagster does by an exception, means all of them.
                halted.set()
        return report

    def sweeper(self, stop: Callable[[], bool], grace: timedelta | None = None) -> Sweeper:
        """What removes the data that was left behind."""
        interim = self.places.interim
        return Sweeper(
            self.engine,
            self.books,
            Judge(self.engine),
            self.guard,
            self.redis,
            self.files,
            Patience(self.sleep),
            self._rest,
            stop,
            timedelta(hours=interim.grace_hours) if grace is None else grace,
            interim.scan_count,
            self.keeper,
        )

    def tokens(self, stop: Callable[[], bool]) -> TokenKeeper | None:
        """What looks after tokens; None where there is no Redis."""
        if self.redis is None:
            return None
        judge, patience = Judge(self.engine), Patience(self.sleep)
        return TokenKeeper(self.redis, judge, self.guard, patience, self._rest, stop, self.places.interim.scan_count)

    def has_news(self) -> bool:
        """Whether a cleanup has something to do: work that is due, or processes that ended since the last one."""
        if any(waiting.due for waiting in self.books.backlog()):
            return True
        content = self.books.state(f"cursor:{self.engine.name}")
        return bool(self.engine.page(cursor_from(content), 1).ended)

    def _rest(self, keys: int) -> None:
        self.sleep(keys / self.places.interim.keys_per_second)


@contextmanager
def opened(places: Places, sleep: Callable[[float], None] = time.sleep) -> Iterator[Opened]:
    """Open the databases and prepare the stores, which connect when they are first used.

    Raises:
        ConfigurationError: neither store is configured.
        DatabaseError: a database cannot be reached or refused a statement.
    """
    places.require_a_store()
    with ExitStack() as stack:
        redis = files = None
        if places.redis.configured:
            keyspaces = Keyspaces(places.redis.forms, places.redis.payloads)
            redis = stack.enter_context(closing(RedisStore(open_redis(places.redis), keyspaces)))
        if places.files.configured:
            files = stack.enter_context(closing(open_files(places.files)))
        engine, books, archive, guard = stack.enter_context(_databases(places))
        yield Opened(places, engine, books, redis, files, sleep, archive, guard)


@contextmanager
def _databases(places: Places) -> Iterator[tuple[EngineReader, Books, Archive, Guard]]:
    """Sessions of one lane. Archive and holds have their own: they commit while the books hold a piece of work."""
    with ExitStack() as stack:
        try:
            engine = stack.enter_context(connect(places.engine, purpose="interim", limits=_LIMITS, autocommit=True))
            engine.read_only = True
            books = stack.enter_context(connect(places.backup, purpose="interim", limits=_LIMITS, autocommit=True))
            reader = EngineReader(
                places.engine_name,
                engine,
                time_zone=places.time_zone,
                overlap=timedelta(hours=places.interim.overlap_hours),
                table_prefix=places.table_prefix,
            )
            kept = stack.enter_context(connect(places.backup, purpose="interim", limits=_LIMITS, autocommit=True))
            archive = Archive(kept, Seal(places.keep or KeepSettings.model_construct()))
            yield reader, Books(books), archive, Guard(HoldBook(kept, places.engine_name), reader, kept)
        except psycopg.Error as error:
            raise errors.from_database(error, "working on interim data") from error


def until(moment: datetime | None) -> Callable[[], bool]:
    """Whether a moment has come; never, without one."""
    return lambda: moment is not None and datetime.now(UTC) >= moment


def load_places() -> Places:
    """Everything from the environment.

    Raises:
        ConfigurationError: one message that names every missing or wrong variable.
    """
    redis, files = load_stores()
    interim, keep = load_interim(), load_keep()
    camunda = None if interim.engine == "jbpm" else load_camunda()
    if camunda is not None:
        prefix, zone = camunda.table_prefix, camunda.time_zone
        return Places("camunda", camunda, zone, load_backup(), redis, files, interim, prefix, keep)
    if interim.engine == "camunda":
        raise errors.ConfigurationError(
            "INTERIM_ENGINE is camunda, but no Camunda database is configured.",
            resolve="Set CAMUNDA_DB_HOST and the other CAMUNDA_DB_* variables.",
        )
    settings = load_settings()
    primary, zone = settings.primary, settings.engine.time_zone
    return Places("jbpm", primary, zone, settings.backup, redis, files, interim, keep=keep)


def numbers() -> dict[str, Any]:
    """What was done, what waits and what looks left behind, by the books alone: no store and no engine is asked.

    Raises:
        ConfigurationError: the backup database is not configured.
        DatabaseError: it cannot be reached or refused a statement.
    """
    try:
        with connect(load_backup(), purpose="interim metrics", limits=_LIMITS, autocommit=True) as session:
            return metrics.status(Books(session))
    except psycopg.Error as error:
        raise errors.from_database(error, "reading the books of interim data") from error


def is_configured() -> bool:
    """Whether there is any store; reads the environment only.

    Raises:
        ConfigurationError: a variable of the stores is wrong.
    """
    return any(store.configured for store in load_stores())
