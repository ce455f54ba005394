"""What a sweep finds, when it removes it, and what it never touches."""

from __future__ import annotations

import base64
import json
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from archival_pipeline.errors import ArchivalError
from archival_pipeline.interim import metrics
from archival_pipeline_tests.support.interim import FORMS, PAYLOADS, START_FORM, START_PAYLOAD

if TYPE_CHECKING:
    from archival_pipeline_tests.support.interim import Stage

DAY = timedelta(days=1)


def scene(stage: Stage) -> tuple[set[str], set[str]]:
    """A running process, and something left behind of each kind; returns what must stay and the files that must."""
    stage.engine.start("1")
    stage.engine.variable("1", START_FORM, stage.data.start_form())
    stage.engine.variable("1", START_PAYLOAD, stage.data.payload())
    stage.data.task_form("1")
    stage.data.task_form("1", "unlisted", indexed=False)
    stage.data.signature("1", "1")
    stage.data.form("somebody-s own key")
    stage.data.redis.set(f"{FORMS}:odd:phantom", "x")
    keys = stage.data.names() - {FORMS, PAYLOADS}
    files = {stage.data.file("1")}
    stage.data.s3.put_object(Bucket="lowcode-file-storage", Key="other/place", Body=b"x")
    files.add("other/place")
    stage.data.start_form()
    stage.data.external_start()
    stage.data.payload()
    stage.data.task_form("2", indexed=False)
    stage.data.task_form("3")
    stage.data.signature("4", "5")
    stage.data.batch_signature("4", "5", 0)
    stage.data.file("2")
    return keys, files


def test_orphans_go_after_the_grace_period_and_nothing_else(stage: Stage) -> None:
    keys, files = scene(stage)
    before = stage.data.digests(keys)
    first = stage.sweep(grace=DAY)
    assert (first.removed, first.young) == ({}, sum(first.found.values()))
    with stage.books() as books:
        books.session.execute("UPDATE interim_candidate SET first_seen_at = first_seen_at - interval '2 days'")
    report = stage.sweep(grace=DAY)
    assert stage.data.names() - {FORMS, PAYLOADS} == keys
    assert stage.data.digests(keys) == before
    assert stage.data.files() == files
    assert report.found == {
        "start form": 1, "external start": 1, "message payload": 1, "task form": 2,
        "system signature": 1, "batch signature": 1, "process index": 2, "file": 1,
    }  # fmt: skip
    assert report.unknown == 2
    assert report.oldest_seconds >= 2 * 86_400
    assert stage.data.redis.smembers(FORMS) == {key.partition(":")[2] for key in keys if _is_hash(key)}
    with stage.books() as books:
        assert books.orphans() == []
        assert 'archival_interim_deleted_total{place="bpm-form-submissions"}' in metrics.exposition(books)


def _is_hash(key: str) -> bool:
    return key.startswith(f"{FORMS}:") and "process-instance-id" not in key and "phantom" not in key


def test_dry_run_lists_and_removes_nothing(stage: Stage) -> None:
    scene(stage)
    before = stage.data.names(), stage.data.files()
    report = stage.sweep(dry_run=True)
    assert (stage.data.names(), stage.data.files()) == before
    assert report.removed == {}
    assert f"{FORMS}:process/2/task/sign" in {name for name, _, _ in report.shown}


def test_start_that_happens_within_the_grace_period(stage: Stage) -> None:
    key = stage.data.start_form()
    stage.engine.start("1")
    assert stage.sweep(grace=DAY).found == {"start form": 1}
    stage.engine.variable("1", START_FORM, key)
    assert stage.sweep().found == {}
    with stage.books() as books:
        assert books.orphans() == []
    assert f"{FORMS}:{key}" in stage.data.names()


def test_engine_is_asked_again_right_before_the_removal(stage: Stage) -> None:
    stage.engine.start("1")
    key = stage.data.task_form("2")
    with stage.opened() as everything:
        sweeper = everything.sweeper(lambda: False, timedelta(0))
        note = everything.books.note_candidates

        def starts_now(store: str, found: dict[str, str]) -> dict[str, float]:
            if store == "redis":
                stage.engine.start("2")
            return note(store, found)  # type: ignore[arg-type]

        everything.books.note_candidates = starts_now  # type: ignore[method-assign, assignment]
        report = sweeper.sweep(dry_run=False)
    assert report.removed == {}
    assert f"{FORMS}:{key}" in stage.data.names()


