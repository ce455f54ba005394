"""A stage for interim data: an engine's database, the books, a Redis and an S3 server, and data as services write it.

Not here: the servers (``archival_pipeline.local.interim_servers``).
"""

from __future__ import annotations

import hashlib
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import boto3
import redis
from botocore.config import Config
from pydantic import SecretStr

from archival_pipeline.database.connections import connect
from archival_pipeline.interim.books import Books
from archival_pipeline.interim.service import Opened, Places, opened
from archival_pipeline.local.interim_servers import BUCKET, HOST
from archival_pipeline.settings_interim import FileSettings, InterimSettings, KeepSettings, RedisSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import psycopg
    from mypy_boto3_s3 import S3Client

    from archival_pipeline.interim.cleanup import StoreReport
    from archival_pipeline.interim.engines import EngineName
    from archival_pipeline.interim.restoring import RestoreReport
    from archival_pipeline.interim.sweeper import SweepReport
    from archival_pipeline.settings import DatabaseSettings

FORMS = "bpm-form-submissions"
PAYLOADS = "bpm-message-payloads"
START_FORM = "start_form_ceph_key"
START_PAYLOAD = "start_message_payload_storage_key"


class Engine(Protocol):
    """What tests make an engine do."""

    name: EngineName
    session: psycopg.Connection[Any]

    def start(self, process: str, parent: str | None = None) -> None: ...

    def end(self, process: str, at: datetime | None = None) -> None: ...

    def variable(self, process: str, name: str, value: str) -> None: ...

    def forget(self, process: str) -> None: ...

    def on(self, session: psycopg.Connection[Any]) -> Engine: ...


@dataclass
class JbpmEngine:
    """Writes what jBPM writes when processes start and end."""

    session: psycopg.Connection[Any]
    name: EngineName = "jbpm"

    def start(self, process: str, parent: str | None = None) -> None:
        """A running instance."""
        self.session.execute(
            "INSERT INTO processinstancelog"
            " (id, processinstanceid, parentprocessinstanceid, processid, status, start_date)"
            " VALUES (%(id)s, %(id)s, %(parent)s, 'p', 1, %(at)s)",
            {"id": int(process), "parent": int(parent or -1), "at": datetime.now(UTC).replace(tzinfo=None)},
        )
        self.session.execute(
            "INSERT INTO processinstanceinfo (instanceid, processid, state) VALUES (%s, 'p', 1)", (int(process),)
        )

    def end(self, process: str, at: datetime | None = None) -> None:
        """It completes, in one transaction."""
        with self.session.transaction():
            self.session.execute("DELETE FROM processinstanceinfo WHERE instanceid = %s", (int(process),))
            self.session.execute(
                "UPDATE processinstancelog SET status = 2, end_date = %s WHERE processinstanceid = %s",
                ((at or datetime.now(UTC)).replace(tzinfo=None), int(process)),
            )

    def variable(self, process: str, name: str, value: str) -> None:
        """A variable gets a value."""
        self.session.execute(
            "INSERT INTO variableinstancelog (id, processinstanceid, variableid, value, log_date)"
            " VALUES ((SELECT coalesce(max(id), 0) + 1 FROM variableinstancelog), %s, %s, %s, now())",
            (int(process), name, value),
        )

    def forget(self, process: str) -> None:
        """History is cleaned, or the tree has moved to the archive."""
        self.session.execute("DELETE FROM processinstancelog WHERE processinstanceid = %s", (int(process),))
        self.session.execute("DELETE FROM variableinstancelog WHERE processinstanceid = %s", (int(process),))

    def on(self, session: psycopg.Connection[Any]) -> JbpmEngine:
        """The same engine in another session."""
        return replace(self, session=session)


