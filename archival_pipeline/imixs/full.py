"""Walks over all documents of the instance and stores what is missing, older or damaged; needs no event log.

Pages are found by the last id seen, not by a date or a page number: nothing is passed over when documents come and go
meanwhile, or were created in the same second. A failing query comes back empty with status 200, so an empty page is
believed only after the last document has been found again. Not here: how one file is written (``placing.py``).
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from archival_pipeline.errors import ArchivalError, DatabaseError
from archival_pipeline.imixs.documents import split_snapshot_id
from archival_pipeline.imixs.failures import DamagedError, LoginError, NothingReadableError
from archival_pipeline.imixs.fetching import fetched
from archival_pipeline.imixs.lanes import in_lanes
from archival_pipeline.imixs.results import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from archival_pipeline.imixs.client import WorkflowClient
    from archival_pipeline.imixs.placing import Placing
    from archival_pipeline.imixs.record import Held
    from archival_pipeline.imixs.storage.opening import StorePool
    from archival_pipeline.imixs.storage.store import Store
    from archival_pipeline.settings_imixs import KeepingSettings

_PAGE = 100
_HOPELESS = 10
_ITEMS = frozenset({"$uniqueid", "$snapshotid"})
# Without a percent sign, whose encoding depends on the engine's release.
_QUERY = "SELECT document FROM Document AS document WHERE SUBSTRING(document.type, 1, 9) <> 'snapshot-'"
_AFTER = " AND document.id > '{}'"
_SAME = "SELECT document FROM Document AS document WHERE document.id = '{}'"
_ORDER = " ORDER BY document.id"


class FullBackup:
    """One walk over all documents."""

    def __init__(self, client: WorkflowClient, stores: StorePool, placing: Placing, settings: KeepingSettings) -> None:
        self._client, self._stores, self._placing, self._settings = client, stores, placing, settings
        self.report = Report()
        self.documents: list[str] = []

    def run(self, progress: Callable[[Report], None]) -> Report:
        """Look at every document."""
        failures = 0
        with closing(in_lanes(self._snapshots(), self._one, self._settings.lanes)) as looks:
            for number, (name, size, problem) in enumerate(looks, start=1):
                self.report.count(name)
                self.report.count("bytes_written", size)
                failures = failures + 1 if problem else 0
                if problem:
                    self.report.failed(*problem)
                    if failures >= _HOPELESS or isinstance(problem[1], LoginError):
                        raise problem[1]
                if number % _PAGE == 0:
                    progress(self.report)
        progress(self.report)
        return self.report

    def _snapshots(self) -> Iterator[str]:
        """The snapshot of each document, in the order of the documents' ids."""
        last = ""
        while True:
            page = self._client.query(_QUERY + (_AFTER.format(last) if last else "") + _ORDER, _PAGE, _ITEMS)
            if not page:
                self._believe_the_end(last)
                return
            for found in page:
                last = _plain(found.get("$uniqueid"))
                self.report.count("documents_seen")
                if found.get("$snapshotid"):
                    yield str(found["$snapshotid"])
                else:
                    self.report.count("without_snapshot")

    def _believe_the_end(self, last: str) -> None:
        """An empty page may be a query that failed."""
        if last and self._client.query(_SAME.format(last), 1, _ITEMS):
            return
        raise NothingReadableError(
            "The instance lists no document." if not last else f"The instance stopped listing after {last}.",
            resolve="It is empty, or the query failed (see its log), or the backup user lacks manager access.",
        )

    def _one(self, snapshot_id: str) -> tuple[str, int, tuple[str, ArchivalError] | None]:
        with self._stores.lent() as store:
            try:
                name, size = self._look(store, snapshot_id)
            except DatabaseError:
                raise
            except ArchivalError as error:
                return "looked_at", 0, (snapshot_id, error)
            return name, size, None

    def _look(self, store: Store, snapshot_id: str) -> tuple[str, int]:
        document_id, millis = split_snapshot_id(snapshot_id)
        held = self._placing.held(store, document_id)
        if held is not None and held.snapshot_ms >= millis and self._placing.is_there(store, held):
            return "already_held", 0
        with fetched(self._client, snapshot_id, self._settings.spool_path) as found:
            if found is None:
                self._miss(held, snapshot_id)
                return "snapshot_gone", 0
            placed = self._placing.place(store, found.answer, found.document, found.damaged)
        self.documents.append(document_id)
        return ("stored" if placed.outcome.startswith("stored") else "already_held"), placed.size

    def _miss(self, held: Held | None, snapshot_id: str) -> None:
        """The snapshot is not there: saved again or deleted since the page came, or removed from the database."""
        if held is None or held.snapshot_id != snapshot_id:
            return
        now = self._client.items(held.document_id, _ITEMS)
        if now is not None and now.get("$snapshotid") == snapshot_id:
            raise DamagedError(
                f"The file of {snapshot_id} is {held.state if held.state != 'good' else 'missing'}, and the instance "
                "does not have the snapshot any more.",
                resolve="Bring the file back from a mirror or an older copy of the space.",
            )


def _plain(document_id: str | None) -> str:
    """An id that can stand in a query."""
    if not document_id or "'" in document_id:
        raise NothingReadableError(f"{document_id!r} is no document id.", resolve="Look at the instance's documents.")
    return document_id
