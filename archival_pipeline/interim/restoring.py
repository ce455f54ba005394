"""Puts interim data that was kept back where it was, and reads it there before it says so.

What is there already stays: the same content counts as restored, other content is reported and left alone. Not here:
how it was kept (``keeping.py``).
"""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from archival_pipeline.interim.archive import PIECE
from archival_pipeline.interim.keeping import without_token
from archival_pipeline.interim.sealing import spool

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from archival_pipeline.interim.archive import Archive, Entry
    from archival_pipeline.interim.file_store import FileStore
    from archival_pipeline.interim.outages import Patience
    from archival_pipeline.interim.redis_store import RedisStore

_OTHER = "there is something else by this name; it was left alone"
_NO_STORE = "its store is not configured"
_DIFFERS = "it did not read back as it was kept"


@dataclass(slots=True)
class RestoreReport:
    """What came back.

    Attributes:
        processes: processes with everything that was kept of them.
        nothing_kept: processes of which nothing was ever kept.
        restored: keys and files that came back, by store.
        already: keys and files that were there, by store.
        failed: why a key or file did not come back, by its name.
    """

    processes: int = 0
    nothing_kept: int = 0
    restored: dict[str, int] = field(default_factory=dict)
    already: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Restorer:
    """Everything that restoring needs.

    Attributes:
        archive: what was kept.
        redis: None when there is no Redis.
        files: None when there is no file store.
        patience: how often a store is tried.
    """

    archive: Archive
    redis: RedisStore | None
    files: FileStore | None
    patience: Patience

    def restore(self, process_ids: Sequence[str]) -> RestoreReport:
        """Put the data of processes back.

        Raises:
            StoreError: a store is down; what came back before it went down is there, and is counted next time.
            ArchivalError: what was kept is damaged, or cannot be decrypted.
        """
        report = RestoreReport()
        for process in dict.fromkeys(process_ids):
            entries = self.archive.entries([process])
            if not entries:
                report.nothing_kept += 1
                continue
            failed = len(report.failed)
            self._keys(process, [one for one in entries if one.store == "redis"], report)
            for entry in entries:
                if entry.store == "files":
                    self._file(entry, report)
            if len(report.failed) == failed:
                self.archive.mark_restored(process)
                report.processes += 1
        return report

    def _keys(self, process: str, entries: Sequence[Entry], report: RestoreReport) -> None:
        kept: dict[str, Any] = {}
        for entry in entries:
            with closing(spool()) as document:
                self.archive.read(entry, document)
                document.seek(0)
                # A later document knows a key better.
                kept |= {one["key"]: one for one in json.load(document)["keys"]}
        if not kept:
            return
        redis = self.redis
        if redis is None:
            report.failed |= dict.fromkeys(kept, _NO_STORE)
            return
        self.patience.trying(lambda: _put(redis, process, kept, report))

    def _file(self, entry: Entry, report: RestoreReport) -> None:
        files = self.files
        if files is None:
            report.failed[entry.name] = _NO_STORE
            return
        with closing(spool()) as content:
            self.archive.read(entry, content)
            digest = _digest(content)
            there = self.patience.trying(lambda: _digest_there(files, entry.name))
            if there is None:
                content.seek(0)
                self.patience.trying(lambda: files.write(entry.name, content))
                ok = self.patience.trying(lambda: _digest_there(files, entry.name)) == digest
                _note(report, "files", entry.name, None if ok else _DIFFERS)
            elif there == digest:
                report.already["files"] = report.already.get("files", 0) + 1
            else:
                report.failed[entry.name] = _OTHER


def _put(redis: RedisStore, process: str, kept: Mapping[str, Any], report: RestoreReport) -> None:
    """Write what is missing, the data before the sets that list it, and read all of it back."""
    there = redis.contents(list(kept))
    missing = {key: one["content"] for key, one in kept.items() if key not in there}
    same = [key for key in there if without_token(there[key]) == _sorted(kept[key]["content"])]
    redis.put(missing)
    ours = [*missing, *same]
    redis.list_again(process, ours, [key for key in ours if kept[key]["listed"]])
    back = redis.contents(list(missing))
    for key, content in missing.items():
        _note(report, "redis", key, None if back.get(key) == _sorted(content) else _DIFFERS)
    report.already["redis"] = report.already.get("redis", 0) + len(same)
    report.failed |= {key: _OTHER for key in there if key not in same}


def _sorted(content: Any) -> Any:
    """Members of a set have no order; everything else is as it is."""
    return sorted(content) if isinstance(content, list) else content


def _note(report: RestoreReport, store: str, name: str, wrong: str | None) -> None:
    if wrong is None:
        report.restored[store] = report.restored.get(store, 0) + 1
    else:
        report.failed[name] = wrong


def _digest(content: BinaryIO) -> str:
    content.seek(0)
    digest = hashlib.sha256()
    while piece := content.read(PIECE):
        digest.update(piece)
    return digest.hexdigest()


def _digest_there(files: FileStore, key: str) -> str | None:
    """Digest of a file in the store; None if there is none."""
    with closing(spool()) as content:
        return _digest(content) if files.read(key, content) else None