@dataclass
class CamundaEngine:
    """Writes what Camunda writes when processes start and end."""

    session: psycopg.Connection[Any]
    name: EngineName = "camunda"

    def start(self, process: str, parent: str | None = None) -> None:
        """A running instance, with its history."""
        row = self.session.execute(
            "SELECT root_proc_inst_id_ FROM act_hi_procinst WHERE proc_inst_id_ = %s", (parent,)
        ).fetchone()
        given = {"id": process, "root": row[0] if row else process, "super": parent}
        self.session.execute(
            "INSERT INTO act_hi_procinst (id_, proc_inst_id_, proc_def_id_, start_time_, root_proc_inst_id_,"
            " super_process_instance_id_, state_) VALUES (%(id)s, %(id)s, 'p:1', now(), %(root)s, %(super)s, 'ACTIVE')",
            given,
        )
        self.session.execute(
            "INSERT INTO act_ru_execution (id_, rev_, proc_inst_id_, root_proc_inst_id_)"
            " VALUES (%(id)s, 1, %(id)s, %(root)s)",
            given,
        )

    def end(self, process: str, at: datetime | None = None) -> None:
        """It completes, in one transaction."""
        with self.session.transaction():
            self.session.execute("DELETE FROM act_ru_variable WHERE proc_inst_id_ = %s", (process,))
            self.session.execute("DELETE FROM act_ru_execution WHERE proc_inst_id_ = %s", (process,))
            self.session.execute(
                "UPDATE act_hi_procinst SET state_ = 'COMPLETED', end_time_ = %s WHERE proc_inst_id_ = %s",
                ((at or datetime.now(UTC)).replace(tzinfo=None), process),
            )

    def variable(self, process: str, name: str, value: str) -> None:
        """A variable gets a value."""
        given = {"id": str(uuid.uuid4()), "process": process, "name": name, "value": value}
        self.session.execute(
            "INSERT INTO act_ru_variable (id_, rev_, type_, name_, proc_inst_id_, execution_id_, text_, var_scope_)"
            " VALUES (%(id)s, 1, 'string', %(name)s, %(process)s, %(process)s, %(value)s, %(process)s)",
            given,
        )
        self.session.execute(
            "INSERT INTO act_hi_varinst (id_, proc_inst_id_, name_, var_type_, text_)"
            " VALUES (%(id)s, %(process)s, %(name)s, 'string', %(value)s)",
            given,
        )

    def forget(self, process: str) -> None:
        """History is cleaned, or the tree has moved to the archive."""
        self.session.execute("DELETE FROM act_hi_varinst WHERE proc_inst_id_ = %s", (process,))
        self.session.execute("DELETE FROM act_hi_procinst WHERE proc_inst_id_ = %s", (process,))

    def on(self, session: psycopg.Connection[Any]) -> CamundaEngine:
        """The same engine in another session."""
        return replace(self, session=session)


