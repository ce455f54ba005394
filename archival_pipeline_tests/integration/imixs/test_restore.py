"""The way back: what is restored, what is left alone, what is passed over."""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest

from archival_pipeline.errors import RequestError
from archival_pipeline.imixs import service
from archival_pipeline.imixs.requests import parse_restore
from archival_pipeline.imixs.storage.opening import open_store
from archival_pipeline_tests.support.imixs.scene import CREATED, MONTH, Scene, document_id

if TYPE_CHECKING:
    from archival_pipeline.imixs.results import Report

# What the engine changes on the way: it keeps the mark of a restore on the snapshot.
MARK = re.compile(rb'<item name="\$backuprestore">.*?</item>')


def restore(scene: Scene, keeping: dict[str, Any] | None = None, **request: Any) -> Report:
    return service.restore(scene.settings(**(keeping or {})), parse_restore(request))


def put_file(scene: Scene, path: str, content: bytes) -> None:
    store = open_store(scene.space)
    store.write(path, BytesIO(content))
    store.close()


@pytest.mark.parametrize(
    "compression",
    ["none", pytest.param("gzip", marks=pytest.mark.slow), pytest.param("zstd", marks=pytest.mark.slow)],
)
def test_backup_restore_into_an_empty_instance_backup_is_byte_equal(scene: Scene, compression: str) -> None:
    keeping = {"BACKUP_COMPRESSION": compression}
    suffix = {"none": "", "gzip": ".gz", "zstd": ".zst"}[compression]
    names = [document_id(number) for number in range(4)]
    for number, name in enumerate(names):
        scene.instance.save(name, {"txt": "ü<&>" * number}, {"a.bin": bytes(range(256)) * 20, "b": b""}, CREATED)
    service.full_backup(scene.settings(**keeping))
    before = {name: scene.files(name)[0] for name in names}
    plain = {name: scene.read(before[name].path) for name in names}
    scene.instance.empty()

    report = restore(scene, keeping)
    assert report.numbers["restored"] == 4
    assert report.is_good
    assert scene.instance.entries() == []
    for name in names:
        found = scene.instance.document(name)
        assert found is not None
        assert found["$snapshotid"] == [["xs:string", before[name].snapshot_id]]

    # Into a space of its own, without any record of the first one.
    store = open_store(scene.space)
    for name in names:
        store.remove(before[name].path)
    store.close()
    service.full_backup(scene.settings(**keeping))
    for name in names:
        path = f"{MONTH}/{name}.xml{suffix}"
        [again] = scene.files(name)
        assert (again.path, again.snapshot_id) == (path, before[name].snapshot_id)
        if compression == "none":
            assert MARK.sub(b"", scene.read(path)) == plain[name]
            assert scene.read(path) != plain[name]


def test_dry_run_changes_nothing(scene: Scene) -> None:
    scene.instance.save(document_id(), created=CREATED)
    service.backup(scene.settings())
    scene.instance.empty()
    report = restore(scene, dryRun=True)
    assert report.numbers["would_restore"] == 1
    assert scene.instance.ids() == []


def test_repeated_restore_finds_everything_there(scene: Scene) -> None:
    scene.instance.save(document_id(), created=CREATED)
    service.backup(scene.settings())
    scene.instance.empty()
    assert restore(scene).numbers["restored"] == 1
    assert restore(scene).numbers["already_there"] == 1


def test_newer_data_is_never_overwritten_without_force(scene: Scene) -> None:
    name = document_id()
    old = scene.instance.save(name, {"state": "old"}, created=CREATED)
    service.backup(scene.settings())
    scene.instance.save(name, {"state": "new"})
    assert restore(scene).numbers["newer_in_instance"] == 1
    found = scene.instance.document(name)
    assert found is not None
    assert found["state"] == [["xs:string", "new"]]
    assert restore(scene, force=True).numbers["restored"] == 1
    found = scene.instance.document(name)
    assert found is not None
    assert found["state"] == [["xs:string", "old"]]
    assert found["$snapshotid"] == [["xs:string", old]]


def test_older_data_of_the_instance_is_brought_forward(scene: Scene) -> None:
    name = document_id()
    scene.instance.configure(history=0)
    old = scene.instance.save(name, {"state": "old"}, created=CREATED)
    original = scene.instance.http.get(f"/api/documents/{old}", auth=("backup", "s3cret&+%")).content
    scene.instance.save(name, {"state": "new"})
    service.backup(scene.settings())
    scene.instance.empty()
    document = original.partition(b"<data>")[2].removesuffix(b"</data>")
    scene.instance.http.post("/api/snapshot/", content=document, auth=("backup", "s3cret&+%")).raise_for_status()
    # The restore by hand has set $modified to now, which is later than the backup: only force goes on.
    assert restore(scene).numbers["newer_in_instance"] == 1
    assert restore(scene, force=True).numbers["restored"] == 1


