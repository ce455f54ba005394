"""The event log worked off: what is stored, what is deleted from the queue, what stays."""

from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from archival_pipeline.imixs import service
from archival_pipeline.imixs.failures import NothingReadableError
from archival_pipeline.imixs.record import Record
from archival_pipeline.imixs.storage.opening import open_store
from archival_pipeline_tests.support.imixs import wire
from archival_pipeline_tests.support.imixs.scene import CREATED, MONTH, Scene, document_id

if TYPE_CHECKING:
    from archival_pipeline_tests.support.imixs.instance import Instance


def as_served(instance: Instance, snapshot_id: str) -> bytes:
    """The file that the original would have written: its header and the element of the answer."""
    answer = instance.http.get(f"/api/documents/{snapshot_id}", auth=("backup", "s3cret&+%")).content
    head, tail = b"<data>", b"</data>"
    return wire.file_of({})[: -len(b"<document></document>")] + answer[answer.index(head) + len(head) : -len(tail)]


def write(scene: Scene, path: str, content: bytes) -> None:
    store = open_store(scene.space)
    store.write(path, BytesIO(content))
    store.close()


def test_file_is_the_answer_byte_for_byte_where_the_original_puts_it(scene: Scene) -> None:
    name = document_id()
    snapshot = scene.instance.save(name, {"txtname": "Grüße <&> ."}, {"a b.txt": b"hello", "t": b"x"}, CREATED)
    report = service.backup(scene.settings())
    assert report.is_good
    assert report.numbers["stored"] == report.numbers["events_done"] == 1
    assert scene.read(f"{MONTH}/{name}.xml") == as_served(scene.instance, snapshot)
    assert scene.instance.entries() == []
    assert scene.locks() == set()
    [held] = scene.files(name)
    assert (held.snapshot_id, held.place, held.state) == (snapshot, "current", "good")


def test_manifest_lists_files_with_digests_out_of_sight_of_the_original(scene: Scene) -> None:
    name = document_id()
    snapshot = scene.instance.save(name, created=CREATED)
    service.backup(scene.settings())
    manifest = json.loads(scene.read(f".archival/manifests/{MONTH}.json"))
    [held] = scene.files(name)
    assert manifest["snapshots"] == [
        {
            "path": f"{MONTH}/{name}.xml",
            "snapshot": snapshot,
            "place": "current",
            "state": "good",
            "size": held.size,
            "sha256": held.sha256,
            "xmlSha256": held.xml_sha256,
            "damagedAtSource": [],
        }
    ]
    assert scene.names(MONTH) == [f"{name}.xml"]
    # The original takes every folder of the root for a year and every folder in it for a month.
    assert {part for month in scene.names(".archival") for part in scene.names(f".archival/{month}")} <= {
        "2026",
        "files",
    }


def test_of_three_saves_the_newest_is_fetched_once_and_all_entries_go(scene: Scene) -> None:
    name = document_id()
    snapshots = [scene.instance.save(name, {"number": str(number)}, created=CREATED) for number in range(3)]
    report = service.backup(scene.settings())
    assert report.numbers["events_done"] == 3
    assert report.numbers["stored"] == 1
    assert report.numbers["superseded"] == 2
    assert [held.snapshot_id for held in scene.files(name)] == snapshots[-1:]


def test_events_in_the_wrong_order_leave_the_newest_snapshot(scene: Scene) -> None:
    name = document_id()
    scene.instance.configure(history=0)
    snapshots = [scene.instance.save(name, {"number": str(number)}, created=CREATED) for number in range(3)]
    scene.instance.turn_round()
    for _ in snapshots:
        service.backup(scene.settings(), limit=1)
    assert scene.instance.entries() == []
    assert [held.snapshot_id for held in scene.files(name)] == [snapshots[-1]]
    assert b'"xs:string">2<' in scene.read(f"{MONTH}/{name}.xml")


def test_trimmed_snapshot_leads_to_the_one_that_took_its_place(scene: Scene) -> None:
    name = document_id()
    old = scene.instance.save(name, created=CREATED)
    new = scene.instance.save(name, created=CREATED)
    # The entry of the newer snapshot was lost, as after a release.
    [entry] = [entry for entry, _, ref in scene.instance.entries() if ref == new]
    scene.instance.http.delete(f"/api/eventlog/{entry}", auth=("backup", "s3cret&+%")).raise_for_status()
    service.backup(scene.settings())
    assert scene.instance.entries() == []
    assert [held.snapshot_id for held in scene.files(name)] == [new]
    assert old != new


def test_404_on_everything_is_an_alarm_and_no_entry_goes(scene: Scene) -> None:
    for number in range(3):
        scene.instance.save(document_id(number), created=CREATED, readers=["somebody else"])
    settings = scene.settings()
    settings.workflow = scene.instance.settings(WORKFLOW_SERVICE_USER="reader", WORKFLOW_SERVICE_PASSWORD="reader")
    with pytest.raises(NothingReadableError):
        service.backup(settings)
    assert scene.instance.topics() == ["snapshot.backup"] * 3
    assert scene.locks() == set()


def test_single_deleted_document_is_no_alarm_while_others_can_be_read(scene: Scene) -> None:
    scene.instance.save(document_id(1), created=CREATED)
    scene.instance.save(document_id(2), created=CREATED)
    scene.instance.delete(document_id(1))
    report = service.backup(scene.settings())
    assert report.is_good
    assert report.numbers["gone"] == 1
    assert scene.instance.entries() == []
    # On a quiet day there is nothing else to read in the queue: what is held is asked for instead.
    scene.instance.save(document_id(3), created=CREATED)
    scene.instance.delete(document_id(3))
    assert service.backup(scene.settings()).numbers["gone"] == 1


