"""Finds data that no ended process leads to, and removes it after a grace period.

That is: starts that never happened, payloads that nobody took, keys of processes that are gone, names in the keyspace
sets behind which there is nothing.

What may go is first remembered, and goes when it still may after the grace period, by one clock: that of the backup
database. Stopped at the end of its window, the next night goes on where this one ended. Not here: whose a key is
(``judging.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from archival_pipeline.errors import ArchivalError
from archival_pipeline.interim.keys import FILES, INDEX, Shape, parse_form, parse_object, parse_payload
from archival_pipeline.interim.outages import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import timedelta

    from mypy_boto3_s3.type_defs import ObjectTypeDef

    from archival_pipeline.interim.books import Books, Store
    from archival_pipeline.interim.engines import EngineReader
    from archival_pipeline.interim.file_store import FileStore
    from archival_pipeline.interim.holding import Guard, OnHold
    from archival_pipeline.interim.judging import Judge
    from archival_pipeline.interim.keeping import Keeper
    from archival_pipeline.interim.keys import Parsed
    from archival_pipeline.interim.outages import Patience
    from archival_pipeline.interim.redis_store import RedisStore

StopReason = Literal["all seen", "stopped"]
_SHOWN = 1_000
_BATCH = 1_000


@dataclass(slots=True)
class SweepReport:
    """What a sweep saw and did.

    Attributes:
        dry_run: whether it only looked.
        scanned: keys and files looked at, by keyspace and bucket.
        found: what looks left behind, by shape.
        unknown: keys and files that fit no shape; they are never touched.
        young: found, but within the grace period.
        removed: what is gone, by keyspace and bucket; in a dry run what would be, as far as seen.
        bytes: what it took; an estimate for Redis.
        on_hold: keys and files that were due and stay because of a legal hold.
        stale_names: names taken off the keyspace sets because no key stood behind them.
        oldest_seconds: age of the oldest that was found, since it was first found.
        failed: why something is still there.
        down: stores that could not be used, with the reason.
        ended_because: per store.
        shown: name, shape and age in seconds of the first thousand that were found.
    """

    dry_run: bool
    scanned: dict[str, int] = field(default_factory=dict)
    found: dict[str, int] = field(default_factory=dict)
    unknown: int = 0
    young: int = 0
    removed: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    on_hold: int = 0
    stale_names: int = 0
    oldest_seconds: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    down: dict[str, str] = field(default_factory=dict)
    ended_because: dict[str, StopReason] = field(default_factory=dict)
    shown: list[tuple[str, str, int]] = field(default_factory=list)

    def count(self, into: dict[str, int], place: str, amount: int = 1) -> None:
        """Add to one of the counters."""
        into[place] = into.get(place, 0) + amount


@dataclass(slots=True)
class Sweeper:
    """Everything a sweep needs; whoever makes it closes it.

    Attributes:
        engine: asked whether it is the right one at all.
        books: candidates, and where to go on.
        guard: says before every removal what is on legal hold.
        judge: asked when something is found, and again right before it goes.
        redis: None when there is no Redis.
        files: None when there is no file store.
        patience: how often a step is tried.
        rest: rests after a step over so many keys, so that Redis has time for others.
        stop: asked before each step.
        grace: how long something must have looked left behind.
        step: keys that one SCAN looks at.
        keeper: keeps what has an owner before it is removed; None where nothing is kept.
    """

    engine: EngineReader
    books: Books
    judge: Judge
    guard: Guard
    redis: RedisStore | None
    files: FileStore | None
    patience: Patience
    rest: Callable[[int], None]
    stop: Callable[[], bool]
    grace: timedelta
    step: int
    keeper: Keeper | None = None

    def sweep(self, *, dry_run: bool) -> SweepReport:
        """Go over both stores; a store that is down leaves the other one alone.

        Raises:
            ArchivalError: the engine's database is empty, so that everything would look left behind.
        """
        if not self.engine.is_filled():
            raise ArchivalError(
                "The engine's database holds no process at all, so every key would look left behind.",
                resolve="See that the settings name the engine that these stores belong to.",
                code="ENGINE_EMPTY",
            )
        report = SweepReport(dry_run)
        parts = {"redis": self._redis_part if self.redis else None, "files": self._files_part if self.files else None}
        for store, part in parts.items():
            if part is None:
                continue
            try:
                report.ended_because[store] = part(report)
            except StoreError as error:
                report.down[store] = str(error)
        if not dry_run:
            counted = {("deleted", place): count for place, count in report.removed.items()}
            self.books.add_totals(counted | {("bytes", "sweep"): report.bytes})
            removed, failed, down = sum(report.removed.values()), len(report.failed), int(bool(report.down))
            numbers = {"removed": removed, "bytes": report.bytes, "failed": failed, "on_hold": report.on_hold}
            self.books.note_run("sweep", {**numbers, "down": down})
        return report

    def _redis_part(self, report: SweepReport) -> StopReason:
        assert self.redis is not None  # noqa: S101 - the caller has looked
        spaces = self.redis.keyspaces
        for space in (spaces.forms, spaces.payloads):
            if self._keys(space, report) == "stopped" or self._names(space, report) == "stopped":
                return "stopped"
        return "all seen"

    def _keys(self, space: str, report: SweepReport) -> StopReason:
        """Look at every key of a keyspace, beginning where the last sweep was stopped."""
        assert self.redis is not None  # noqa: S101 - the caller has looked
        place = f"sweep {space}"
        known = self.books.state(place)
        # The address is part of it: after a failover the cursor of the old server means another place.
        address = self.patience.trying(self.redis.address)
        went_on = known if known.get("address") == address and not report.dry_run else {}
        began = str(went_on.get("began") or self.books.now())
        keys: list[str] = []
        for cursor, found in self._steps(space, int(went_on.get("cursor", 0))):
            keys += found
            if len(keys) >= _BATCH or not cursor:
                self._look_at(space, list(dict.fromkeys(keys)), report)
                keys = []
            if cursor and not keys:
                if not report.dry_run:
                    self.books.remember(place, {"cursor": cursor, "began": began, "address": address})
                if self.stop():
                    return "stopped"
        if not report.dry_run:
            self.books.remember(place, {})
            self.books.drop_unseen("redis", f"{space}:", began)
        return "all seen"

    def _steps(self, space: str, cursor: int) -> Iterator[tuple[int, list[str]]]:
        assert self.redis is not None  # noqa: S101 - the caller has looked
        redis = self.redis
        while True:
            at = cursor
            cursor, found = self.patience.trying(lambda: next(redis.scan(f"{space}:*", self.step, at)))  # noqa: B023
            self.rest(self.step)
            yield cursor, found
            if not cursor:
                return

    def _look_at(self, space: str, keys: Sequence[str], report: SweepReport) -> None:
        assert self.redis is not None  # noqa: S101 - the caller has looked
        parse = parse_form if space == self.redis.keyspaces.forms else parse_payload
        bare = {key[len(space) + 1 :]: parse(key[len(space) + 1 :]) for key in keys}
        report.count(report.scanned, space, len(bare))
        due = self._due("redis", bare, report, lambda key: f"{space}:{key}")
        if due and not report.dry_run:
            self.patience.trying(lambda: self._remove_keys(space, due, report))

    def _due(
        self, store: Store, found: Mapping[str, Parsed], report: SweepReport, full: Callable[[str], str]
    ) -> dict[str, Parsed]:
        """What may go and has for long enough."""
        verdicts = self.judge.verdicts(found)
        report.unknown += sum(verdict == "unknown" for verdict in verdicts.values())
        orphans = {key: parsed for key, parsed in found.items() if verdicts[key] == "over"}
        if not orphans:
            return {}
        ages = self.books.note_candidates(store, {full(key): parsed.shape.value for key, parsed in orphans.items()})
        due: dict[str, Parsed] = {}
        for key, parsed in orphans.items():
            age = ages[full(key)]
            report.count(report.found, parsed.shape.value)
            report.oldest_seconds = max(report.oldest_seconds, int(age))
            if len(report.shown) < _SHOWN:
                report.shown.append((full(key), parsed.shape.value, int(age)))
            if age >= self.grace.total_seconds():
                due[key] = parsed
            else:
                report.young += 1
        return due

    def _remove_keys(self, space: str, due: Mapping[str, Parsed], report: SweepReport) -> None:
        """Remove keys, after asking the engine once more."""
        with self.guard.removal() as on_hold:
            self._keys_gone(space, due, report, on_hold)

    def _keys_gone(self, space: str, due: Mapping[str, Parsed], report: SweepReport, on_hold: OnHold) -> None:
        assert self.redis is not None  # noqa: S101 - the caller has looked
        verdicts = self.judge.verdicts(due, on_hold=on_hold)
        sure = [key for key in due if verdicts[key] == "over"]
        keys = [f"{space}:{key}" for key in sure if due[key].shape is not Shape.PROCESS_INDEX]
        indexes = [due[key].owners[0] for key in sure if due[key].shape is Shape.PROCESS_INDEX]
        listed = self._through_indexes(indexes, on_hold)
        keys += [key for members in listed.values() for key in members]
        kept_back = self._kept(due, space, sure, listed)
        on_hold.require()
        removal = self.redis.remove(set(keys) - set(kept_back))
        removal.failed |= kept_back
        gone = {process: [key for key in members if key not in removal.failed] for process, members in listed.items()}
        self.redis.drop_from_index(gone)
        for place, count in removal.removed.items():
            report.count(report.removed, place, count)
        report.bytes += removal.bytes
        report.on_hold += sum(verdict == "held" for verdict in verdicts.values())
        report.failed |= removal.failed
        self.books.drop_candidates("redis", [full for key in sure if (full := f"{space}:{key}") not in removal.failed])

    def _kept(
        self, due: Mapping[str, Parsed], space: str, sure: Sequence[str], listed: Mapping[str, list[str]]
    ) -> dict[str, str]:
        """Keep what has an owner; return why some keys could not be kept, and stay.

        What belongs to a start that never happened has nobody to come back to, and goes for good.
        """
        if self.keeper is None or self.redis is None:
            return {}
        wanted: dict[str, set[str]] = {process: set(keys) for process, keys in listed.items()}
        for key in sure:
            if due[key].owners and due[key].shape is not Shape.PROCESS_INDEX:
                wanted.setdefault(due[key].owners[0], set()).add(f"{space}:{key}")
        refused = self.keeper.keep_keys(self.redis, wanted, listed)
        return {key: why for process, why in refused.items() for key in wanted[process]}

    def _through_indexes(self, processes: Sequence[str], on_hold: OnHold) -> dict[str, list[str]]:
        """The members of index sets of processes that are over, without those that another process needs."""
        assert self.redis is not None  # noqa: S101 - the caller has looked
        members, _ = self.redis.members(processes)
        prefix = f"{self.redis.keyspaces.forms}:"
        bare = {key: key[len(prefix) :] for found in members.values() for key in found if key.startswith(prefix)}
        parsed = {key: parse_form(key) for key in bare.values()}
        verdicts = self.judge.verdicts(parsed, on_hold=on_hold)
        may_go = {
            full
            for full, key in bare.items()
            if verdicts[key] == "over" or (parsed[key].shape is Shape.OTHER and not key.startswith(INDEX))
        }
        return {process: [key for key in found if key in may_go] for process, found in members.items()}

    def _names(self, space: str, report: SweepReport) -> StopReason:
        """Take names off a keyspace set behind which there is no key: removals without the set have left them.

        A save writes the key before the name, so a name without a key is never one that is about to get it.
        """
        assert self.redis is not None  # noqa: S101 - the caller has looked
        for names in self.redis.scan_members(space, self.step):
            if self.stop():
                return "stopped"
            stale = self.redis.missing(space, names)
            report.stale_names += len(stale) if report.dry_run else self.redis.drop_from_keyspace(space, stale)
            self.rest(len(names))
        return "all seen"

    def _files_part(self, report: SweepReport) -> StopReason:
        assert self.files is not None  # noqa: S101 - the caller has looked
        files, place = self.files, f"sweep {self.files.bucket}"
        went_on = {} if report.dry_run else self.books.state(place)
        after, began = str(went_on.get("after", "")), str(went_on.get("began") or self.books.now())
        settled: set[str] = set()
        while True:
            page = self.patience.trying(lambda: next(files.pages(after), []))  # noqa: B023
            if not page:
                break
            settled |= self._look_at_files(page, report)
            after = page[-1]["Key"]
            if not report.dry_run:
                self.books.remember(place, {"after": after, "began": began})
            if self.stop():
                return "stopped"
        if not report.dry_run:
            self.books.remember(place, {})
            self.books.drop_candidates("files", settled)
            self.books.drop_unseen("files", FILES, began)
        return "all seen"

    def _look_at_files(self, page: Sequence[ObjectTypeDef], report: SweepReport) -> set[str]:
        """Remove what is due of a page; return the last root if it was part of that, to be forgotten at the end.

        It may go on in the next page, and is as old there.
        """
        assert self.files is not None  # noqa: S101 - the caller has looked
        report.count(report.scanned, self.files.bucket, len(page))
        by_root = {root: list(files) for root, files in groupby(page, key=_root)}
        report.unknown += len(by_root.pop("", []))
        found = {f"{FILES}{root}/": parse_object(files[0]["Key"]) for root, files in by_root.items()}
        due = self._due("files", found, report, lambda prefix: prefix)
        if not due or report.dry_run:
            return set()
        gone = self.patience.trying(lambda: self._files_gone(due, by_root, report))
        last = {f"{FILES}{_root(page[-1])}/"}
        self.books.drop_candidates("files", gone - last)
        return gone & last

    def _files_gone(
        self, due: Mapping[str, Parsed], by_root: Mapping[str, list[ObjectTypeDef]], report: SweepReport
    ) -> set[str]:
        """Remove files, after asking the engine once more; return the prefixes of roots without any."""
        assert self.files is not None  # noqa: S101 - the caller has looked
        with self.guard.removal() as on_hold:
            verdicts = self.judge.verdicts(due, on_hold=on_hold)
            sure = {prefix: due[prefix].owners[0] for prefix in due if verdicts[prefix] == "over"}
            doomed = [found for root in sure.values() for found in by_root[root]]
            if self.keeper is not None:
                self.keeper.keep_files(self.files, doomed)
            on_hold.require()
            outcome = self.files.remove(doomed)
        report.count(report.removed, self.files.bucket, outcome.removed)
        report.bytes += outcome.bytes
        held = (due[prefix].owners[0] for prefix in due if verdicts[prefix] == "held")
        report.on_hold += sum(len(by_root[root]) for root in held)
        report.failed |= outcome.failed
        return {prefix for prefix, root in sure.items() if root not in outcome.failed}


def _root(found: ObjectTypeDef) -> str:
    """The root that a file belongs to; empty when its key has another shape."""
    return next(iter(parse_object(found["Key"]).owners), "")
