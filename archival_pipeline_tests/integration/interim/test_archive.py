"""What is kept before it is removed, and comes back: encrypted, read back, equal to the byte."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pyrage
import pytest

from archival_pipeline.archival import holding
from archival_pipeline.errors import ArchivalError, ConfigurationError
from archival_pipeline.interim.archive import Archive
from archival_pipeline.settings_interim import KeepSettings
from archival_pipeline_tests.support.interim import FORMS, START_FORM, START_PAYLOAD

if TYPE_CHECKING:
    from pathlib import Path

    from archival_pipeline_tests.support.interim import Stage

BOTH = pytest.mark.parametrize("stage", ["jbpm", "camunda"], indirect=True)


@pytest.fixture
def keep(tmp_path: Path) -> KeepSettings:
    """Data is kept for somebody whose identity lies here."""
    identity = pyrage.x25519.Identity.generate()
    path = tmp_path / "identity.txt"
    path.write_text(f"# a comment\n{identity}\n", encoding="utf-8")
    return KeepSettings.model_construct(
        before_delete=True, recipients=str(identity.to_public()), identity_path=path, days=None
    )


def filled(stage: Stage, process: str) -> None:
    """A process with every kind of data."""
    data = stage.data
    stage.engine.start(process)
    data.task_form(process, "fill")
    data.signature(process, process)
    stage.engine.variable(process, START_FORM, data.start_form())
    stage.engine.variable(process, START_PAYLOAD, data.payload())
    data.form("a-free-key", index=process)
    data.redis.hset(f"{FORMS}:process/{process}/task/fill", "data", b"odd \xff \xe2\x80\xa8 bytes")
    data.redis.set(f"{FORMS}:a-text", "x")
    data.redis.sadd(f"{FORMS}:a-set", "1", "2")
    data.redis.sadd(f"{FORMS}:process-instance-id:{process}", f"{FORMS}:a-text", f"{FORMS}:a-set")
    data.redis.sadd(FORMS, "a-text", "a-set")
    # Larger than a piece, and no multiple of it.
    data.file(process, size=(2 << 20) + 17)
    data.file(process, size=0)


@BOTH
def test_what_was_removed_comes_back_as_it_was(stage: Stage, keep: KeepSettings) -> None:
    stage = stage.keeping(keep)
    filled(stage, "1")
    before = stage.data.contents()
    stage.engine.end("1")
    stage.clean()
    assert stage.data.contents() == {}

    report = stage.restore("1", "2")

    assert (report.processes, report.nothing_kept, report.failed) == (1, 1, {})
    assert (report.restored, report.already) == ({"redis": 7, "files": 2}, {"redis": 0})
    assert stage.data.contents() == before
    again = stage.restore("1")
    assert (again.restored, again.already, again.failed) == ({}, {"redis": 7, "files": 2}, {})


def test_nothing_is_kept_in_clear_and_no_token_at_all(stage: Stage, keep: KeepSettings) -> None:
    stage = stage.keeping(keep)
    stage.engine.start("1")
    secret = base64.b64encode(b"a very secret form").decode()
    key = stage.data.task_form("1", token="a-token")
    stage.data.redis.hset(f"{FORMS}:{key}", "data", json.dumps({"secret": secret}))
    stage.engine.end("1")
    stage.clean()
    with stage.books() as books:
        rows = books.session.execute("SELECT content FROM interim_archive_piece").fetchall()
    assert len(rows) == 1
    assert rows[0][0].startswith(b"age-encryption.org/v1")
    assert secret.encode() not in rows[0][0]
    stage.restore("1")
    assert stage.data.redis.hget(f"{FORMS}:{key}", "data") == json.dumps({"secret": secret})
    assert not stage.data.redis.hexists(f"{FORMS}:{key}", "accessToken")


@pytest.mark.parametrize("can_open", [True, False])
def test_copy_that_does_not_read_back_removes_nothing(
    stage: Stage, keep: KeepSettings, monkeypatch: pytest.MonkeyPatch, *, can_open: bool
) -> None:
    stage = stage.keeping(keep if can_open else keep.model_copy(update={"identity_path": None}))
    filled(stage, "1")
    stage.engine.end("1")
    before = stage.data.names(), stage.data.files()
    verify = Archive._verify

    def damaged(archive: Archive, *arguments: object) -> None:
        archive._session.execute("UPDATE interim_archive_piece SET content = overlay(content PLACING 'x' FROM 300)")
        verify(archive, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(Archive, "_verify", damaged)
        with pytest.raises(ArchivalError, match="INTERIM_ARCHIVE_DAMAGED"):
            stage.clean()
    assert (stage.data.names(), stage.data.files()) == before
    stage.clean()
    assert (stage.data.names(), stage.data.files()) == (set(), set())


def test_other_content_is_left_alone(stage: Stage, keep: KeepSettings) -> None:
    stage = stage.keeping(keep)
    stage.engine.start("1")
    key, file = f"{FORMS}:{stage.data.task_form('1')}", stage.data.file("1")
    stage.engine.end("1")
    stage.clean()
    stage.data.redis.hset(key, "data", "new")
    stage.data.s3.put_object(Bucket="lowcode-file-storage", Key=file, Body=b"new")
    report = stage.restore("1")
    assert set(report.failed) == {key, file}
    assert report.processes == 0
    assert stage.data.redis.hgetall(key) == {"data": "new"}


def test_type_that_cannot_be_kept_stays(stage: Stage, keep: KeepSettings) -> None:
    stage = stage.keeping(keep)
    for process in ("1", "2"):
        stage.engine.start(process)
        stage.data.task_form(process)
        stage.engine.end(process)
    stage.data.redis.rpush(f"{FORMS}:a-list", "x")
    stage.data.redis.sadd(f"{FORMS}:process-instance-id:1", f"{FORMS}:a-list")
    report = stage.clean()["redis"]
    assert set(report.failed) == {"1"}
    assert f"{FORMS}:a-list" in report.failed["1"]
    assert {f"{FORMS}:process/1/task/sign", f"{FORMS}:a-list"} <= stage.data.names()
    assert f"{FORMS}:process/2/task/sign" not in stage.data.names()


def test_sweep_keeps_what_has_an_owner(stage: Stage, keep: KeepSettings) -> None:
    stage = stage.keeping(keep)
    stage.engine.start("1")
    form = f"{FORMS}:{stage.data.task_form('2', indexed=False)}"
    indexed = f"{FORMS}:{stage.data.task_form('3')}"
    stage.data.start_form()
    file = stage.data.file("2")
    stage.sweep(grace=timedelta(0))
    assert (stage.data.names(), stage.data.files()) == (set(), set())
    assert stage.restore("2", "3").failed == {}
    assert stage.data.names() - {FORMS, f"{FORMS}:process-instance-id:3"} == {form, indexed}
    assert stage.data.files() == {file}


def test_without_the_identity_nothing_comes_back(stage: Stage, keep: KeepSettings, tmp_path: Path) -> None:
    blind = stage.keeping(keep.model_copy(update={"identity_path": None}))
    blind.engine.start("1")
    blind.data.task_form("1")
    blind.engine.end("1")
    blind.clean()
    with pytest.raises(ConfigurationError, match="INTERIM_ARCHIVE_IDENTITY_PATH"):
        blind.restore("1")
    other = tmp_path / "other.txt"
    other.write_text(str(pyrage.x25519.Identity.generate()), encoding="utf-8")
    with pytest.raises(ArchivalError, match="INTERIM_ARCHIVE_SEALED"):
        stage.keeping(keep.model_copy(update={"identity_path": other})).restore("1")
    assert stage.data.names() == set()


def test_processes_of_a_restore_are_found_by_its_audit_id(stage: Stage) -> None:
    with stage.opened() as everything, stage.books() as books:
        for audit_id, operation in (("r", "restore"), ("b", "backup")):
            books.session.execute(
                "INSERT INTO archival_operation (audit_id, operation, filters, options, bound_filters)"
                " VALUES (%s, %s, '{}', '{}', '{}') ON CONFLICT DO NOTHING",
                (audit_id, operation),
            )
            books.session.execute(
                "INSERT INTO archival_batch (audit_id, wave, batch, state, root_ids, member_ids)"
                " VALUES (%s, 1, 1, 'deleted', '{1}', '{1,2}') ON CONFLICT DO NOTHING",
                (audit_id,),
            )
        assert everything.archive.restored_by("r") == ["1", "2"]
        assert everything.archive.restored_by("b") == []


def test_what_is_too_old_is_forgotten(stage: Stage, keep: KeepSettings) -> None:
    stage = stage.keeping(keep.model_copy(update={"days": 30}))
    for process in ("1", "2"):
        stage.engine.start(process)
        stage.data.task_form(process)
        stage.engine.end(process)
    stage.clean()
    with stage.books() as books:
        books.session.execute("UPDATE interim_archive SET kept_at = now() - interval '31 days' WHERE process_id = '1'")
    with stage.opened() as everything:
        assert everything.forget_expired() == 1
    assert (stage.restore("1").nothing_kept, stage.restore("2").processes) == (1, 1)


def test_i13_copies_of_a_process_on_hold_are_kept(stage: Stage, keep: KeepSettings) -> None:
    stage = stage.keeping(keep.model_copy(update={"days": 30}))
    for process in ("1", "2"):
        stage.engine.start(process)
        stage.data.task_form(process)
        stage.engine.end(process)
    stage.clean()
    placed = holding.place(stage.places.backup, "jbpm", "instance", "1", reason="case 12", by="a lawyer")
    with stage.books() as books:
        books.session.execute("UPDATE interim_archive SET kept_at = now() - interval '31 days'")
    with stage.opened() as everything:
        assert everything.forget_expired() == 1
        holding.release(stage.places.backup, placed.hold.hold_id, reason="case closed", by="a lawyer")
        assert everything.forget_expired() == 1