def test_operator_may_say_that_documents_were_deleted(scene: Scene) -> None:
    scene.instance.save(document_id(1), created=CREATED)
    scene.instance.delete(document_id(1))
    with pytest.raises(NothingReadableError):
        service.backup(scene.settings())
    assert service.backup(scene.settings(), accept_gone=True).numbers["gone"] == 1
    assert scene.instance.entries() == []


def test_locks_of_others_are_left_alone_and_release_is_never_called(scene: Scene) -> None:
    name = document_id()
    scene.instance.save(name, created=CREATED)
    [[entry, _, _]] = scene.instance.entries()
    scene.instance.http.post(f"/api/eventlog/lock/{entry}", auth=("backup", "s3cret&+%")).raise_for_status()
    assert service.backup(scene.settings()).numbers["events_done"] == 0
    assert scene.instance.topics() == ["snapshot.backup.lock"]
    assert not [call for call in scene.instance.calls() if "release" in call]
    assert service.queue(scene.settings())["locked"][0]["ours"] is False
    assert service.unlock(scene.settings(), [entry]) == 1
    assert service.backup(scene.settings()).numbers["stored"] == 1


def test_second_run_finds_nothing_to_do(scene: Scene) -> None:
    scene.instance.save(document_id(), created=CREATED)
    service.backup(scene.settings())
    assert service.backup(scene.settings()).numbers["stored"] == 0


def test_mirror_reads_its_own_topic_only(scene: Scene) -> None:
    scene.instance.configure(archive=True)
    scene.instance.save(document_id(), created=CREATED)
    scene.instance.archive_sync("north")
    report = service.backup(scene.settings(BACKUP_MIRROR_ID="north"))
    assert report.numbers["stored"] == 1
    assert scene.instance.topics() == ["snapshot.backup"]


def test_snapshot_leaves_the_database_only_when_asked_and_only_behind_an_archive(scene: Scene) -> None:
    scene.instance.configure(archive=True)
    name = document_id()
    snapshot = scene.instance.save(name, created=CREATED)
    scene.instance.archive_sync()
    service.backup(scene.settings(BACKUP_FROM_ARCHIVE=True))
    assert scene.instance.document(snapshot) is not None
    scene.instance.put("snapshot.backup", snapshot)
    service.backup(scene.settings(BACKUP_FROM_ARCHIVE=True, BACKUP_REMOVE_SNAPSHOTS=True))
    assert scene.instance.document(snapshot) is None
    assert scene.instance.document(name) is not None


def test_history_keeps_the_last_snapshots_and_no_more(scene: Scene) -> None:
    name = document_id()
    scene.instance.configure(history=0)
    snapshots = [scene.instance.save(name, {"number": str(number)}, created=CREATED) for number in range(4)]
    service.backup(scene.settings(BACKUP_HISTORY=3))
    held = {file.snapshot_id: file for file in scene.files(name)}
    assert list(held) == snapshots[1:]
    assert [file.place for file in held.values()] == ["history", "history", "current"]
    assert scene.names(f".archival/history/{MONTH}/{name}") == [f"{snapshot}.xml" for snapshot in snapshots[1:3]]
    assert b'"xs:string">1<' in scene.read(held[snapshots[1]].path)


def test_space_of_the_original_is_continued_where_its_time_zone_put_the_file(scene: Scene) -> None:
    """22:30 UTC on the last of October is November in Kyiv, where the original ran."""
    name = document_id()
    created = 1_793_485_800_000
    old = scene.instance.save(name, created=created)
    write(scene, f"2026/11/{name}.xml", as_served(scene.instance, old))
    new = scene.instance.save(name)
    service.backup(scene.settings())
    assert scene.names("2026") == ["11"]
    [held] = scene.files(name)
    assert (held.snapshot_id, held.path) == (new, f"2026/11/{name}.xml")


def test_short_file_of_the_original_is_written_anew_and_kept_aside(scene: Scene) -> None:
    """A broken transfer of the original, in the month that its own time zone gave."""
    name = document_id()
    scene.instance.save(name, created=1_793_485_800_000)
    write(scene, f"2026/11/{name}.xml", b"<document><item")
    assert service.backup(scene.settings()).numbers["stored"] == 1
    assert scene.names("2026/11") == []
    assert scene.names("2026/10") == [f"{name}.xml"]
    assert scene.read(f".archival/damaged/files/2026/11/{name}.xml") == b"<document><item"


def test_older_snapshot_is_stored_while_the_newer_file_is_missing(scene: Scene) -> None:
    name = document_id()
    scene.instance.configure(history=0)
    old = scene.instance.save(name, created=CREATED)
    new = scene.instance.save(name, created=CREATED)
    service.backup(scene.settings())
    store = open_store(scene.space)
    store.remove(f"{MONTH}/{name}.xml")
    scene.instance.put("snapshot.backup", old)
    service.backup(scene.settings())
    assert [held.snapshot_id for held in scene.files(name)] == [old]
    assert service.full_backup(scene.settings()).numbers["stored"] == 1
    assert [held.snapshot_id for held in scene.files(name)] == [new]


def test_file_that_is_newer_than_the_event_stays_though_the_record_is_lost(scene: Scene) -> None:
    name = document_id()
    scene.instance.configure(history=0)
    old = scene.instance.save(name, created=CREATED)
    new = scene.instance.save(name, created=CREATED)
    service.backup(scene.settings())
    with Record.open(scene.database, open_store(scene.space).name) as record:
        record.forget(old, new)
    scene.instance.put("snapshot.backup", old)
    report = service.backup(scene.settings())
    assert report.numbers["superseded"] == 1
    assert [held.snapshot_id for held in scene.files(name)] == [new]
