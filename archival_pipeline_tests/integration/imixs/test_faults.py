"""What breaks while a backup goes on: nothing lost, nothing damaged, no entry gone before its file is verified."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import pytest

from archival_pipeline.imixs import service
from archival_pipeline.imixs.failures import LoginError, StorageError, UnreachableError
from archival_pipeline.imixs.storage.files import FolderStore
from archival_pipeline_tests.support.imixs import spaces
from archival_pipeline_tests.support.imixs.audit import assert_nothing_lost, assert_settled
from archival_pipeline_tests.support.imixs.scene import CREATED, MONTH, Scene, document_id, migrated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from archival_pipeline_tests.conftest import DatabaseFactory
    from archival_pipeline_tests.support.imixs.instance import Instance


@pytest.fixture
def faults() -> spaces.Faults:
    return spaces.Faults()


@pytest.fixture
def on_ftp(
    instance: Instance, database_from_template: DatabaseFactory, tmp_path: Path, faults: spaces.Faults
) -> Iterator[Scene]:
    with spaces.ftp(tmp_path, faults) as space:
        yield Scene(instance, database_from_template("imixs", migrated, "backup"), space)


def filled(scene: Scene, number: int = 3, size: int = 300_000) -> dict[str, str]:
    """Snapshots by document."""
    files = {"large.bin": os.urandom(size)}
    return {document_id(n): scene.instance.save(document_id(n), files=files, created=CREATED) for n in range(number)}


def test_ftp_that_breaks_off_in_the_middle_of_a_file(on_ftp: Scene, faults: spaces.Faults) -> None:
    saved = filled(on_ftp)
    faults.cut_uploads = 2
    report = service.backup(on_ftp.settings(BACKUP_LANES=1))
    assert report.numbers["failed"] == 2
    assert {problem.code for problem in report.problems} == {StorageError.code}
    assert_nothing_lost(on_ftp, saved)
    # The entries are free again: any poller may have them.
    assert on_ftp.instance.topics() == ["snapshot.backup"] * 2
    assert service.backup(on_ftp.settings()).is_good
    assert_settled(on_ftp, saved)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["STOR", "RETR", "RNFR", "RNTO", "MKD", "SIZE", "PASV", "EPSV"])
def test_ftp_that_refuses_a_command(on_ftp: Scene, faults: spaces.Faults, command: str) -> None:
    saved = filled(on_ftp, size=1000)
    faults.refuse = {command: 2}
    service.backup(on_ftp.settings(BACKUP_LANES=1))
    assert_nothing_lost(on_ftp, saved)
    assert on_ftp.locks() == set()
    service.backup(on_ftp.settings())
    assert_settled(on_ftp, saved)


def test_ftp_that_is_away_disturbs_no_entry(on_ftp: Scene) -> None:
    saved = filled(on_ftp, size=10)
    away = Scene(on_ftp.instance, on_ftp.database, on_ftp.space.model_copy(update={"ftp_port": spaces.free_port()}))
    with pytest.raises(StorageError):
        service.backup(away.settings())
    assert not [call for call in on_ftp.instance.calls() if "/lock/" in call and call.endswith(saved[document_id()])]
    assert on_ftp.instance.topics() == ["snapshot.backup"] * 3


@pytest.mark.slow
@pytest.mark.parametrize("action", ["500", "503", "drop", "lose", "cut", "expire"])
@pytest.mark.parametrize("call", ["GET .*eventlog", "POST .*/lock/", "GET .*documents", "DELETE .*eventlog"])
def test_instance_that_fails_at_any_call(scene: Scene, call: str, action: str) -> None:
    saved = filled(scene, size=1000)
    scene.instance.fault(call, action, times=4, skip=1)
    with contextlib.suppress(UnreachableError):
        service.backup(scene.settings(BACKUP_LANES=1))
    assert_nothing_lost(scene, saved)
    scene.instance.calm()
    service.backup(scene.settings())
    service.backup(scene.settings())
    assert_settled(scene, saved)


def test_lock_whose_answer_was_lost_is_undone(scene: Scene) -> None:
    saved = filled(scene, size=10)
    scene.instance.fault("POST .*/lock/", "lose")
    report = service.backup(scene.settings(BACKUP_LANES=1))
    assert report.numbers["failed"] == 1
    assert set(scene.instance.topics()) == {"snapshot.backup"}
    service.backup(scene.settings())
    assert_settled(scene, saved)


def test_login_that_ends_in_the_middle_of_a_run(scene: Scene) -> None:
    saved = filled(scene, number=6, size=10)
    settings = scene.settings(BACKUP_LANES=1)
    settings.workflow = scene.instance.settings("FORM")
    for number, call in enumerate(("POST .*/lock/", "GET .*documents", "DELETE", "GET .*eventlog")):
        scene.instance.fault(call, "expire", skip=number)
    assert service.backup(settings).is_good
    assert_settled(scene, saved)


def test_login_that_is_not_taken_any_more_stops_the_run(scene: Scene) -> None:
    saved = filled(scene, number=6, size=10)
    settings = scene.settings()
    settings.workflow = scene.instance.settings(WORKFLOW_SERVICE_PASSWORD="changed")
    with pytest.raises(LoginError):
        service.backup(settings)
    assert_nothing_lost(scene, saved)


@pytest.mark.slow
def test_server_that_is_down_is_not_asked_for_every_entry(scene: Scene) -> None:
    filled(scene, number=60, size=10)
    before = len(scene.instance.calls())
    scene.instance.fault("GET .*documents", "503", times=1_000_000)
    with pytest.raises(UnreachableError):
        service.backup(scene.settings())
    assert sum("GET /api/documents" in call for call in scene.instance.calls()[before:]) < 100
    assert set(scene.instance.topics()) == {"snapshot.backup"}


def test_disk_that_gives_back_other_bytes_is_noticed_before_the_old_file_goes(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = document_id()
    scene.instance.save(name, {"state": "old"}, created=CREATED)
    service.backup(scene.settings())
    before = scene.read(f"{MONTH}/{name}.xml")
    scene.instance.save(name, {"state": "new"})
    real = FolderStore.read

    def lying(self: FolderStore, path: str, sink: object) -> None:
        real(self, path, lambda piece: sink(piece[:-1] + b"?"))  # type: ignore[operator]

    monkeypatch.setattr(FolderStore, "read", lying)
    report = service.backup(scene.settings())
    monkeypatch.undo()
    assert report.numbers["failed"] == 1
    assert scene.read(f"{MONTH}/{name}.xml") == before
    assert scene.instance.topics() == ["snapshot.backup"]
    assert scene.names(".archival/incoming/files/new") == []