class Data:
    """Writes interim data in the way of the engine's services."""

    def __init__(self, client: redis.Redis, s3: S3Client) -> None:
        """Write into these."""
        self.redis = client
        self.s3 = s3

    def form(self, key: str, *, index: str | None = None, token: str | None = None) -> str:
        """A saved form; listed in the index of a process if one is given."""
        content: dict[str | bytes | bytearray | memoryview[int] | int | float, Any] = {
            "_class": "FormDataRedis",
            "id": key,
            "data": '{"a": 1}',
        }
        if token is not None:
            content["accessToken"] = token
        self.redis.hset(f"{FORMS}:{key}", mapping=content)
        self.redis.sadd(FORMS, key)
        if index is not None:
            self.redis.sadd(f"{FORMS}:process-instance-id:{index}", f"{FORMS}:{key}")
        return key

    def task_form(self, process: str, task: str = "sign", token: str | None = None, *, indexed: bool = True) -> str:
        """Data of a user task."""
        return self.form(f"process/{process}/task/{task}", index=process if indexed else None, token=token)

    def start_form(self, token: str | None = None) -> str:
        """Data of a start form; no index lists it."""
        return self.form(f"process-definition/add-lab/start-form/{uuid.uuid4()}", token=token)

    def external_start(self) -> str:
        """Data of a start by another system."""
        return self.form(f"lowcode_add_lab_start_form_{uuid.uuid4()}")

    def signature(self, root: str, process: str) -> str:
        """A system signature; listed under the root."""
        return self.form(f"lowcode_{root}_{process}_system_signature_ceph_key", index=root)

    def batch_signature(self, root: str, process: str, number: int) -> str:
        """One signature of a batch; listed under the root."""
        return self.form(f"lowcode_{process}_system_signature_ceph_key_{number}", index=root)

    def payload(self) -> str:
        """A message payload."""
        key = f"process-definition/add-lab/start-message/{uuid.uuid4()}"
        self.redis.hset(f"{PAYLOADS}:{key}", mapping={"_class": "PayloadRedis", "id": key, "data": "{}"})
        self.redis.sadd(PAYLOADS, key)
        return key

    def file(self, root: str, size: int = 10) -> str:
        """A file of a form."""
        key = f"process/{root}/{uuid.uuid4()}"
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=b"x" * size)
        return key

    def names(self) -> set[str]:
        """Everything in Redis."""
        return set(self.redis.scan_iter(count=1000))

    def files(self) -> set[str]:
        """Everything in the bucket."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return {found["Key"] for page in pages for found in page.get("Contents", [])}

    def digests(self, keys: set[str]) -> dict[str, str]:
        """Content of keys, in a form that is easily compared."""
        found: dict[str, str] = {}
        names = sorted(keys)
        raw = redis.Redis(connection_pool=_bytes_pool(self.redis))
        for at in range(0, len(names), 1_000):
            pipeline = raw.pipeline(transaction=False)
            for key in names[at : at + 1_000]:
                pipeline.dump(key)
            dumps = zip(names[at : at + 1_000], pipeline.execute(), strict=True)
            found |= {key: hashlib.sha256(dump or b"").hexdigest() for key, dump in dumps}
        raw.close()
        return found

    def contents(self) -> dict[str, Any]:
        """Everything in both stores, by name; unlike a digest it knows no order of fields and members."""
        read: dict[str, Callable[[str], Any]] = {
            "set": self.redis.smembers,
            "hash": self.redis.hgetall,
            "string": self.redis.get,
        }
        found = {key: read[str(self.redis.type(key))](key) for key in self.names()}
        bodies = {key: self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in self.files()}
        return found | bodies

    def clear(self) -> None:
        """An empty Redis and an empty bucket."""
        self.redis.flushall()
        for key in self.files():
            self.s3.delete_object(Bucket=BUCKET, Key=key)


def _bytes_pool(client: redis.Redis) -> redis.ConnectionPool:
    """The same server, with answers as they are: a dump is no text."""
    given = {**client.connection_pool.connection_kwargs, "decode_responses": False}
    return redis.ConnectionPool(**given)


@dataclass
class Stage:
    """Everything a test needs.

    Attributes:
        engine: whose processes.
        data: their data.
        places: what the product is told.
        slept: pauses that the product made, in seconds; none of them was spent.
    """

    engine: Engine
    data: Data
    places: Places
    slept: list[float] = field(default_factory=list)

    @contextmanager
    def opened(self) -> Iterator[Opened]:
        """The product's own sessions and clients."""
        with opened(self.places, sleep=self.slept.append) as everything:
            yield everything

    def clean(self, page: int = 100) -> dict[str, StoreReport]:
        """One whole cleanup."""
        with self.opened() as everything:
            cleanup = everything.cleanup(lambda: False)
            cleanup.read_ended(page)
            stores = (("redis", everything.redis), ("files", everything.files))
            return {name: everything.clean(name, lambda: False) for name, there in stores if there is not None}  # type: ignore[arg-type]

    def sweep(self, *, grace: timedelta = timedelta(0), dry_run: bool = False) -> SweepReport:
        """One whole sweep."""
        with self.opened() as everything:
            return everything.sweeper(lambda: False, grace).sweep(dry_run=dry_run)

    @contextmanager
    def books(self) -> Iterator[Books]:
        """The books, for looking."""
        with connect(self.places.backup, purpose="look", autocommit=True) as session:
            yield Books(session)

    def restore(self, *processes: str) -> RestoreReport:
        """Put back what was kept of processes."""
        with self.opened() as everything:
            return everything.restorer().restore(processes)

    def keeping(self, keep: KeepSettings) -> Stage:
        """The same stage where data is kept before it is removed."""
        return replace(self, places=replace(self.places, keep=keep), slept=[])

    def retry_now(self) -> None:
        """As if the pauses of the backlog were over."""
        with self.books() as books:
            books.due_at_once()

    def with_redis(self, **changed: Any) -> Stage:
        """The same stage with another way to Redis."""
        places = replace(self.places, redis=self.places.redis.model_copy(update=changed))
        return replace(self, places=places, slept=[])


def places_of(
    name: EngineName, engine: DatabaseSettings, backup: DatabaseSettings, redis_port: int, s3_port: int
) -> Places:
    """What the product is told about these servers."""
    stores = {
        "redis": RedisSettings.model_construct(
            host=HOST, port=redis_port, username=None, password=None, database=0, ssl=False, ca_cert=None,
            ca_cert_path=None, sentinel_nodes=None, sentinel_master=None, sentinel_username=None,
            sentinel_password=None, forms=FORMS, payloads=PAYLOADS,
        ),
        "files": FileSettings.model_construct(
            endpoint=f"http://{HOST}:{s3_port}", access_key="local", secret_key=SecretStr("local"), bucket=BUCKET,
            region="us-east-1", ca_cert_path=None,
        ),
    }  # fmt: skip
    return Places(name, engine, "UTC", backup, stores["redis"], stores["files"], interim_settings())  # type: ignore[arg-type]


def interim_settings(**changed: Any) -> InterimSettings:
    """Defaults, whatever the environment of whoever runs the tests."""
    defaults: Mapping[str, Any] = {
        name: info.get_default(call_default_factory=True) for name, info in InterimSettings.model_fields.items()
    }
    return InterimSettings.model_construct(**{**defaults, **changed})


def redis_client(port: int, **arguments: Any) -> redis.Redis:
    """A client of the tests' own."""
    return redis.Redis(host=HOST, port=port, decode_responses=True, encoding_errors="surrogateescape", **arguments)


def s3_client(port: int) -> S3Client:
    """A client of the tests' own."""
    return boto3.client(
        "s3",
        endpoint_url=f"http://{HOST}:{port}",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )
