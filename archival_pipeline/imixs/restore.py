"""Brings files back into an instance. Newer data of the instance is never overwritten unless that is forced.

A document that has the snapshot already is passed over, so a run that was cut off is taken up by starting it again.
What is restored is decided by the files themselves: a restore works from the space alone, the record only spares it
work.  Between the look at the instance
and the call that restores there is a moment; the interface has nothing that would close it.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from archival_pipeline.errors import ArchivalError, ConfigurationError
from archival_pipeline.imixs import coding, layout
from archival_pipeline.imixs.documents import ALWAYS, split_snapshot_id
from archival_pipeline.imixs.envelope import RESTORED, marked
from archival_pipeline.imixs.failures import DamagedError, LoginError
from archival_pipeline.imixs.lanes import in_lanes
from archival_pipeline.imixs.manifests import read_manifest
from archival_pipeline.imixs.results import Report

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterator, Mapping

    from archival_pipeline.imixs.client import WorkflowClient
    from archival_pipeline.imixs.documents import Document
    from archival_pipeline.imixs.placing import Placing
    from archival_pipeline.imixs.storage.opening import StorePool
    from archival_pipeline.imixs.storage.store import Store
    from archival_pipeline.settings_imixs import KeepingSettings

_PAGE = 100
_HOPELESS = 10
_ITEMS = frozenset({"$uniqueid", "$snapshotid", "$modified"})


@dataclass(frozen=True, slots=True)
class Wish:
    """Which documents to bring back, and how.

    Attributes:
        since: snapshots made at this moment or later.
        until: snapshots made before this moment.
        filters: item name to regular expression; every value must match somewhere, an absent item passes.
        document_id: this document only.
        snapshot_id: this snapshot only, from the history if it stands there.
        dry_run: only look.
        force: overwrite newer data, too.
    """

    since: datetime | None = None
    until: datetime | None = None
    filters: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    document_id: str | None = None
    snapshot_id: str | None = None
    dry_run: bool = False
    force: bool = False

    def takes_time(self, snapshot_id: str) -> bool:
        """Whether a snapshot was made in the range."""
        made = datetime.fromtimestamp(split_snapshot_id(snapshot_id)[1] / 1000, UTC)
        return (self.since is None or made >= self.since) and (self.until is None or made < self.until)

    def takes_items(self, document: Document) -> bool:
        """Whether the items match."""
        return all(
            pattern.search(value) for name, pattern in self.filters.items() for value in document.items.get(name, [])
        )


class Restore:
    """One way back."""

    def __init__(
        self,
        client: WorkflowClient,
        stores: StorePool,
        placing: Placing,
        settings: KeepingSettings,
        *,
        wish: Wish,
        known: Mapping[str, str],
        clock: Callable[[], datetime],
    ) -> None:
        """Prepare.

        Args:
            client: the instance to restore into.
            stores: the space.
            placing: opens files.
            settings: how files are kept.
            wish: what to bring back.
            known: snapshot of each path as far as the record has it; spares reading what is not asked for.
            clock: the time, with a zone.
        """
        self._known = known
        self._client, self._stores, self._placing = client, stores, placing
        self._settings, self._wish, self._clock = settings, wish, clock
        self.report = Report()

    def run(self, progress: Callable[[Report], None]) -> Report:
        """Bring back what the wish names."""
        failures = 0
        with closing(in_lanes(self._paths(), self._one, self._settings.lanes)) as looks:
            for number, (name, problem) in enumerate(looks, start=1):
                self.report.count("files")
                if problem is None:
                    self.report.count(name)
                    failures = 0
                else:
                    self.report.failed(*problem)
                    # A bad file says nothing about the next one; a server that fails does.
                    failures += not isinstance(problem[1], DamagedError)
                    if failures >= _HOPELESS or isinstance(problem[1], LoginError):
                        raise problem[1]
                if number % _PAGE == 0:
                    progress(self.report)
        progress(self.report)
        return self.report

    def _paths(self) -> Iterator[tuple[str, dict[str, Any] | None]]:
        """Files to look at, with what the manifest says about each."""
        with self._stores.lent() as store:
            months = list(layout.months_in(store))
        for month in months:
            with self._stores.lent() as store:
                listed = read_manifest(store, month)
                found = list(self._of_month(store, month))
            for path in found:
                yield path, listed.get(path)

    def _of_month(self, store: Store, month: str) -> Iterator[str]:
        wish = self._wish
        if wish.snapshot_id is not None:
            document_id = split_snapshot_id(wish.snapshot_id)[0]
            folder = f"{layout.OWN}/history/{month}/{document_id}"
            yield from (f"{folder}/{name}" for name in store.names(folder) if name.startswith(wish.snapshot_id))
        for name in store.names(month):
            suffix = coding.suffix_of(name)
            if suffix is None:
                self.report.note(f"{month}/{name}", "IMIXS_STRANGER", "Not a backup file; passed over.")
                self.report.count("strangers")
            elif self._wish_names(name.removesuffix(suffix)):
                yield f"{month}/{name}"

    def _wish_names(self, document_id: str) -> bool:
        wish = self._wish
        wanted = split_snapshot_id(wish.snapshot_id)[0] if wish.snapshot_id else wish.document_id
        return wanted is None or wanted == document_id

    def _one(self, found: tuple[str, dict[str, Any] | None]) -> tuple[str, tuple[str, ArchivalError] | None]:
        path, listed = found
        with self._stores.lent() as store:
            try:
                known = self._known.get(path)
                if known is not None and not self._takes(known):
                    return "not_asked_for", None
                return self._from_file(store, path, listed or {}), None
            except ConfigurationError:
                raise
            except ArchivalError as error:
                return "", (path, error)

    def _takes(self, snapshot_id: str) -> bool:
        if self._wish.snapshot_id is not None and self._wish.snapshot_id != snapshot_id:
            return False
        return self._wish.takes_time(snapshot_id)

    def _from_file(self, store: Store, path: str, listed: Mapping[str, Any]) -> str:
        wanted = ALWAYS | {RESTORED} | frozenset(self._wish.filters)
        with coding.spool(self._settings.spool_path) as xml:
            opened = self._placing.open(store, path, xml, wanted)
            document = opened.document
            snapshot_id = document.first("$uniqueid") or ""
            # A manifest may be a little older than its file: only about the same snapshot its word counts.
            if listed.get("snapshot") == snapshot_id and listed.get("xmlSha256") not in {None, opened.xml_sha256}:
                raise DamagedError("The file is not the one in the manifest.", resolve="Take an older snapshot.")
            if not self._takes(snapshot_id) or not self._wish.takes_items(document):
                return "not_asked_for"
            standing = self._standing(snapshot_id, document)
            if standing is not None:
                return standing
            if self._wish.dry_run:
                return "would_restore"
            # A body that is sent in pieces cannot be sent again after a login page.
            self._client.log_in()
            self._client.restore(marked(xml, document, self._clock()))
        return "restored"

    def _standing(self, snapshot_id: str, document: Document) -> str | None:
        """Why a document is left as the instance has it; None if it may be restored."""
        document_id, millis = split_snapshot_id(snapshot_id)
        there = self._client.items(document_id, _ITEMS)
        if there is None:
            return None
        own = there.get("$snapshotid")
        if own == snapshot_id:
            return "already_there"
        if self._wish.force:
            return None
        if own and split_snapshot_id(own)[1] > millis:
            return "newer_in_instance"
        changed, stored = there.get("$modified"), document.first("$modified")
        if changed is None or stored is None or layout.moment_of(changed) > layout.moment_of(stored):
            return "newer_in_instance"
        return None
