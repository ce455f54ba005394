"""What the engine does: documents, snapshots, event log, restore. Not here: HTTP (``server.py``)."""

from __future__ import annotations

import base64
import copy
import hashlib
import re
import threading
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from archival_pipeline_tests.support.imixs.wire import Items, text

if TYPE_CHECKING:
    from collections.abc import Callable

_ID = re.compile(r"[0-9a-f]{8}-.*|[0-9a-f]{11}-.*")
_WHERE = re.compile(r"SELECT document FROM Document AS document(?: WHERE (?P<where>.*?))?(?: ORDER BY (?P<order>.*))?")
_CONDITIONS: dict[str, Callable[[Items, str], bool]] = {
    r"document\.type NOT LIKE '(?P<value>[^%']*)%'": lambda items, value: not _text(items, "type").startswith(value),
    r"document\.type LIKE '(?P<value>[^%']*)%'": lambda items, value: _text(items, "type").startswith(value),
    r"SUBSTRING\(document\.type, 1, 9\) <> '(?P<value>[^']*)'": lambda items, value: _text(items, "type")[:9] != value,
    r"document\.id > '(?P<value>[^']*)'": lambda items, value: _text(items, "$uniqueid") > value,
    r"document\.id = '(?P<value>[^']*)'": lambda items, value: _text(items, "$uniqueid") == value,
}


