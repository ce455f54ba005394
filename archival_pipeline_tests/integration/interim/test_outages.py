"""A store that is down, slow to come back or halfway broken: only its own part waits, and nothing is forgotten."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from archival_pipeline.interim.outages import Patience, StoreError
from archival_pipeline.local.interim_servers import EmbeddedRedis, free_port
from archival_pipeline_tests.support.interim import FORMS, redis_client
from archival_pipeline_tests.support.processes import started, wait_until

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


_WORKER = """
import sys
from archival_pipeline.interim import redis_store
from archival_pipeline_tests.support.interim import places_of
from archival_pipeline.interim.service import opened
from archival_pipeline.local.postgres import EmbeddedPostgres
import json, os, signal, time
from archival_pipeline.settings import DatabaseSettings

given = json.loads(sys.argv[1])
sides = [DatabaseSettings.model_construct(**one, ssl=False, ca_cert=None, ca_cert_path=None) for one in given["sides"]]
from pydantic import SecretStr
sides = [one.model_copy(update={"password": SecretStr(one.password)}) for one in sides]
send = redis_store.RedisStore._send
left = [given["calls"]]

def dying(self, calls):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return send(self, calls)

redis_store.RedisStore._send = dying
with opened(places_of("jbpm", *sides, given["redis"], given["s3"])) as everything:
    cleanup = everything.cleanup(lambda: False)
    cleanup.read_ended(2)
    cleanup.clean("redis")
    cleanup.clean("files")
"""


@pytest.mark.faults
@pytest.mark.parametrize("calls", range(9))
def test_killed_before_any_command(stage: Stage, tmp_path: Path, calls: int) -> None:
    import json

    filled(stage, "1", "2", "3", "4", "5")
    stage.engine.start("9")
    kept = {f"{FORMS}:{stage.data.task_form('9')}", stage.data.file("9")}
    sides = [
        {**one.model_dump(include={"role_name", "host", "port", "username", "database", "schema_name"}),
         "password": one.password.get_secret_value()}
        for one in (stage.places.engine, stage.places.backup)
    ]  # fmt: skip
    port = int(str(stage.places.files.endpoint).rsplit(":", 1)[1])
    given = json.dumps({"sides": sides, "redis": stage.places.redis.port, "s3": port, "calls": calls})
    with started([sys.executable, "-c", _WORKER, given], dict(os.environ), tmp_path / "log") as process:
        wait_until(lambda: process.poll() is not None, "the worker has ended")
        assert process.returncode == -signal.SIGKILL, (tmp_path / "log").read_text()
    stage.clean()
    there = {name for name in stage.data.names() if ":" in name and "process-instance-id" not in name}
    assert there | stage.data.files() == kept
    assert stage.data.redis.smembers(FORMS) == {"process/9/task/sign"}
