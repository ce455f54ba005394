"""The manifests: what stands in a month, with digests, beside the files; for a restore without our database."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from archival_pipeline.imixs import layout
from archival_pipeline.imixs.failures import StorageError
from archival_pipeline.imixs.storage.store import digest_of

if TYPE_CHECKING:
    from archival_pipeline.imixs.record import Held, Record
    from archival_pipeline.imixs.storage.store import Store

_VERSION = 1


def write_manifests(record: Record, store: Store, minutes: int) -> int:
    """Write the manifest of each month that has changed; return how many.

    Args:
        record: what is held.
        store: where to.
        minutes: a manifest younger than this is left for a later run.
    """
    months = record.months_behind(minutes)
    for month in months:
        files = sorted(record.files(month=month), key=lambda held: (held.document_id, held.snapshot_ms))
        _write(store, layout.manifest_path(month), month, files)
        record.manifest_written(month, [held.snapshot_id for held in files])
    return len(months)


def read_manifest(store: Store, month: str) -> dict[str, dict[str, Any]]:
    """Entries of a month's manifest by path; none if there is no manifest, or none that can be read."""
    path = layout.manifest_path(month)
    if store.size(path) is None:
        return {}
    pieces: list[bytes] = []
    store.read(path, pieces.append)
    try:
        found = json.loads(b"".join(pieces))
        return {entry["path"]: entry for entry in found["snapshots"]}
    except (ValueError, KeyError, TypeError):
        # It only saves work: a restore reads the files themselves.
        return {}


def _write(store: Store, path: str, month: str, files: list[Held]) -> None:
    content = json.dumps({"version": _VERSION, "month": month, "snapshots": [_entry(held) for held in files]}).encode()
    incoming = layout.incoming_path("manifest")
    store.write(incoming, io.BytesIO(content))
    if digest_of(store, incoming)[0] != len(content):
        raise StorageError(f"The manifest of {month} was not stored whole.", resolve="Check the backup space.")
    store.move(incoming, path)


def _entry(held: Held) -> dict[str, Any]:
    return {
        "path": held.path,
        "snapshot": held.snapshot_id,
        "place": held.place,
        "state": held.state,
        "size": held.size,
        "sha256": held.sha256,
        "xmlSha256": held.xml_sha256,
        "damagedAtSource": held.damaged_at_source,
    }
