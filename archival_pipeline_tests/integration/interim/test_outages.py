"""A store that is down, slow to come back or halfway broken: only its own part waits, and nothing is forgotten."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from archival_pipeline.interim.outages import Patience, StoreError
from archival_pipeline.local.interim_servers import EmbeddedRedis, free_port
from archival_pipeline_tests.support.interim import FORMS, interim_settings, redis_client

if TYPE_CHECKING:
    from pathlib import Path

    from archival_pipeline_tests.support.interim import Stage


def filled(stage: Stage, *processes: str) -> None:
    for process in processes:
        stage.engine.start(process)
        stage.data.task_form(process)
        stage.data.file(process)
        stage.engine.end(process)


def test_redis_down_delays_only_its_own_part(stage: Stage) -> None:
    filled(stage, "1", "2")
    away = stage.with_redis(port=free_port())
    reports = away.clean()
    assert reports["redis"].down is not None
    assert "STORE_UNAVAILABLE" in reports["redis"].down
    assert (reports["files"].down, stage.data.files()) == (None, set())
    assert len(away.slept) == 4
    assert away.slept == sorted(away.slept)
    with stage.books() as books:
        (waiting,) = books.backlog()
    assert (waiting.store, waiting.processes, waiting.due) == ("redis", 2, 0)
    stage.clean()
    assert stage.data.names() != set(), "it waits for its next attempt"
    stage.retry_now()
    stage.clean()
    assert stage.data.names() == set()


def test_files_down_delays_only_its_own_part(stage: Stage) -> None:
    filled(stage, "1", "2")
    endpoint = stage.places.files.endpoint
    object.__setattr__(stage.places.files, "endpoint", f"http://127.0.0.1:{free_port()}")
    reports = stage.clean()
    assert reports["files"].down is not None
    assert (reports["redis"].down, stage.data.names()) == (None, set())
    object.__setattr__(stage.places.files, "endpoint", endpoint)
    stage.retry_now()
    stage.clean()
    assert stage.data.files() == set()


def test_bucket_that_is_missing_is_not_tried_again_at_once(stage: Stage) -> None:
    filled(stage, "1")
    object.__setattr__(stage.places.files, "bucket", "no-such-bucket")
    report = stage.clean()["files"]
    assert report.down is not None
    assert "NoSuchBucket" in report.down
    assert stage.slept == []


def test_pauses_grow_and_end() -> None:
    slept: list[float] = []
    calls = iter([StoreError("redis", "away", transient=True)] * 2)

    def call() -> str:
        for error in calls:
            raise error
        return "back"

    assert Patience(slept.append).trying(call) == "back"
    assert len(slept) == 2
    with pytest.raises(StoreError):
        Patience(slept.append, attempts=1).trying(_away)


def _away() -> None:
    raise StoreError("redis", "away", transient=True)


def test_rights_of_the_engines_services_suffice(stage: Stage, server_folder: Path) -> None:
    options = ["user default off", "user svc on >pw ~* +@read +@write -@dangerous", "user admin on >pw ~* +@all"]
    with EmbeddedRedis(server_folder / "acl", options=options) as server:
        admin = redis_client(server.port, username="admin", password="pw")
        stage.data.redis = admin
        filled(stage, "1")
        left = stage.data.task_form("7")
        restricted = stage.with_redis(port=server.port, username="svc", password=SecretStr("pw"))
        assert restricted.clean()["redis"].removed == {FORMS: 1}
        report = restricted.sweep()
        assert report.removed[FORMS] == 1
        assert f"{FORMS}:{left}" not in stage.data.names()
        refused = stage.with_redis(port=server.port, username="svc", password=SecretStr("wrong"))
        filled(stage, "2")
        told = refused.clean()["redis"].down
        assert told is not None
        assert "wrong" not in told
        assert refused.slept == []
        admin.close()


def in_lanes(stage: Stage, lanes: int) -> Stage:
    return replace(stage, places=replace(stage.places, interim=interim_settings(lanes=lanes)))


def test_several_cleanups_at_once_do_each_thing_once(stage: Stage) -> None:
    several = in_lanes(stage, 3)
    names = [str(number) for number in range(1, 61)]
    filled(stage, *names)
    stage.engine.start("99")
    kept = {f"{FORMS}:{stage.data.task_form('99')}", f"{FORMS}:process-instance-id:99", FORMS}
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda _: several.clean(page=2), range(2)))
    assert sum(report["redis"].removed.get(FORMS, 0) for report in reports) == 60
    assert stage.data.names() == kept
    assert stage.data.files() == set()
    with stage.books() as books:
        assert books.totals()["deleted", FORMS] == 60
        assert books.totals()["processes", "files"] == 60
        assert books.backlog() == []


def test_several_lanes_and_a_store_that_is_down(stage: Stage) -> None:
    filled(stage, *(str(number) for number in range(1, 41)))
    away = in_lanes(stage.with_redis(port=free_port()), 4)
    report = away.clean(page=2)["redis"]
    assert report.down is not None
    assert report.pieces < 20, "the rest waits with it"
    with stage.books() as books:
        (waiting,) = books.backlog()
    assert (waiting.processes, waiting.due) == (40, 0)
    stage.retry_now()
    in_lanes(stage, 4).clean()
    assert stage.data.names() == set()