def test_single_document(scene: Scene) -> None:
    for number in range(3):
        scene.instance.save(document_id(number), created=CREATED)
    service.backup(scene.settings())
    scene.instance.empty()
    assert restore(scene, documentId=document_id(1)).numbers["restored"] == 1
    assert document_id(1) in scene.instance.ids()
    assert document_id(0) not in scene.instance.ids()


def test_snapshot_of_the_history(scene: Scene) -> None:
    name = document_id()
    scene.instance.configure(history=0)
    snapshots = [scene.instance.save(name, {"state": str(number)}, created=CREATED) for number in range(3)]
    service.backup(scene.settings(BACKUP_HISTORY=3))
    scene.instance.empty()
    report = restore(scene, {"BACKUP_HISTORY": 3}, snapshotId=snapshots[1])
    assert report.numbers["restored"] == 1
    found = scene.instance.document(name)
    assert found is not None
    assert found["state"] == [["xs:string", "1"]]


def test_range_is_of_the_moments_at_which_the_snapshots_were_made(scene: Scene) -> None:
    from datetime import UTC, datetime, timedelta

    snapshots = [scene.instance.save(document_id(number), created=CREATED) for number in range(3)]
    service.backup(scene.settings())
    scene.instance.empty()
    made = [datetime.fromtimestamp(int(snapshot.rpartition("-")[2]) / 1000, UTC) for snapshot in snapshots]
    report = restore(scene, since=made[1].isoformat(), until=(made[1] + timedelta(milliseconds=1)).isoformat())
    assert report.numbers["restored"] == 1
    assert report.numbers["not_asked_for"] == 2
    assert document_id(1) in scene.instance.ids()


def test_filter_finds_in_every_value_and_lets_absent_items_pass(scene: Scene) -> None:
    scene.instance.save(document_id(1), {"group": "Invoice 2026"}, created=CREATED)
    scene.instance.save(document_id(2), {"group": "Order"}, created=CREATED)
    scene.instance.save(document_id(3), {}, created=CREATED)
    service.backup(scene.settings())
    scene.instance.empty()
    report = restore(scene, filters=[{"item": "group", "pattern": "^Inv"}])
    assert report.numbers["restored"] == 2
    assert document_id(2) not in scene.instance.ids()


@pytest.mark.parametrize(
    "content",
    [b"", b"not xml", b"<data><document/></data>", b'<?xml version="1.0"?><document><item name="a">', b"<document/>"],
    ids=["empty", "text", "data root", "cut short", "no items"],
)
def test_bad_file_is_reported_and_passed_over(scene: Scene, content: bytes) -> None:
    scene.instance.save(document_id(1), created=CREATED)
    service.backup(scene.settings())
    put_file(scene, f"{MONTH}/{document_id(0)}.xml", content)
    put_file(scene, f"{MONTH}/readme.txt", b"stranger")
    scene.instance.empty()
    report = restore(scene)
    assert report.numbers["restored"] == 1
    assert report.numbers["failed"] == 1
    assert report.numbers["strangers"] == 1
    assert f"{MONTH}/{document_id(0)}.xml" in {problem.what for problem in report.problems}


def test_file_that_is_not_the_one_of_the_manifest_is_refused(scene: Scene) -> None:
    name = document_id()
    scene.instance.save(name, {"state": "true"}, created=CREATED)
    service.backup(scene.settings())
    path = f"{MONTH}/{name}.xml"
    put_file(scene, path, scene.read(path).replace(b">true<", b">lies<"))
    scene.instance.empty()
    report = restore(scene)
    assert report.numbers["failed"] == 1
    assert scene.instance.ids() == []


def test_restored_snapshot_carries_one_mark_however_often(scene: Scene) -> None:
    name = document_id()
    scene.instance.configure(archive=True)
    snapshot = scene.instance.save(name, created=CREATED)
    scene.instance.archive_sync()
    service.backup(scene.settings())
    for _ in range(2):
        scene.instance.empty()
        assert restore(scene).numbers["restored"] == 1
        # In this mode a restore queues the snapshot for the archive; the mark keeps it from being backed up again.
        scene.instance.archive_sync()
        assert scene.instance.entries() == []
        service.full_backup(scene.settings())
    found = scene.instance.document(snapshot)
    assert found is not None
    assert len(found["$backuprestore"]) == 1
    assert scene.read(f"{MONTH}/{name}.xml").count(b"$backuprestore") <= 1


@pytest.mark.parametrize(
    "request_",
    [
        {"since": "yesterday"},
        {"since": "2026-01-01T00:00:00"},
        {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"},
        {"filters": [{"item": "a", "pattern": "("}]},
        {"snapshotId": "none"},
        {"unknown": 1},
    ],
)
def test_bad_requests_are_refused_by_name(request_: dict[str, Any]) -> None:
    with pytest.raises(RequestError) as refused:
        parse_restore(request_)
    assert refused.value.field
