"""Looks at an instance and its backup space from outside, and says whether the promise was kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archival_pipeline.imixs import service
from archival_pipeline.imixs.documents import Document, Reader, split_snapshot_id
from archival_pipeline_tests.support.imixs.scene import MONTH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archival_pipeline_tests.support.imixs.scene import Scene


def document_in(content: bytes) -> Document:
    """The document of a file; damaged ones raise."""
    reader = Reader(in_data=False)
    reader.feed(content)
    found = reader.close()
    assert found.damaged_attachments == []
    return found


def assert_nothing_lost(scene: Scene, saved: Mapping[str, str]) -> None:
    """Every snapshot is queued still and in the instance, or stands whole in its file; and no file is damaged.

    Args:
        scene: where to look.
        saved: newest snapshot of each document.
    """
    queued = {ref for _, _, ref in scene.instance.entries()} & set(scene.instance.ids())
    files = set(scene.names(MONTH))
    for name in files:
        document = document_in(scene.read(f"{MONTH}/{name}"))
        assert name == f"{split_snapshot_id(document.first('$uniqueid') or '')[0]}.xml"
    for document_id, snapshot in saved.items():
        if snapshot not in queued:
            assert f"{document_id}.xml" in files, f"{snapshot} is neither queued nor stored"
            found = document_in(scene.read(f"{MONTH}/{document_id}.xml"))
            assert found.first("$uniqueid") == snapshot


def assert_settled(scene: Scene, saved: Mapping[str, str], **keeping: Any) -> None:
    """All is stored, nothing waits, nothing is locked, and the record agrees with the files.

    Args:
        scene: where to look.
        saved: newest snapshot of each document.
        keeping: settings of how files are kept.
    """
    assert scene.instance.entries() == []
    assert scene.locks() == set()
    assert_nothing_lost(scene, saved)
    report = service.verify(scene.settings(**keeping))
    assert report.is_good, report.problems
    assert report.numbers["verified"] == sum(len(scene.files(document)) for document in saved)
    assert report.numbers["adopted"] == 0
    assert scene.names(".archival/incoming/files/new") == []