def test_processes_whose_history_is_gone_leave_nothing(stage: Stage) -> None:
    stage.engine.start("9")
    stage.engine.start("1")
    stage.data.task_form("1")
    stage.data.file("1")
    stage.engine.end("1")
    stage.engine.forget("1")
    stage.sweep()
    assert (stage.data.names(), stage.data.files()) == (set(), set())


def test_empty_engine_is_taken_for_the_wrong_one(stage: Stage) -> None:
    stage.data.task_form("1")
    with pytest.raises(ArchivalError, match="ENGINE_EMPTY"):
        stage.sweep()


def test_ids_of_another_engine_are_left_alone(stage: Stage) -> None:
    stage.engine.start("1")
    stage.data.task_form("3f2b8c1e-7a44-11ee-b962-0242ac120002")
    before = stage.data.names()
    report = stage.sweep()
    assert stage.data.names() == before
    assert report.unknown == 2


def test_names_without_a_key_are_taken_off_the_keyspace_set(stage: Stage) -> None:
    stage.engine.start("1")
    stage.data.task_form("1")
    stage.data.redis.sadd(FORMS, *(f"process/{number}/task/a" for number in range(2_000)))
    assert stage.sweep().stale_names == 2_000
    assert stage.data.redis.smembers(FORMS) == {"process/1/task/sign"}


def test_sweep_that_was_stopped_goes_on_where_it_was(stage: Stage) -> None:
    stage.engine.start("1")
    for number in range(2, 3_502):
        stage.data.redis.hset(f"{FORMS}:process/{number}/task/a", "data", "x")
    asked = iter([True])
    with stage.opened() as everything:
        first = everything.sweeper(lambda: next(asked, True), timedelta(0)).sweep(dry_run=False)
    assert first.ended_because["redis"] == "stopped"
    assert 0 < first.scanned[FORMS] < 3_500
    second = stage.sweep()
    assert second.scanned[FORMS] < 3_500
    assert stage.data.names() == set()


def test_scan_keeps_to_the_load_limit(stage: Stage) -> None:
    stage.engine.start("1")
    for number in range(2_000):
        stage.data.redis.hset(f"{FORMS}:free{number}", "data", "x")
    stage.sweep()
    # 2,000 keys at 20,000 a second.
    assert sum(stage.slept) >= 0.1


def test_root_whose_files_lie_on_two_pages(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archival_pipeline.interim.file_store.PAGE", 3)
    stage.engine.start("1")
    for _ in range(5):
        stage.data.file("2")
    stage.sweep(grace=DAY)
    with stage.books() as books:
        books.session.execute("UPDATE interim_candidate SET first_seen_at = first_seen_at - interval '2 days'")
    assert stage.sweep(grace=DAY).removed["lowcode-file-storage"] == 5
    assert stage.data.files() == set()


def token(expires: float) -> str:
    content = base64.urlsafe_b64encode(json.dumps({"exp": int(expires)}).encode()).decode().rstrip("=")
    return f"e30.{content}.c2ln"


def test_tokens_that_nobody_needs_are_counted_and_taken_out(stage: Stage) -> None:
    now = time.time()
    old = token(now - 3 * 86_400)
    stage.engine.start("1")
    running = stage.data.task_form("1", token=old)
    over = stage.data.task_form("2", token=old)
    young = stage.data.task_form("3", token=token(now + 600))
    odd = stage.data.task_form("4", token="not a token")
    started = stage.data.start_form(token=old)
    stage.engine.variable("1", START_FORM, started)

    def tokens_of(*keys: str) -> list[bool]:
        return [stage.data.redis.hexists(f"{FORMS}:{key}", "accessToken") for key in keys]

    with stage.opened() as everything:
        keeper = everything.tokens(lambda: False)
        assert keeper is not None
        report = keeper.look(now, scrub=False)
        assert report.tokens == {"running": 1, "over": 3, "named": 1}
        assert (report.expired, report.unreadable, report.oldest_days, report.scrubbed) == (3, 1, 2, 0)
        assert keeper.look(now, scrub=True).scrubbed == 1
        assert tokens_of(running, over, young, odd, started) == [True, False, True, True, True]
        assert keeper.look(now, scrub=True, running_after_days=1).scrubbed == 2
    assert tokens_of(running, over, young, odd, started) == [False, False, True, True, False]
    assert stage.data.redis.hget(f"{FORMS}:{running}", "data") == '{"a": 1}'
