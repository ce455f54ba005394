"""Interim data for ``make dev``: a Redis and an S3 server with sample data of the sample processes, on demand.

They are filled anew at each start, and what they held is gone when they stop: the cleanup of a playground should always
have something to do. Not here: the servers themselves (``interim_servers.py``).
"""

from __future__ import annotations

import json
import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import boto3
import redis

from archival_pipeline.database.connections import connect
from archival_pipeline.local.interim_servers import BUCKET, HOST, EmbeddedRedis, EmbeddedS3

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from archival_pipeline.settings import Settings

SWITCH = "DEV_INTERIM"
_FORMS = "bpm-form-submissions"
_OWN = (
    "STORAGE_BACKEND_REDIS_HOST",
    "STORAGE_BACKEND_REDIS_SENTINEL_NODES",
    "LOWCODE_FILE_STORAGE_BACKEND_CEPH_HTTP_ENDPOINT",
)
_VARIABLES = "interim.json"
# Enough to see something; each file is a request of its own.
_PROCESSES, _FILES = 2_000, 100


def wished(environment: Mapping[str, str]) -> bool:
    """Whether they are to be started: asked for, and nobody has named stores of their own."""
    return environment.get(SWITCH, "") not in {"", "0", "false"} and not any(environment.get(name) for name in _OWN)


def variables(folder: Path) -> dict[str, str]:
    """The variables of the stores that run in a folder; none where none do."""
    path = folder / _VARIABLES
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


@contextmanager
def stores(folder: Path, settings: Settings) -> Iterator[dict[str, str]]:
    """Both servers, filled; yields what the product has to be told.

    Args:
        folder: home of the embedded servers.
        settings: the sample engine's database, and the backup database with the books.
    """
    path = folder / _VARIABLES
    # The port is another one each time, so the configuration is written anew.
    (folder / "redis" / "redis.conf").unlink(missing_ok=True)
    with ExitStack() as running:
        cache = running.enter_context(EmbeddedRedis(folder / "redis", options=["appendonly no"]))
        s3 = running.enter_context(EmbeddedS3(folder / "s3"))
        _fill(cache.port, s3.port, settings)
        found = cache.variables() | s3.variables()
        path.touch(mode=0o600)
        path.write_text(json.dumps(found), encoding="utf-8")
        running.callback(path.unlink, missing_ok=True)
        yield found


def _fill(redis_port: int, s3_port: int, settings: Settings) -> None:
    """Forms and files as the engine's services write them, of processes that run and of some that are over."""
    with connect(settings.primary, purpose="sample interim data") as session:
        rows = session.execute(
            "SELECT processinstanceid, coalesce(parentprocessinstanceid, 0) <= 0 FROM processinstancelog"
            " ORDER BY processinstanceid DESC LIMIT %s",
            (_PROCESSES,),
        ).fetchall()
    client = redis.Redis(host=HOST, port=redis_port)
    pipeline = client.pipeline(transaction=False)
    for process, _ in rows:
        for task in ("fill", "sign"):
            key = f"process/{process}/task/{task}"
            pipeline.hset(f"{_FORMS}:{key}", mapping={"_class": "FormDataRedis", "id": key, "data": '{"sample": true}'})
            pipeline.sadd(_FORMS, key)
            pipeline.sadd(f"{_FORMS}:process-instance-id:{process}", f"{_FORMS}:{key}")
    pipeline.execute()
    client.close()
    s3 = boto3.client(
        "s3",
        endpoint_url=f"http://{HOST}:{s3_port}",
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 - the embedded server takes any
        region_name="us-east-1",
    )
    for process in [process for process, is_root in rows if is_root][:_FILES]:
        s3.put_object(Bucket=BUCKET, Key=f"process/{process}/sample.txt", Body=os.urandom(256))
    s3.close()
    # What was read before counts as done; the data is new.
    with connect(settings.backup, purpose="sample interim data") as session:
        session.execute("DELETE FROM interim_state WHERE name = 'cursor:jbpm'")