class FailedError(Exception):
    """The engine answers with an error status."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(str(status))


@dataclass
class Entry:
    id: str
    topic: str
    ref: str
    created: str
    number: int
    data: Items = field(default_factory=dict)


def moment(millis: int) -> tuple[str, str]:
    instant = datetime.fromtimestamp(millis / 1000, UTC)
    return ("xs:dateTime", instant.isoformat(timespec="milliseconds").replace("+00:00", "Z"))


def _text(items: Items, name: str) -> str:
    values = items.get(name)
    return str(values[0][1]) if values and values[0] is not None else ""


class Engine:
    """One workflow instance in memory."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.documents: dict[str, Items] = {}
        self.entries: list[Entry] = []
        self.history = 1
        self.archive = False
        self.now = 1_790_000_000_000
        self._numbers = 0

    def tick(self) -> int:
        self.now += 1000
        return self.now

    def save(self, items: Items, document_id: str, files: dict[str, bytes], created: int | None) -> str:
        """Save a document as the engine does: with a snapshot, its event, and the history trimmed."""
        now = self.tick()
        old = self.documents.get(document_id, {})
        stored = {**old, **items, "$uniqueid": [text(document_id)], "$modified": [moment(now)]}
        stored.setdefault("type", [text("workitem")])
        stored["$created"] = old.get("$created") or [moment(created or now)]
        snapshot_id = f"{document_id}-{now}"
        stored["$snapshotid"] = [text(snapshot_id)]
        snapshot = copy.deepcopy(stored)
        snapshot |= {"$uniqueid": [text(snapshot_id)], "type": [text("snapshot-" + _text(stored, "type"))]}
        snapshot |= {"$noindex": [("xs:boolean", "true")], "$immutable": [("xs:boolean", "true")]}
        attached = self._attached(old, files, now)
        if attached:
            snapshot["$file"] = [attached]
            stored["$file"] = [_emptied(attached)]
            for which in (snapshot, stored):
                which["$file.count"] = [("xs:int", str(len(attached)))]
                which["$file.names"] = [text(name) for name in sorted(attached)]
        self.documents[document_id] = stored
        self.documents[snapshot_id] = snapshot
        self._trim(document_id)
        self.put("snapshot.add" if self.archive else "snapshot.backup", snapshot_id, {})
        return snapshot_id

    def _attached(self, old: Items, files: dict[str, bytes], now: int) -> Items:
        previous = self.documents.get(_text(old, "$snapshotid"), {}).get("$file", [{}])[0]
        return {**copy.deepcopy(previous), **{name: _file(content, now) for name, content in files.items()}}

    def _trim(self, document_id: str) -> None:
        if self.history:
            for old in self.snapshots(document_id)[: -self.history]:
                del self.documents[old]

    def snapshots(self, document_id: str) -> list[str]:
        return sorted(name for name in self.documents if re.fullmatch(re.escape(document_id) + r"-\d{10,}", name))

    def archive_sync(self, mirrors: list[str]) -> None:
        """What the archive service does between the two events."""
        for entry in [entry for entry in self.entries if entry.topic == "snapshot.add"]:
            self.entries.remove(entry)
            if "$backuprestore" not in self.documents.get(entry.ref, {}):
                for topic in ("snapshot.backup", *(f"snapshot.backup.{name}" for name in mirrors)):
                    self.put(topic, entry.ref, {})

    def get(self, document_id: str, user: str, *, manager: bool, names: list[str] | None) -> Items:
        if not _ID.fullmatch(document_id) or document_id not in self.documents:
            raise FailedError(404)
        items = self.documents[document_id]
        readers = [value[1] for value in items.get("$readaccess", []) if value]
        if readers and user not in readers and not manager:
            raise FailedError(404)
        return answered(items, names)

    def query(self, jpql: str) -> list[Items]:
        """A query that cannot be understood finds nothing, with status 200."""
        found = _WHERE.fullmatch(jpql)
        if found is None:
            return []
        documents = list(self.documents.values())
        for condition in (found["where"] or "").split(" AND ") if found["where"] else []:
            matched = next(
                ((test, m) for pattern, test in _CONDITIONS.items() if (m := re.fullmatch(pattern, condition))), None
            )
            if matched is None:
                return []
            documents = [items for items in documents if matched[0](items, matched[1]["value"])]
        key = "$created" if (found["order"] or "").startswith("document.created") else "$uniqueid"
        return sorted(documents, key=lambda items: _text(items, key))

    def delete(self, document_id: str) -> None:
        self.documents.pop(document_id, None)
        for snapshot in self.snapshots(document_id):
            del self.documents[snapshot]

    def restore(self, items: Items) -> Items:
        """Take a snapshot back: nothing is validated, and a newer origin is replaced as well."""
        snapshot_id = _text(items, "$uniqueid")
        document_id = snapshot_id.rpartition("-")[0]
        self.documents.setdefault(snapshot_id, copy.deepcopy(items))
        origin = copy.deepcopy(items)
        for name in ("$noindex", "$immutable", "$version", "$backuprestore"):
            origin.pop(name, None)
        origin["$uniqueid"] = [text(document_id)]
        origin["type"] = [text(_text(items, "type").removeprefix("snapshot-"))]
        origin["$snapshotid"] = [text(snapshot_id)]
        origin["$modified"] = [moment(self.tick())]
        if "$file" in origin:
            origin["$file"] = [_emptied(origin["$file"][0])]
        self.documents[document_id] = origin
        if self.archive:
            self.put("snapshot.add", snapshot_id, {})
        return origin

    def put(self, topic: str, ref: str, payload: Items) -> None:
        if not ref:
            return
        self._numbers += 1
        lower = {name.lower(): values for name, values in payload.items()}
        self.entries.append(Entry(str(uuid.uuid4()), topic, ref, moment(self.now)[1], self._numbers, lower))

    def listed(self, topics: list[str] | None, limit: int) -> list[Entry]:
        found = [entry for entry in self.entries if topics is None or entry.topic in topics]
        found.sort(key=lambda entry: (entry.created, entry.number))
        return found[:limit] if limit else found

    def entry(self, entry_id: str) -> Entry:
        for entry in self.entries:
            if entry.id == entry_id:
                return entry
        raise FailedError(500)

    def lock_entry(self, entry_id: str) -> None:
        """Excludes nobody: a locked entry is locked once more."""
        self.entry(entry_id).topic += ".lock"

    def unlock_entry(self, entry_id: str) -> None:
        entry = self.entry(entry_id)
        if not entry.topic.endswith(".lock"):
            raise FailedError(500)
        entry.topic = entry.topic.removesuffix(".lock")

    def release(self, topics: list[str]) -> None:
        """Deletes what it should free: the date of a lock was never stored."""
        names = [f"{topic}.lock" for topic in topics if topic]
        for entry in self.listed(names, 100):
            self.entries.remove(entry)


def answered(items: Items, names: list[str] | None) -> Items:
    chosen = items if names is None else {name: items.get(name, [None]) for name in names}
    added: dict[str, list[Any]] = {"$isauthor": [("xs:boolean", "true")], "$version": [("xs:int", "1")]}
    return {**chosen, **added, "$modified": items.get("$modified", [None])}


def _file(content: bytes, now: int) -> list[Any]:
    about: Items = {"size": [("xs:long", str(len(content)))], "$created": [moment(now)], "$creator": [text("manfred")]}
    if len(content) >= 2:
        about["md5checksum"] = [text(hashlib.md5(content, usedforsecurity=False).hexdigest().upper())]
    encoded = base64.b64encode(content).decode()
    return [text("application/octet-stream"), ("xs:base64Binary", encoded), about]


def _emptied(files: Items) -> Items:
    return {name: [values[0], ("xs:base64Binary", ""), *values[2:]] for name, values in files.items()}


def decoded_twice(path: str) -> str:
    """Engines before 6.2.8, and this one, decode a query twice; what cannot be decoded fails."""
    once = unquote(path)
    if re.search(r"%(?![0-9A-Fa-f]{2})", once):
        raise ValueError(path)
    return unquote(once)
