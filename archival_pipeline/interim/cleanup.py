"""Removes the interim data of processes that are over, each store for itself.

The life of an ended process here: read from the engine by the cursor → written down as work of each store, in the
transaction that moves the cursor → taken by whoever cleans that store → asked about once more → removed → struck off. A
store that is down puts its work off and nothing else. Every step may be done twice. Not here: data that no process
leads to (``sweeper.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from archival_pipeline.interim.engines import Ended
from archival_pipeline.interim.file_store import root_of
from archival_pipeline.interim.holding import ON_HOLD
from archival_pipeline.interim.keys import Shape
from archival_pipeline.interim.outages import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from mypy_boto3_s3.type_defs import ObjectTypeDef

    from archival_pipeline.interim.books import Books, Store, Work
    from archival_pipeline.interim.engines import EngineReader
    from archival_pipeline.interim.file_store import FileStore
    from archival_pipeline.interim.holding import Guard, OnHold
    from archival_pipeline.interim.judging import Judge
    from archival_pipeline.interim.keeping import Keeper
    from archival_pipeline.interim.keys import Parsed
    from archival_pipeline.interim.outages import Patience
    from archival_pipeline.interim.redis_store import RedisStore

STILL_RUNS = "it, or a process of its tree, still runs"
_MASTER = "redis master"
# Files may be large: so many are copied before they go.
_KEPT_AT_ONCE = 50


@dataclass(slots=True)
class StoreReport:
    """What was done in one store.

    Attributes:
        store: which one.
        pieces: pieces of work that were tried.
        processes: processes without any data left.
        removed: keys or files that are gone, by keyspace or bucket.
        bytes: what they took; an estimate for Redis.
        withheld: keys that an index set lists and that stay: another process needs them, or they are none of ours.
        failed: why what is left of a process waits, by process.
        on_hold: processes whose data stays because of a legal hold, with the reason.
        down: why the store could not be used at all; None when it could.
        again: pieces that are done again because of a failover.
    """

    store: Store
    pieces: int = 0
    processes: int = 0
    removed: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    withheld: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    on_hold: dict[str, str] = field(default_factory=dict)
    down: str | None = None
    again: int = 0

    def merge(self, other: StoreReport) -> None:
        """Add what another lane has done."""
        self.add(other.removed, other.bytes)
        self.pieces += other.pieces
        self.processes += other.processes
        self.withheld += other.withheld
        self.again += other.again
        self.failed |= other.failed
        self.on_hold |= other.on_hold
        self.down = self.down or other.down

    def add(self, removed: Mapping[str, int], size: int) -> None:
        """Count what is gone."""
        for place, count in removed.items():
            self.removed[place] = self.removed.get(place, 0) + count
        self.bytes += size


@dataclass(slots=True)
class Cleanup:
    """Everything a cleanup needs; whoever makes it closes it.

    Attributes:
        engine: reads the engine's database.
        books: what is known and what waits.
        judge: asked before every removal.
        guard: says before every removal what is on legal hold.
        redis: None when there is no Redis.
        files: None when there is no file store.
        patience: how often a store is tried.
        stop: asked before each piece of work.
        keeper: keeps everything before it is removed; None where nothing is kept.
    """

    engine: EngineReader
    books: Books
    judge: Judge
    guard: Guard
    redis: RedisStore | None
    files: FileStore | None
    patience: Patience
    stop: Callable[[], bool]
    keeper: Keeper | None = None

    def read_ended(self, page_size: int) -> int:
        """Write down as work what has ended since the last time; return how many processes that are."""
        read = 0
        is_last = False
        while not (is_last or self.stop()):
            with self.books.reading(self.engine.name) as cursor:
                page = self.engine.page(cursor, page_size)
                if self.redis is not None:
                    self.books.queue("redis", page.ended)
                if self.files is not None:
                    self.books.queue(
                        "files", [Ended(one.process_id, is_root=True) for one in page.ended if one.is_root]
                    )
                self.books.move_cursor(self.engine.name, page.cursor)
            read += len(page.ended)
            is_last = page.is_last
        return read

    def clean(self, store: Store) -> StoreReport:
        """Do the work of one store that is due, until none is left, the store fails, or it is time to stop."""
        report = StoreReport(store)
        while report.down is None and not self.stop():
            if not self._notice_failover(store, report):
                break
            with self.books.taking(store) as work:
                if work is None:
                    break
                self._do(work, report)
        self.books.purge()
        return report

    def _do(self, work: Work, report: StoreReport) -> None:
        do = self._forms if report.store == "redis" else self._objects
        report.pieces += 1
        step = StoreReport(report.store)
        try:
            self.patience.trying(lambda: do(work, step))
        except StoreError as error:
            report.down = step.down = str(error)
            self.books.put_off(work, work.items, str(error))
            self.books.wait_with(work)
        else:
            self._settle(work, step)
        self._count(step, report)

    def _settle(self, work: Work, step: StoreReport) -> None:
        # What has failed besides is tried earlier than what is on hold.
        left = [one for one in work.items if one.process_id in step.failed]
        held = [one for one in work.items if one.process_id in step.on_hold and one.process_id not in step.failed]
        step.processes = len(work.items) - len(left) - len(held)
        if held:
            self.books.wait_held(work, held)
        if left:
            self.books.put_off(work, left, step.failed[left[0].process_id])
        else:
            self.books.finish(work, held)

    def _count(self, step: StoreReport, report: StoreReport) -> None:
        report.add(step.removed, step.bytes)
        report.processes += step.processes
        report.withheld += step.withheld
        report.failed |= step.failed
        report.on_hold |= step.on_hold
        counted = {("deleted", place): count for place, count in step.removed.items()}
        counted["bytes", step.store] = step.bytes
        counted["processes", step.store] = step.processes
        self.books.add_totals(counted)

    def _forms(self, work: Work, report: StoreReport) -> None:
        """Remove what the index sets and the start variables of these processes list."""
        report.failed.clear()
        report.on_hold.clear()
        report.withheld = 0
        with self.guard.removal() as on_hold:
            self._forms_gone(work, report, on_hold)

    def _forms_gone(self, work: Work, report: StoreReport, on_hold: OnHold) -> None:
        assert self.redis is not None  # noqa: S101 - its work is queued only where there is one
        owned = {one.process_id: one for one in work.items if self.engine.owns(one.process_id)}
        members, unread = self.redis.members(list(owned))
        report.failed |= unread
        found = {process: self._keys_of(one, members.get(process, ())) for process, one in owned.items()}
        may_go = self._judged(found, members, report, on_hold)
        if self.keeper is not None:
            refused = self.keeper.keep_keys(self.redis, may_go, members)
            report.failed |= refused
            may_go = {process: keys for process, keys in may_go.items() if process not in refused}
        on_hold.require()
        removal = self.redis.remove({key for keys in may_go.values() for key in keys})
        report.add(removal.removed, removal.bytes)
        if removal.failed:
            for process, keys in may_go.items():
                broken = [key for key in keys if key in removal.failed]
                may_go[process] = [key for key in keys if key not in removal.failed]
                if broken:
                    report.failed[process] = removal.failed[broken[0]]
        gone = {process: [key for key in may_go.get(process, ()) if key in keys] for process, keys in members.items()}
        self.redis.drop_from_index(gone, members)

    def _keys_of(self, one: Ended, members: Iterable[str]) -> dict[str, Parsed]:
        assert self.redis is not None  # noqa: S101 - as above
        spaces = self.redis.keyspaces
        named = (spaces.start_key(variable, value) for variable, value in one.named)
        return {key: spaces.parse(key) for key in [*members, *(key for key in named if key)]}

    def _judged(
        self,
        found: Mapping[str, Mapping[str, Parsed]],
        members: Mapping[str, set[str]],
        report: StoreReport,
        on_hold: OnHold,
    ) -> dict[str, list[str]]:
        """Those keys of each process that may go. What is on hold or another process needs is tried again later."""
        assert self.redis is not None  # noqa: S101 - as above
        keys = {key: parsed for of_one in found.values() for key, parsed in of_one.items()}
        running = self.engine.running({*found, *(owner for parsed in keys.values() for owner in parsed.owners)})
        verdicts = self.judge.verdicts(keys, running, on_hold)
        report.on_hold |= on_hold.processes(found)
        may_go: dict[str, list[str]] = {}
        for process, of_one in found.items():
            if process in running.processes:
                report.failed[process] = STILL_RUNS
                continue
            if process in report.on_hold:
                continue
            listed = members.get(process, ())
            may_go[process] = [
                key for key in of_one if verdicts[key] == "over" or self._is_ours(of_one[key], key, listed)
            ]
            if len(may_go[process]) < len(of_one):
                report.withheld += len(of_one) - len(may_go[process])
                if any(verdicts[key] == "running" for key in of_one):
                    report.failed[process] = STILL_RUNS
                elif any(verdicts[key] == "held" for key in of_one):
                    report.on_hold[process] = f"{ON_HOLD}: some of its keys belong to a process that is held, too"
        return may_go

    def _is_ours(self, parsed: Parsed, key: str, listed: Collection[str]) -> bool:
        """Whether an index set says whose a key is whose name does not; it may do so in its own keyspace alone."""
        assert self.redis is not None  # noqa: S101 - as above
        forms = f"{self.redis.keyspaces.forms}:"
        return parsed.shape is Shape.OTHER and key in listed and key.startswith(forms) and len(key) > len(forms)

    def _objects(self, work: Work, report: StoreReport) -> None:
        """Remove the files of roots whose whole tree is over."""
        assert self.files is not None  # noqa: S101 - its work is queued only where there is one
        report.failed.clear()
        report.on_hold.clear()
        roots = [one.process_id for one in work.items if self.engine.owns(one.process_id)]
        runs = self.engine.running(roots).trees
        report.failed |= dict.fromkeys(runs, STILL_RUNS)
        for page in self.files.files_of([root for root in roots if root not in runs]):
            step = len(page) if self.keeper is None else _KEPT_AT_ONCE
            for at in range(0, len(page), step):
                self._files_gone(page[at : at + step], report)
                # Large files take their time, and the books hold the piece of work: not to be taken for idle.
                self.books.now()

    def _files_gone(self, part: Sequence[ObjectTypeDef], report: StoreReport) -> None:
        assert self.files is not None  # noqa: S101 - as above
        with self.guard.removal() as on_hold:
            held = on_hold.processes(root_of(one) for one in part)
            report.on_hold |= held
            doomed = [one for one in part if root_of(one) not in held]
            if self.keeper is not None:
                self.keeper.keep_files(self.files, doomed)
            on_hold.require()
            removal = self.files.remove(doomed)
        report.add({self.files.bucket: removal.removed}, removal.bytes)
        report.failed |= removal.failed

    def _notice_failover(self, store: Store, report: StoreReport) -> bool:
        """Do the work of the last hour again when another server has become the master; whether Redis answers."""
        if store != "redis" or self.redis is None:
            return True
        try:
            address = self.patience.trying(self.redis.address)
        except StoreError as error:
            report.down = str(error)
            self.books.hold_back(store, str(error))
            return False
        known = self.books.state(_MASTER).get("address")
        if known != address:
            if known is not None:
                report.again += self.books.reopen_recent()
            self.books.remember(_MASTER, {"address": address})
        return True
