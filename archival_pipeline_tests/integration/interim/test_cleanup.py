"""What a cleanup removes when processes end, and what it must leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archival_pipeline_tests.support.interim import FORMS, PAYLOADS, START_FORM, START_PAYLOAD

if TYPE_CHECKING:
    from archival_pipeline_tests.support.interim import Stage

pytestmark = pytest.mark.parametrize("stage", ["jbpm", "camunda"], indirect=True)


def test_data_of_an_ended_process_is_gone_and_that_of_a_running_one_unchanged(stage: Stage) -> None:
    for process in ("1", "2"):
        stage.engine.start(process)
        stage.data.task_form(process, "fill")
        stage.data.task_form(process, "sign")
        stage.data.signature(process, process)
        stage.data.batch_signature(process, process, 0)
        stage.engine.variable(process, START_FORM, stage.data.start_form())
        stage.engine.variable(process, START_PAYLOAD, stage.data.payload())
    kept_file, _ = stage.data.file("2"), stage.data.file("1")
    before = stage.data.digests({key for key in stage.data.names() if "/2/" in key or key.endswith(":2")})
    stage.engine.end("1")

    reports = stage.clean()

    assert stage.data.digests(set(before)) == before
    assert (
        len(stage.data.names()) == len(before) + len({FORMS, PAYLOADS}) + len({"2: start", "2: payload", "2: sig"}) + 1
    )
    assert stage.data.redis.scard(FORMS) == 5
    assert stage.data.redis.scard(PAYLOADS) == 1
    assert stage.data.files() == {kept_file}
    assert reports["redis"].removed == {FORMS: 5, PAYLOADS: 1}
    assert reports["redis"].bytes > 0
    assert (reports["files"].removed, reports["files"].bytes) == ({"lowcode-file-storage": 1}, 10)


def test_twice_is_once(stage: Stage) -> None:
    stage.engine.start("1")
    stage.data.task_form("1")
    stage.engine.end("1")
    stage.clean()
    with stage.books() as books:
        books.forget_cursor(stage.engine.name)
    again = stage.clean()["redis"]
    assert (again.processes, again.removed, again.failed) == (1, {}, {})


def test_sub_process_goes_at_its_own_end_files_and_signatures_with_the_root(stage: Stage) -> None:
    stage.engine.start("1")
    stage.engine.start("2", parent="1")
    own = stage.data.task_form("2")
    signature = stage.data.signature("1", "2")
    file = stage.data.file("1")
    stage.engine.end("2")
    stage.clean()
    assert f"{FORMS}:{own}" not in stage.data.names()
    assert f"{FORMS}:{signature}" in stage.data.names()
    assert stage.data.files() == {file}
    stage.engine.end("1")
    stage.clean()
    assert stage.data.names() == set()
    assert stage.data.files() == set()


def test_start_form_that_was_mapped_into_a_sub_process_stays_for_its_parent(stage: Stage) -> None:
    key = stage.data.start_form()
    stage.engine.start("1")
    stage.engine.start("2", parent="1")
    for process in ("1", "2"):
        stage.engine.variable(process, START_FORM, key)
    stage.engine.end("2")
    assert stage.clean()["redis"].withheld == 1
    assert f"{FORMS}:{key}" in stage.data.names()
    stage.engine.end("1")
    stage.clean()
    assert stage.data.names() == set()


def test_child_that_outlives_its_root_keeps_files_and_signatures(stage: Stage) -> None:
    stage.engine.start("1")
    stage.engine.start("2", parent="1")
    signature = stage.data.signature("1", "2")
    file = stage.data.file("1")
    stage.engine.end("1")
    reports = stage.clean()
    assert "1" in reports["files"].failed
    assert "1" in reports["redis"].failed
    assert f"{FORMS}:{signature}" in stage.data.names()
    assert stage.data.files() == {file}
    stage.engine.end("2")
    stage.retry_now()
    stage.clean()
    assert (stage.data.names(), stage.data.files()) == (set(), set())


def test_index_set_that_lists_what_is_not_its_own(stage: Stage) -> None:
    stage.engine.start("1")
    stage.engine.start("2")
    of_other = stage.data.task_form("2")
    stage.data.redis.set("somebody:else", "x")
    index = f"{FORMS}:process-instance-id:1"
    stage.data.redis.sadd(index, f"{FORMS}:{of_other}", "somebody:else", f"{PAYLOADS}:x", FORMS)
    stage.data.form("a-free-key", index="1")
    stage.engine.end("1")
    report = stage.clean()["redis"]
    assert {f"{FORMS}:{of_other}", "somebody:else", FORMS} <= stage.data.names()
    assert f"{FORMS}:a-free-key" not in stage.data.names()
    assert report.withheld == 4


def test_variable_that_names_the_data_of_another_process(stage: Stage) -> None:
    stage.engine.start("1")
    stage.engine.start("2")
    key = stage.data.task_form("2")
    stage.engine.variable("1", START_FORM, key)
    stage.engine.end("1")
    stage.clean()
    assert f"{FORMS}:{key}" in stage.data.names()


def test_process_that_runs_again_after_the_engine_was_set_back(stage: Stage) -> None:
    stage.engine.start("1")
    key = stage.data.task_form("1")
    stage.engine.end("1")
    with stage.opened() as everything:
        everything.cleanup(lambda: False).read_ended(10)
    stage.engine.forget("1")
    stage.engine.start("1")
    assert stage.clean()["redis"].failed == {"1": "it, or a process of its tree, still runs"}
    assert f"{FORMS}:{key}" in stage.data.names()
    stage.engine.end("1")
    stage.retry_now()
    stage.clean()
    assert stage.data.names() == set()


def test_prefix_of_an_id_is_another_id(stage: Stage) -> None:
    for process in ("1", "12"):
        stage.engine.start(process)
        stage.data.task_form(process)
    kept = stage.data.file("12")
    stage.data.file("1")
    stage.engine.end("1")
    stage.clean()
    assert stage.data.files() == {kept}
    assert f"{FORMS}:process/12/task/sign" in stage.data.names()


def test_bucket_of_many_pages(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archival_pipeline.interim.file_store.PAGE", 3)
    kept = set()
    for number in range(1, 13):
        process = str(number)
        stage.engine.start(process)
        files = {stage.data.file(process) for _ in range(number % 5)}
        if number % 3:
            stage.engine.end(process)
        else:
            kept |= files
    kept |= {stage.data.file("999")}
    stage.clean()
    assert stage.data.files() == kept


def test_wrong_type_under_the_name_of_an_index_concerns_that_process_only(stage: Stage) -> None:
    for process in ("1", "2"):
        stage.engine.start(process)
        stage.engine.end(process)
    stage.data.redis.set(f"{FORMS}:process-instance-id:1", "no set")
    stage.data.task_form("2")
    report = stage.clean()["redis"]
    assert "WRONGTYPE" in report.failed["1"]
    assert (report.processes, set(report.failed)) == (1, {"1"})
    with stage.books() as books:
        (waiting,) = books.backlog()
    assert (waiting.store, waiting.processes, waiting.attempts) == ("redis", 1, 1)


def test_index_that_is_large(stage: Stage) -> None:
    stage.engine.start("1")
    pipeline = stage.data.redis.pipeline(transaction=False)
    for number in range(5_000):
        pipeline.hset(f"{FORMS}:process/1/task/t{number}", "data", "x")
        pipeline.sadd(FORMS, f"process/1/task/t{number}")
        pipeline.sadd(f"{FORMS}:process-instance-id:1", f"{FORMS}:process/1/task/t{number}")
    pipeline.execute()
    stage.engine.end("1")
    assert stage.clean()["redis"].removed == {FORMS: 5_000}
    assert stage.data.names() == set()


def test_key_with_bytes_that_are_no_text(stage: Stage) -> None:
    stage.engine.start("1")
    stage.data.task_form("1")
    stage.data.redis.hset(FORMS.encode() + b":odd-\xff", "data", "x")
    stage.data.redis.sadd(FORMS, b"odd-\xff")
    stage.data.redis.sadd(f"{FORMS}:process-instance-id:1", FORMS.encode() + b":odd-\xff")
    stage.engine.end("1")
    assert stage.clean()["redis"].removed == {FORMS: 2}
    assert stage.data.names() == set()


def test_totals_are_kept(stage: Stage) -> None:
    stage.engine.start("1")
    stage.data.task_form("1")
    stage.data.file("1")
    stage.engine.end("1")
    stage.clean()
    with stage.books() as books:
        totals = books.totals()
    assert totals["deleted", FORMS] == 1
    assert totals["deleted", "lowcode-file-storage"] == 1
    assert totals["bytes", "files"] == 10
    assert totals["processes", "redis"] == 1
