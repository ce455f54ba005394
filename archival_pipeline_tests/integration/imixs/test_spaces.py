"""The same demands on every kind of backup space, each on a real server."""

from __future__ import annotations

import ftplib
import os
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from archival_pipeline.imixs import service
from archival_pipeline.imixs.failures import StorageError
from archival_pipeline.imixs.storage.opening import open_store
from archival_pipeline_tests.support.imixs import spaces
from archival_pipeline_tests.support.imixs.scene import CREATED, MONTH, Scene, document_id, folder_space, migrated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from archival_pipeline.imixs.storage.store import Store
    from archival_pipeline.settings_imixs import SpaceSettings
    from archival_pipeline_tests.conftest import DatabaseFactory
    from archival_pipeline_tests.support.imixs.instance import Instance

NO_VSFTPD = "vsftpd is not installed: apt-get install vsftpd"
KINDS = [
    "folder",
    "ftp",
    "s3",
    pytest.param("sftp", marks=pytest.mark.slow),
    pytest.param("vsftpd", marks=[pytest.mark.slow, pytest.mark.skipif(spaces.VSFTPD is None, reason=NO_VSFTPD)]),
]


@contextmanager
def space_of(kind: str, folder: Path) -> Iterator[SpaceSettings]:
    if kind == "folder":
        yield folder_space(folder / "space")
    elif kind == "s3":
        with spaces.s3() as found:
            yield found
    else:
        with {"ftp": spaces.ftp, "sftp": spaces.sftp, "vsftpd": spaces.vsftpd}[kind](folder) as found:
            yield found


@pytest.fixture(scope="module", params=KINDS)
def space(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpaceSettings]:
    # vsftpd gives up its rights: every folder above its own must let others through.
    folder = tmp_path_factory.mktemp(request.param)
    with space_of(request.param, folder) as found:
        yield found


@pytest.fixture
def store(space: SpaceSettings) -> Iterator[Store]:
    found = open_store(space)
    yield found
    found.close()


def content(store: Store, path: str) -> bytes:
    pieces: list[bytes] = []
    store.read(path, pieces.append)
    return b"".join(pieces)


def test_file_comes_back_byte_for_byte(store: Store) -> None:
    store.check()
    written = os.urandom(3_000_001) + b"\r\n\n\x00"
    store.write("2026/01/a file.xml", BytesIO(written))
    assert store.size("2026/01/a file.xml") == len(written)
    assert content(store, "2026/01/a file.xml") == written


def test_move_replaces_and_leaves_nothing_behind(store: Store) -> None:
    store.write("2026/02/target.xml", BytesIO(b"old"))
    store.write(".archival/incoming/files/new/x.part", BytesIO(b"newer"))
    store.move(".archival/incoming/files/new/x.part", "2026/02/target.xml")
    assert content(store, "2026/02/target.xml") == b"newer"
    assert store.size(".archival/incoming/files/new/x.part") is None
    store.move("2026/02/target.xml", "2027/03/deep/er/target.xml")
    assert store.size("2027/03/deep/er/target.xml") == 5


def test_what_is_not_there_is_told_apart_from_what_fails(store: Store) -> None:
    assert store.size("2026/04/none.xml") is None
    assert store.names("1999") == []
    store.remove("2026/04/none.xml")
    with pytest.raises(StorageError):
        store.read("2026/04/none.xml", lambda _: None)
    # The failure has not spoilt the connection.
    assert store.size("2026/04/none.xml") is None


def test_listing_has_plain_names_in_order(store: Store) -> None:
    for name in ("b.xml", "a.xml"):
        store.write(f"2025/05/{name}", BytesIO(b"x"))
    assert store.names("2025") == ["05"]
    assert store.names("2025/05") == ["a.xml", "b.xml"]
    assert "2025" in store.names("")
    # After a listing the connection is in text mode, in which some servers deny that there is a file.
    assert store.size("2025/05/a.xml") == 1


def test_backup_works_on_it(space: SpaceSettings, instance: Instance, database_from_template: DatabaseFactory) -> None:
    scene = Scene(instance, database_from_template("imixs", migrated, "backup"), space)
    names = [document_id(number) for number in range(6)]
    for name in names:
        instance.save(name, files={"a.bin": os.urandom(2000)}, created=CREATED)
    report = service.backup(scene.settings())
    assert report.is_good
    assert report.numbers["stored"] == 6
    assert instance.entries() == []
    assert sorted(scene.names(MONTH)) == sorted(f"{name}.xml" for name in names)
    assert scene.names(".archival/incoming/files/new") == []
    assert service.verify(scene.settings()).numbers["verified"] == 6


def test_missing_root_is_an_error_and_is_not_made(tmp_path: Path, instance: Instance) -> None:
    del instance
    for kind in ("folder", "ftp", "sftp"):
        with space_of(kind, tmp_path / kind if kind == "folder" else _made(tmp_path / kind)) as found:
            changes = {"ftp_path": "elsewhere"} if kind == "ftp" else {"url": f"{found.url}-elsewhere"}
            store = open_store(found.model_copy(update=changes))
            with pytest.raises(StorageError):
                store.check()
            store.close()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_unknown_host_key_is_refused(tmp_path: Path) -> None:
    with spaces.sftp(tmp_path) as found:
        empty = tmp_path / "empty_known_hosts"
        empty.touch()
        store = open_store(found.model_copy(update={"known_hosts_path": empty}))
        with pytest.raises(StorageError, match="not found in known_hosts"):
            store.check()
        store.close()


def test_certificate_of_a_stranger_is_refused(tmp_path: Path) -> None:
    with spaces.ftp(tmp_path) as found:
        store = open_store(found.model_copy(update={"ftp_ca_cert_path": None}))
        with pytest.raises(StorageError, match="certificate verify failed"):
            store.check()
        trusting = open_store(found.model_copy(update={"ftp_ca_cert_path": None, "ftp_verify": False}))
        trusting.check()
        store.close()
        trusting.close()


@pytest.mark.skipif(spaces.VSFTPD is None, reason=NO_VSFTPD)
@pytest.mark.slow
def test_vsftpd_refuses_a_data_channel_without_the_session(tmp_path: Path) -> None:
    """What the plain library does: the reason for our own way to open a data channel."""
    with spaces.vsftpd(tmp_path) as found:
        plain = ftplib.FTP_TLS(timeout=10)  # noqa: S321 - to a server of ours
        plain.connect(found.ftp_host or "", found.ftp_port)
        plain.login("anonymous", "x")
        plain.prot_p()
        with pytest.raises((ftplib.error_perm, ftplib.error_temp, OSError)):
            plain.storbinary("STOR /backup/file", BytesIO(b"x"))
        plain.close()
        store = open_store(found)
        store.write("file", BytesIO(b"x"))
        assert content(store, "file") == b"x"
        store.close()
