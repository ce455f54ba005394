"""Puts one document into the backup space, so that a crash at any point leaves either the old file or the new one.

::

    encode → write under a temporary name → read back, compare → note as incoming
           → the old file goes into the history, or is replaced → rename → note as current

A file found in ``incoming`` of the record is looked at again by its digest: the rename has happened, or it has not.
An older snapshot never takes the place of a newer one. Not here: where documents come from.
"""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from archival_pipeline.imixs import coding, layout
from archival_pipeline.imixs.documents import ALWAYS, Document, Reader, split_snapshot_id
from archival_pipeline.imixs.envelope import cut_out
from archival_pipeline.imixs.failures import DamagedError, StorageError
from archival_pipeline.imixs.record import Held
from archival_pipeline.imixs.storage.store import digest_of

if TYPE_CHECKING:
    from typing import BinaryIO

    from archival_pipeline.imixs.record import Record
    from archival_pipeline.imixs.storage.store import Store
    from archival_pipeline.settings_imixs import KeepingSettings

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of a document: ``stored``, ``already``, ``older``, ``kept_in_history``; and its size in bytes."""

    outcome: str
    size: int = 0


@dataclass(frozen=True, slots=True)
class Opened:
    """A file of the space, decoded and read: its document, and size and digest of its XML."""

    document: Document
    xml_size: int
    xml_sha256: str
    size: int
    sha256: str


class Placing:
    """Writes into one space, for one record."""

    def __init__(self, record: Record, settings: KeepingSettings) -> None:
        self._record = record
        self._settings = settings
        self._coder = coding.Coder(settings)

    def held(self, store: Store, document_id: str, created: str | None = None) -> Held | None:
        """The current file of a document, after what a crash has left is settled.

        Args:
            store: where to look.
            document_id: of the document.
            created: its date; with it, files that the record does not know are found, too.
        """
        files = self._record.files_of(document_id)
        incoming = [held for held in files if held.place == "incoming"]
        for held in incoming:
            self._settle(store, held)
        if incoming:
            files = self._record.files_of(document_id)
        current = next((held for held in files if held.place == "current"), None)
        if current is None and created is not None:
            return self._adopt(store, document_id, created)
        return current

    def place(self, store: Store, answer: BinaryIO, document: Document, damaged: list[str]) -> Placed:
        """Store a document.

        Args:
            store: where to.
            answer: the whole answer of the instance.
            document: what the reader found in it.
            damaged: attachments that do not fit their digest in the instance either.
        """
        snapshot_id = document.first("$uniqueid") or ""
        document_id, millis = split_snapshot_id(snapshot_id)
        created = document.first("$created")
        current = self.held(store, document_id, created)
        if current is not None and self.is_there(store, current):
            if current.snapshot_id == snapshot_id:
                return Placed("already")
            if current.snapshot_ms > millis and self._settings.history == 1:
                return Placed("older")
        month = current.month if current else layout.month_of(layout.moment_of(created), self._settings.time_zone)
        with ExitStack() as files:
            xml, encoded = (files.enter_context(coding.spool(self._settings.spool_path)) for _ in range(2))
            xml_size, xml_sha256 = cut_out(answer, document, xml)
            self._coder.encode(xml, encoded)
            new = Held(
                snapshot_id=snapshot_id,
                document_id=document_id,
                snapshot_ms=millis,
                place="incoming",
                state="good",
                month=month,
                path=layout.path_of(month, document_id, self._coder.suffix),
                size=encoded.tell(),
                sha256=_sha256(encoded),
                xml_size=xml_size,
                xml_sha256=xml_sha256,
                damaged_at_source=damaged,
            )
            return self._write(store, encoded, new, current)

    def is_there(self, store: Store, held: Held) -> bool:
        """Whether a file is as the record has it, as far as its size tells."""
        return held.state == "good" and store.size(held.path) == held.size

    def open(self, store: Store, path: str, xml: BinaryIO, wanted: frozenset[str] = ALWAYS) -> Opened:
        """Read a file of the space into a spool, decode it and read its document.

        Raises:
            DamagedError: it is not a whole document.
        """
        suffix = coding.suffix_of(path)
        if suffix is None:
            raise DamagedError(f"{path} is no backup file.", resolve="Move it out of the backup space.")
        with coding.spool(self._settings.spool_path) as stored:
            store.read(path, stored.write)
            size, sha256 = stored.tell(), _sha256(stored)
            self._coder.decode(stored, xml, suffix)
        reader = Reader(in_data=False, wanted=wanted)
        digest = hashlib.sha256()
        xml.seek(0)
        while piece := xml.read(_PIECE):
            reader.feed(piece)
            digest.update(piece)
        return Opened(reader.close(), xml.tell(), digest.hexdigest(), size, sha256)

    @property
    def can_open(self) -> bool:
        """Whether the files that are written can be read back as XML."""
        return self._coder.can_open

    def adopt_file(self, store: Store, path: str, month: str) -> Held:
        """Take a file of the space into the record.

        Raises:
            DamagedError: it is not a whole document, or stands under another's name.
        """
        with coding.spool(self._settings.spool_path) as xml:
            opened = self.open(store, path, xml)
        snapshot_id = opened.document.first("$uniqueid") or ""
        document_id, millis = split_snapshot_id(snapshot_id)
        name = path.rpartition("/")[2]
        if name.removesuffix(coding.suffix_of(name) or "") != document_id:
            raise DamagedError(f"{path} holds {snapshot_id}.", resolve="Give the file the name of its document.")
        held = Held(
            snapshot_id=snapshot_id,
            document_id=document_id,
            snapshot_ms=millis,
            place="current",
            state="good",
            month=month,
            path=path,
            size=opened.size,
            sha256=opened.sha256,
            xml_size=opened.xml_size,
            xml_sha256=opened.xml_sha256,
            damaged_at_source=opened.document.damaged_attachments,
        )
        self._record.replace(None, held)
        return held

    def prune(self, store: Store, document_ids: list[str], older_ms: int | None) -> int:
        """Delete what the history has too much of; return how many files."""
        gone = self._record.too_many(document_ids, self._settings.history, older_ms)
        for snapshot_id, path in gone:
            store.remove(path)
            self._record.forget(snapshot_id)
        return len(gone)

    def _write(self, store: Store, encoded: BinaryIO, new: Held, current: Held | None) -> Placed:
        incoming = layout.incoming_path(new.snapshot_id)
        encoded.seek(0)
        try:
            store.write(incoming, encoded)
            _read_back(store, incoming, new)
        except StorageError:
            _try_remove(store, incoming)
            raise
        if current is not None and current.snapshot_ms > new.snapshot_ms and self.is_there(store, current):
            path = layout.history_path(new.month, new.snapshot_id, self._coder.suffix)
            store.move(incoming, path)
            self._record.put(replace(new, place="history", path=path))
            return Placed("kept_in_history", new.size)
        self._record.put(new)
        old = current if current is not None and current.snapshot_id != new.snapshot_id else None
        if old is not None and self._settings.history > 1 and store.size(old.path) is not None:
            store.move(old.path, _history_of(old))
        store.move(incoming, new.path)
        self._taken_over(store, old, new)
        return Placed("stored", new.size)

    def _taken_over(self, store: Store, old: Held | None, new: Held) -> None:
        """Record that a file is in its place, and what has become of the one before."""
        kept = old is not None and self._settings.history > 1 and store.size(_history_of(old)) is not None
        history = replace(old, place="history", path=_history_of(old)) if old is not None and kept else None
        self._record.replace(history, replace(new, place="current"))
        if old is not None and old.path != new.path:
            # The coding was changed: the old file stands beside the new one.
            store.remove(old.path)

    def _settle(self, store: Store, incoming: Held) -> None:
        """Find out whether the rename of a dead run has happened."""
        there = store.size(incoming.path) == incoming.size
        if there and digest_of(store, incoming.path) == (incoming.size, incoming.sha256):
            self._taken_over(store, self._record.current(incoming.document_id), incoming)
        else:
            self._record.forget(incoming.snapshot_id)

    def _adopt(self, store: Store, document_id: str, created: str) -> Held | None:
        """Find a file that the record does not know: written by the original, or before the record was lost."""
        months = layout.months_around(layout.moment_of(created), self._settings.time_zone)
        for month in months:
            for suffix in dict.fromkeys((self._coder.suffix, coding.XML)):
                path = layout.path_of(month, document_id, suffix)
                if store.size(path) is None:
                    continue
                try:
                    return self.adopt_file(store, path, month)
                except DamagedError:
                    # A short file of a broken transfer, as the original leaves them: kept, but out of the way.
                    store.move(path, layout.damaged_path(path))
        return None


def _history_of(held: Held) -> str:
    return layout.history_path(held.month, held.snapshot_id, coding.suffix_of(held.path) or coding.XML)


def _sha256(file: BinaryIO) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def _read_back(store: Store, path: str, new: Held) -> None:
    if digest_of(store, path) != (new.size, new.sha256):
        raise StorageError(
            f"The backup space gave back other bytes than were written for {new.snapshot_id}.",
            resolve="Check the server's disk and its transfer mode; the next run tries again.",
        )


def _try_remove(store: Store, path: str) -> None:
    """Tidy up after a failure that is reported already; a file that stays is found by the next run's sweep."""
    try:
        store.remove(path)
    except StorageError:
        return
