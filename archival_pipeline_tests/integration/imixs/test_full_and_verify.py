"""The walk over all documents, and the look at all files."""

from __future__ import annotations

import hashlib
from io import BytesIO
from typing import TYPE_CHECKING

import pyrage
import pytest

from archival_pipeline.errors import ConfigurationError
from archival_pipeline.imixs import metrics, service
from archival_pipeline.imixs.failures import NothingReadableError, PollerBusyError
from archival_pipeline.imixs.record import Record
from archival_pipeline.imixs.requests import parse_restore
from archival_pipeline.imixs.storage.opening import open_store
from archival_pipeline_tests.support.imixs.scene import CREATED, MONTH, Scene, document_id

if TYPE_CHECKING:
    from pathlib import Path


def put_file(scene: Scene, path: str, content: bytes) -> None:
    store = open_store(scene.space)
    store.write(path, BytesIO(content))
    store.close()


def test_instance_with_exactly_one_document_is_backed_up(scene: Scene) -> None:
    scene.instance.save(document_id(), created=CREATED)
    assert service.full_backup(scene.settings()).numbers["stored"] == 1


@pytest.mark.slow
def test_more_documents_than_a_page_created_in_one_second(scene: Scene) -> None:
    for number in range(205):
        scene.instance.save(document_id(number), created=CREATED)
    report = service.full_backup(scene.settings())
    assert report.numbers["documents_seen"] == report.numbers["stored"] == 205
    assert len(scene.names(MONTH)) == 205
    # The queue is left as it is: nothing was put into it, nothing taken.
    assert len(scene.instance.entries()) == 205
    assert service.full_backup(scene.settings()).numbers["already_held"] == 205


def test_missing_and_short_files_are_repaired(scene: Scene) -> None:
    names = [document_id(number) for number in range(3)]
    for name in names:
        scene.instance.save(name, created=CREATED)
    service.backup(scene.settings())
    paths = [f"{MONTH}/{name}.xml" for name in names]
    good = [scene.read(path) for path in paths]
    store = open_store(scene.space)
    store.remove(paths[0])
    store.close()
    put_file(scene, paths[1], good[1][:100])
    assert service.full_backup(scene.settings()).numbers["stored"] == 2
    assert [scene.read(path) for path in paths] == good


def test_empty_listing_is_not_taken_for_an_empty_instance(scene: Scene) -> None:
    with pytest.raises(NothingReadableError):
        service.full_backup(scene.settings())


def test_file_with_a_flipped_byte_is_found_and_written_anew(scene: Scene) -> None:
    name = document_id()
    scene.instance.save(name, {"state": "good"}, {"a": b"0" * 100}, CREATED)
    service.backup(scene.settings())
    path = f"{MONTH}/{name}.xml"
    good = scene.read(path)
    put_file(scene, path, good.replace(b">good<", b">bad!<"))
    report = service.verify(scene.settings())
    assert not report.is_good
    assert [problem.what for problem in report.problems] == [path]
    assert scene.files(name)[0].state == "damaged"
    assert service.full_backup(scene.settings()).numbers["stored"] == 1
    assert scene.read(path) == good
    assert service.verify(scene.settings()).is_good


def test_missing_file_of_a_snapshot_that_the_database_has_not_is_loud(scene: Scene) -> None:
    scene.instance.configure(archive=True)
    snapshot = scene.instance.save(document_id(), created=CREATED)
    scene.instance.archive_sync()
    service.backup(scene.settings(BACKUP_FROM_ARCHIVE=True, BACKUP_REMOVE_SNAPSHOTS=True))
    store = open_store(scene.space)
    store.remove(f"{MONTH}/{document_id()}.xml")
    report = service.full_backup(scene.settings())
    assert [problem.what for problem in report.problems] == [snapshot]


def test_missing_file_is_found(scene: Scene) -> None:
    name = document_id()
    scene.instance.save(name, created=CREATED)
    service.backup(scene.settings())
    store = open_store(scene.space)
    store.remove(f"{MONTH}/{name}.xml")
    store.close()
    assert not service.verify(scene.settings()).is_good
    assert scene.files(name)[0].state == "missing"


def test_sample_looks_at_each_file_in_turn(scene: Scene) -> None:
    for number in range(4):
        scene.instance.save(document_id(number), created=CREATED)
    service.backup(scene.settings())
    assert service.verify(scene.settings(), limit=3).numbers["verified"] == 3
    with Record.open(scene.database, open_store(scene.space).name) as record:
        first = record.files(limit=1)[0].snapshot_id
    assert service.verify(scene.settings(), limit=1).numbers["verified"] == 1
    with Record.open(scene.database, open_store(scene.space).name) as record:
        assert record.files(limit=1)[0].snapshot_id != first


