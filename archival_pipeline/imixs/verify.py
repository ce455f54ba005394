"""Reads files back and holds them against the record: bytes, XML, attachments. Those not looked at for longest first.

Also takes files into the record that stand in the space without being known, and sweeps away what broken transfers
have left. A damaged or missing file is noted, so that the next full backup writes it anew.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from archival_pipeline.errors import ArchivalError, ConfigurationError, DatabaseError
from archival_pipeline.imixs import coding, layout
from archival_pipeline.imixs.failures import DamagedError, StorageError
from archival_pipeline.imixs.lanes import in_lanes
from archival_pipeline.imixs.results import Report
from archival_pipeline.imixs.storage.store import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from archival_pipeline.imixs.placing import Placing
    from archival_pipeline.imixs.record import Held, Record
    from archival_pipeline.imixs.storage.opening import StorePool
    from archival_pipeline.imixs.storage.store import Store
    from archival_pipeline.settings_imixs import KeepingSettings

_PAGE = 100


class Verification:
    """One look at a space."""

    def __init__(self, stores: StorePool, record: Record, placing: Placing, settings: KeepingSettings) -> None:
        self._stores, self._record, self._placing, self._settings = stores, record, placing, settings
        self.report = Report()

    def run(self, begun: datetime, limit: int | None, progress: Callable[[Report], None]) -> Report:
        """Read files back.

        Args:
            begun: now; a file that was verified later is not looked at twice.
            limit: look at so many files only; all of them if it is None.
            progress: called now and then.
        """
        if limit is None:
            with self._stores.lent() as store:
                self._adopt(store)
                self._sweep(store)
        with closing(in_lanes(self._due(begun, limit), self._look, self._settings.lanes)) as looks:
            for number, problem in enumerate(looks, start=1):
                self.report.count("verified")
                if problem is not None:
                    self.report.failed(*problem)
                if number % _PAGE == 0:
                    progress(self.report)
        progress(self.report)
        return self.report

    def _due(self, begun: datetime, limit: int | None) -> Iterator[Held]:
        """Files in pages; a page comes when the one before it is done, or nearly so, and has left the query."""
        seen: set[str] = set()
        while limit is None or len(seen) < limit:
            wanted = _PAGE if limit is None else min(_PAGE, limit - len(seen))
            # Some of the last page may be at work still: ask for so many more, and pass those over.
            page = self._record.files(before=begun, limit=wanted + self._settings.lanes + 1)
            fresh = [held for held in page if held.snapshot_id not in seen][:wanted]
            if not fresh:
                return
            seen |= {held.snapshot_id for held in fresh}
            yield from fresh

    def _look(self, held: Held) -> tuple[str, ArchivalError] | None:
        with self._stores.lent() as store:
            try:
                if store.size(held.path) is None:
                    self._record.seen_bad(held.snapshot_id, "missing")
                    return held.path, DamagedError("The file is missing.", resolve="Run a full backup.")
                self._check(store, held)
            except (DatabaseError, ConfigurationError):
                raise
            except DamagedError as error:
                self._record.seen_bad(held.snapshot_id, "damaged")
                return held.path, error
            except ArchivalError as error:
                return held.path, error
        self._record.seen_good(held.snapshot_id)
        return None

    def _check(self, store: Store, held: Held) -> None:
        if not self._placing.can_open and held.path.endswith(coding.AGE):
            # Sealed for somebody else: the bytes are the only thing to look at.
            if digest_of(store, held.path) != (held.size, held.sha256):
                raise _differs()
            self.report.count("verified_sealed")
            return
        with coding.spool(self._settings.spool_path) as xml:
            opened = self._placing.open(store, held.path, xml)
        if (opened.size, opened.sha256) != (held.size, held.sha256) or opened.xml_sha256 != held.xml_sha256:
            raise _differs()
        if opened.document.first("$uniqueid") != held.snapshot_id:
            raise _differs()
        if opened.document.damaged_attachments != held.damaged_at_source:
            raise _differs()
        self.report.count("bytes_read", opened.size)

    def _adopt(self, store: Store) -> None:
        """Take into the record what stands in the space and is not known."""
        for month in layout.months_in(store):
            known = {held.path for held in self._record.files(month=month)}
            for name in store.names(month):
                path = f"{month}/{name}"
                if path in known:
                    continue
                if coding.suffix_of(name) is None:
                    self.report.note(path, "IMIXS_STRANGER", "Not a backup file.")
                    self.report.count("strangers")
                    continue
                self._adopt_one(store, path, month)

    def _adopt_one(self, store: Store, path: str, month: str) -> None:
        document_id = path.rpartition("/")[2].removesuffix(coding.suffix_of(path) or "")
        if self._record.current(document_id) is not None:
            self.report.note(path, "IMIXS_STRANGER", "Another file of the same document is the current one.")
            self.report.count("strangers")
            return
        try:
            self._placing.adopt_file(store, path, month)
        except (DamagedError, StorageError) as error:
            self.report.failed(path, error)
        else:
            self.report.count("adopted")

    def _sweep(self, store: Store) -> None:
        """Delete what broken transfers have left; the lock of the space is ours, so nobody writes there now."""
        for name in store.names(layout.INCOMING):
            store.remove(f"{layout.INCOMING}/{name}")
            self.report.count("swept")


def _differs() -> DamagedError:
    return DamagedError("The file is not what was stored.", resolve="Run a full backup: it writes the file anew.")
