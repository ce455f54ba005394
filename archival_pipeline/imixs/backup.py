"""Works off the event log.

An entry is noted in the record, locked, its snapshot stored and verified, and only then deleted; on any failure it is
unlocked. Entries of one document are one piece of work, newest first, so that neither lanes nor the order of the queue
can put an older snapshot over a newer one. Not here: how one file is written (``placing.py``).
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from archival_pipeline.errors import ArchivalError, DatabaseError
from archival_pipeline.imixs.documents import split_snapshot_id
from archival_pipeline.imixs.failures import DamagedError, LoginError, NothingReadableError, UnreachableError
from archival_pipeline.imixs.fetching import fetched
from archival_pipeline.imixs.lanes import in_lanes
from archival_pipeline.imixs.results import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from archival_pipeline.imixs.client import Event, WorkflowClient
    from archival_pipeline.imixs.placing import Placing
    from archival_pipeline.imixs.record import Record
    from archival_pipeline.imixs.storage.opening import StorePool
    from archival_pipeline.imixs.storage.store import Store
    from archival_pipeline.settings_imixs import KeepingSettings

_BATCH = 100
_ALL = 100_000
# So many failures without a success between them: a server is down, and every further entry would only be disturbed.
_HOPELESS = 10
# More than a few documents gone, and more gone than there: rather a lost right than deleted documents.
_FEW = 10
_ORIGIN = frozenset({"$uniqueid", "$snapshotid"})


@dataclass(slots=True)
class Outcome:
    """What became of the entries of one document.

    Attributes:
        counted: names of the report's numbers.
        open: entries that stay in the queue.
        gone: entries, locked by us, of documents that the instance does not show.
        deleted: ids of entries that are not in the event log any more.
        size: bytes written.
        readable: whether the instance showed a document.
        failure: what went wrong, with the snapshot it went wrong with.
    """

    counted: list[str] = field(default_factory=list)
    open: list[Event] = field(default_factory=list)
    gone: list[Event] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    size: int = 0
    readable: bool = False
    failure: tuple[str, ArchivalError] | None = None


class Backup:
    """One run over the event log of one topic."""

    def __init__(
        self,
        client: WorkflowClient,
        stores: StorePool,
        record: Record,
        placing: Placing,
        settings: KeepingSettings,
    ) -> None:
        self._client, self._stores, self._record = client, stores, record
        self._placing, self._settings = placing, settings
        self._topic = settings.topic
        self.report = Report()
        self.documents: list[str] = []
        self._gone: list[Event] = []
        self._readable = False

    def run(self, limit: int, *, accept_gone: bool, progress: Callable[[Report], None]) -> Report:
        """Store what the queue asks for.

        Args:
            limit: stop after so many entries.
            accept_gone: delete entries of documents that are gone, however many.
            progress: called after each batch.
        """
        self.recover()
        skipped: set[str] = set()
        left = limit
        try:
            while left > 0:
                fresh = self._list(skipped, min(_BATCH, left))
                if not fresh:
                    break
                left -= len(fresh)
                skipped |= {event.id for event in self._batch(fresh)}
                progress(self.report)
            self._judge_gone(accept_gone=accept_gone)
        finally:
            self._unlock(self._gone)
        # What a call without an answer has left; after a failure the next run does this first.
        self.recover()
        return self.report

    def recover(self) -> None:
        """Unlock what a dead run, or a call without an answer, has left locked: ours, and nobody else's."""
        ours = self._record.locks(self._topic)
        if not ours:
            return
        for event in self._client.events(f"{self._topic}.lock~{self._topic}.lock.lock", _ALL):
            if event.id in ours:
                self._client.unlock(event.id)
                self.report.count("unlocked_again")
        self._record.let_go(self._topic, *ours)

    def _list(self, skipped: set[str], number: int) -> list[Event]:
        events = self._client.events(self._topic, number + len(skipped))
        return [event for event in events if event.id not in skipped and event.topic == self._topic][:number]

    def _batch(self, events: list[Event]) -> list[Event]:
        """Work off some entries; return those that stay in the queue."""
        staying: list[Event] = []
        deleted: list[str] = []
        failures = 0
        with closing(in_lanes(self._by_document(events), self._work, self._settings.lanes)) as outcomes:
            for outcome in outcomes:
                staying += outcome.open + outcome.gone
                deleted += outcome.deleted
                self._take(outcome)
                failures = failures + 1 if outcome.failure else 0
                if outcome.failure:
                    self._failed(*outcome.failure, hopeless=failures >= _HOPELESS)
        # Of entries that are gone nobody unlocks any: to say so can wait for the others, and for the next run.
        self._record.let_go(self._topic, *deleted)
        return staying

    def _take(self, outcome: Outcome) -> None:
        self._gone += outcome.gone
        self.documents += outcome.documents
        self._readable = self._readable or outcome.readable
        for name in outcome.counted:
            self.report.count(name)
        self.report.count("bytes_written", outcome.size)

    def _failed(self, what: str, error: ArchivalError, *, hopeless: bool) -> None:
        self.report.failed(what, error)
        if hopeless or isinstance(error, LoginError):
            raise error

    def _by_document(self, events: Iterable[Event]) -> list[list[Event]]:
        """Entries in groups of one document each, newest snapshot first."""
        groups: dict[str, list[tuple[int, Event]]] = {}
        for event in events:
            try:
                document_id, millis = split_snapshot_id(event.ref)
            except DamagedError as error:
                self.report.failed(event.ref, error)
                continue
            groups.setdefault(document_id, []).append((millis, event))
        # With a history every snapshot is wanted, and each takes the place of the one before.
        newest_first = self._settings.history == 1
        ordered = (sorted(group, key=lambda pair: pair[0], reverse=newest_first) for group in groups.values())
        return [[event for _, event in group] for group in ordered]

    def _work(self, events: list[Event]) -> Outcome:
        outcome = Outcome()
        with self._stores.lent() as store:
            for event in events:
                self._one(store, event, outcome)
        return outcome

    def _one(self, store: Store, event: Event, outcome: Outcome) -> None:
        """Work off one entry; whatever fails, it is unlocked again."""
        self._record.hold(self._topic, event.id, event.ref)
        try:
            if not self._client.lock(event.id):
                self._record.let_go(self._topic, event.id)
                outcome.counted.append("not_ours")
                outcome.open.append(event)
                return
            if self._store(store, event.ref, outcome):
                self._client.delete_event(event.id)
                outcome.deleted.append(event.id)
                outcome.counted.append("events_done")
            else:
                outcome.gone.append(event)
        except DatabaseError:
            # Without the record nothing can be noted; the next run unlocks by what was noted before.
            raise
        except ArchivalError as error:
            outcome.failure = (event.ref, error)
            outcome.open.append(event)
            self._unlock([event])

    def _store(self, store: Store, ref: str, outcome: Outcome) -> bool:
        """Store a snapshot unless that is done; False if the instance does not show it."""
        document_id, millis = split_snapshot_id(ref)
        held = self._placing.held(store, document_id)
        covered = held is not None and self._settings.history == 1 and held.snapshot_ms >= millis
        if held is not None and covered and self._placing.is_there(store, held):
            outcome.counted.append("already_held" if held.snapshot_ms == millis else "superseded")
            self._remove(ref, outcome, damaged=bool(held.damaged_at_source) or held.snapshot_id != ref)
            return True
        if self._fetch(store, ref, outcome):
            return True
        return self._follow(store, ref, outcome)

    def _fetch(self, store: Store, ref: str, outcome: Outcome) -> bool:
        with fetched(self._client, ref, self._settings.spool_path) as found:
            if found is None:
                return False
            outcome.readable = True
            placed = self._placing.place(store, found.answer, found.document, found.damaged)
            outcome.size += placed.size
            outcome.documents.append(split_snapshot_id(ref)[0])
            outcome.counted.append(_COUNTED[placed.outcome])
            if found.damaged:
                outcome.counted.append("damaged_at_source")
        self._remove(ref, outcome, damaged=bool(found.damaged))
        return True

    def _remove(self, ref: str, outcome: Outcome, *, damaged: bool) -> None:
        """Take a stored snapshot out of the database, if that is asked for and the file is as good as it."""
        if self._settings.remove_snapshots and not damaged:
            self._client.delete_document(ref)
            outcome.counted.append("removed_from_database")

    def _follow(self, store: Store, ref: str, outcome: Outcome) -> bool:
        """The snapshot is not there: if a newer one has taken its place, that one is stored now."""
        document_id, millis = split_snapshot_id(ref)
        files = [held for held in self._record.files_of(document_id) if held.snapshot_id == ref]
        if any(self._placing.is_there(store, held) for held in files):
            outcome.counted.append("already_held")
            return True
        origin = self._client.items(document_id, _ORIGIN)
        newest = (origin or {}).get("$snapshotid")
        if not newest or newest == ref or split_snapshot_id(newest)[1] <= millis:
            return False
        outcome.readable = True
        held = self._placing.held(store, document_id)
        is_held = held is not None and held.snapshot_id == newest and self._placing.is_there(store, held)
        if not is_held and not self._fetch(store, newest, outcome):
            return False
        outcome.counted.append("superseded")
        return True

    def _judge_gone(self, *, accept_gone: bool) -> None:
        """Delete entries of documents that are gone, unless it looks as if it was the right to read that is gone."""
        if not self._gone:
            return
        number = len(self._gone)
        self.report.count("gone", number)
        if not accept_gone:
            mostly = number > _FEW and number > self.report.numbers["events_done"]
            if mostly or not (self._readable or self._can_read()):
                raise _nothing_readable(number, number + self.report.numbers["events_done"])
        for event in self._gone:
            self._client.delete_event(event.id)
            self._record.let_go(self._topic, event.id)
            self.report.note(event.ref, "IMIXS_GONE", "The document is not in the instance any more.")
        self._gone = []

    def _can_read(self) -> bool:
        """Whether the instance shows any document that it has shown before."""
        return any(self._client.items(name, _ORIGIN) is not None for name in self._record.some_documents(5))

    def _unlock(self, events: Iterable[Event]) -> None:
        """Unlock entries; what cannot be unlocked now stays noted, and is unlocked by the next run."""
        for event in events:
            try:
                self._client.unlock(event.id)
            except (UnreachableError, LoginError):
                self.report.count("left_locked")
                continue
            self._record.let_go(self._topic, event.id)


def _nothing_readable(number: int, of: int) -> NothingReadableError:
    return NothingReadableError(
        f"The instance answers 404 for {number} of {of} snapshots; their entries stay in the queue.",
        resolve="Give the backup user manager access. If the documents were deleted on purpose, run the backup once "
        "with acceptGone.",
    )


_COUNTED = {
    "stored": "stored",
    "already": "already_held",
    "older": "superseded",
    "kept_in_history": "stored_in_history",
}