def test_space_of_the_original_comes_into_the_record(scene: Scene) -> None:
    name = document_id()
    scene.instance.save(name, created=CREATED)
    service.backup(scene.settings())
    snapshot = scene.files(name)[0].snapshot_id
    with Record.open(scene.database, open_store(scene.space).name) as record:
        record.forget(snapshot)
    put_file(scene, ".archival/incoming/files/new/left.part", b"half a file")
    report = service.verify(scene.settings())
    assert (report.numbers["adopted"], report.numbers["swept"]) == (1, 1)
    assert scene.files(name)[0].snapshot_id == snapshot


def test_attachment_damaged_in_the_instance_is_stored_and_named(scene: Scene) -> None:
    name = document_id()
    scene.instance.save(name, files={"a.bin": b"AAAAAAAAAAAA", "b.bin": b"whole"}, created=CREATED)
    # Every answer has the same wrong content: it is the instance that is damaged.
    scene.instance.fault(f"GET .*documents/{name}-", "flip", times=10)
    report = service.backup(scene.settings())
    assert report.is_good
    assert report.numbers["damaged_at_source"] == 1
    assert scene.files(name)[0].damaged_at_source == ["a.bin"]
    assert service.verify(scene.settings()).is_good


def test_attachment_damaged_on_its_way_is_fetched_again(scene: Scene) -> None:
    name = document_id()
    scene.instance.save(name, files={"a.bin": b"AAAAAAAAAAAA"}, created=CREATED)
    scene.instance.fault(f"GET .*documents/{name}-", "flip", times=1)
    report = service.backup(scene.settings())
    assert report.numbers["damaged_at_source"] == 0
    assert scene.files(name)[0].damaged_at_source == []
    assert b"QUFBQUFBQUFBQUFB" in scene.read(f"{MONTH}/{name}.xml")


def test_sealed_files_need_the_public_half_only(scene: Scene, tmp_path: Path) -> None:
    identity = pyrage.x25519.Identity.generate()
    key = tmp_path / "key.txt"
    key.write_text(f"# created: today\n{identity}\n", encoding="utf-8")
    name = document_id()
    scene.instance.save(name, {"secret": "nobody reads this"}, created=CREATED)
    sealed = {"BACKUP_ENCRYPTION_RECIPIENTS": str(identity.to_public()), "BACKUP_COMPRESSION": "zstd"}
    service.backup(scene.settings(**sealed))
    stored = scene.read(f"{MONTH}/{name}.xml.zst.age")
    assert stored.startswith(b"age-encryption.org/v1")
    report = service.verify(scene.settings(**sealed))
    assert report.is_good
    assert report.numbers["verified_sealed"] == 1
    opened = sealed | {"BACKUP_ENCRYPTION_IDENTITY_PATH": key}
    assert service.verify(scene.settings(**opened)).numbers["verified_sealed"] == 0
    with pytest.raises(ConfigurationError, match="IDENTITY_PATH"):
        service.restore(scene.settings(**sealed), parse_restore({}))
    scene.instance.empty()
    assert service.restore(scene.settings(**opened), parse_restore({})).numbers["restored"] == 1
    assert hashlib.sha256(stored).hexdigest() == scene.files(name)[0].sha256


def test_change_of_the_coding_leaves_one_file_per_document(scene: Scene) -> None:
    name = document_id()
    scene.instance.save(name, created=CREATED)
    service.backup(scene.settings())
    scene.instance.save(name)
    service.backup(scene.settings(BACKUP_COMPRESSION="gzip"))
    assert scene.names(MONTH) == [f"{name}.xml.gz"]


def test_two_processes_never_work_on_one_space(scene: Scene) -> None:
    with (
        Record.open(scene.database, open_store(scene.space).name),
        pytest.raises(PollerBusyError),
    ):
        service.backup(scene.settings())


def test_metrics_count_over_runs(scene: Scene) -> None:
    for number in range(2):
        scene.instance.save(document_id(number), created=CREATED)
        service.backup(scene.settings())
    text = metrics.render(service.status(scene.settings()), service.waiting(scene.settings()))
    assert "imixs_space_documents 2.0" in text
    assert 'imixs_numbers_total{number="stored",operation="backup"} 2.0' in text
    assert "imixs_queue_length 0.0" in text
