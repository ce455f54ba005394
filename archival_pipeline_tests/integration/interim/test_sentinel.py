"""A cleanup over Sentinel, with passwords and TLS, while the master is killed."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
from pydantic import SecretStr
from redis.sentinel import SentinelConnectionPool

from archival_pipeline.interim import redis_store
from archival_pipeline.interim.redis_client import open_redis
from archival_pipeline.interim.service import opened
from archival_pipeline_tests.support.interim import FORMS
from archival_pipeline_tests.support.processes import wait_until
from archival_pipeline_tests.support.sentinels import DATA_PASSWORD, MASTER, WATCH_PASSWORD, Sentinels
from archival_pipeline_tests.support.tls_proxy import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline_tests.support.interim import Stage

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(600)]


@pytest.fixture
def group(server_folder: Path) -> Iterator[Sentinels]:
    folder = Path(tempfile.mkdtemp(prefix="sentinels-", dir=server_folder))
    with Sentinels(folder) as sentinels:
        yield sentinels


def through_sentinel(stage: Stage, group: Sentinels) -> Stage:
    """The stage with its Redis behind Sentinels."""
    given = {
        "host": None,
        "password": SecretStr(DATA_PASSWORD),
        "ssl": True,
        "ca_cert": SecretStr(group.authority.pem()),
        "sentinel_master": MASTER,
        "sentinel_nodes": ",".join(f"127.0.0.1:{port}" for port in group.watch_doors),
        "sentinel_password": SecretStr(WATCH_PASSWORD),
    }
    return stage.with_redis(**given)


def answers(client: redis.Redis, replicas: int) -> bool:
    try:
        return int(client.info("replication")["connected_slaves"]) >= replicas
    except redis.RedisError:
        return False


def port_of_master(client: redis.Redis) -> int:
    pool = client.connection_pool
    assert isinstance(pool, SentinelConnectionPool)
    return int(pool.get_master_address()[1])  # type: ignore[no-untyped-call]


def test_master_killed_in_mid_cleanup(stage: Stage, group: Sentinels, monkeypatch: pytest.MonkeyPatch) -> None:
    behind = through_sentinel(stage, group)
    client = open_redis(behind.places.redis)
    wait_until(lambda: answers(client, 2), "both replicas follow")
    behind = replace(behind, data=type(stage.data)(client, stage.data.s3))
    for number in range(1, 401):
        stage.engine.start(str(number))
        for task in ("fill", "check", "sign"):
            behind.data.task_form(str(number), task)
        if number % 2:
            stage.engine.end(str(number))
    assert client.wait(2, 10_000) == 2
    kept = {key for key in behind.data.names() if _number(key) % 2 == 0 and key != FORMS}
    before = {key: client.hgetall(key) for key in kept if "process-instance-id" not in key}
    master = port_of_master(client)
    send = redis_store.RedisStore._send
    calls = iter(range(10_000))

    def killing(store: redis_store.RedisStore, commands: list[tuple[str, ...]]) -> list[object]:
        if next(calls) == 5:
            group.server_behind(master).kill()
        return send(store, commands)

    monkeypatch.setattr(redis_store.RedisStore, "_send", killing)

    told: list[tuple[str | None, int]] = []

    def all_done() -> bool:
        with opened(behind.places, sleep=lambda _: None) as everything:
            everything.books.due_at_once()
            cleanup = everything.cleanup(lambda: False)
            cleanup.read_ended(20)
            report = cleanup.clean("redis")
            told.append((report.down, report.again))
            # The files of these processes have work of their own, which nobody does here.
            return report.down is None and all(one.store != "redis" for one in everything.books.backlog())

    wait_until(all_done, "the new master has done everything", seconds=240)
    assert port_of_master(client) != master
    assert any(down is not None for down, _ in told), "nobody noticed that the master was away"
    assert sum(again for _, again in told) > 0, "the work done before the failover was not done again"
    left = behind.data.names()
    assert {key for key in left if _number(key) % 2 == 1} == set()
    assert {key: client.hgetall(key) for key in before} == before
    assert len(client.smembers(FORMS)) == 600
    client.close()


def _number(key: str) -> int:
    """The process that a key belongs to; 0 for the keyspace set."""
    parts = key.replace("process-instance-id:", "process/").split("/")
    return int(parts[1]) if len(parts) > 1 else 0


@pytest.mark.parametrize(
    "changed",
    [
        {"password": SecretStr("wrong-data")},
        {"sentinel_password": SecretStr("wrong-watch")},
        {"ca_cert": SecretStr(Authority.create("another").pem())},
        {"ssl": False, "ca_cert": None, "password": None},
    ],
    ids=["password of the data", "password of the Sentinels", "certificate", "nothing at all"],
)
def test_wrong_credentials_are_refused_and_never_shown(
    stage: Stage, group: Sentinels, changed: dict[str, object]
) -> None:
    stage.engine.start("1")
    stage.engine.end("1")
    told = through_sentinel(stage, group).with_redis(**changed).clean()["redis"].down
    assert told is not None
    assert "wrong-" not in told
