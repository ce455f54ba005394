"""The scene of the measurement: a Camunda engine with many processes, half of them over, and their data in Redis.

Not here: what is measured (``__main__.py``).
"""

from __future__ import annotations

import random
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from archival_pipeline.database import migrations
from archival_pipeline.database.connections import connect
from archival_pipeline.local.interim_servers import EmbeddedRedis, EmbeddedS3
from archival_pipeline.local.postgres import EmbeddedPostgres
from archival_pipeline_tests.support import camunda
from archival_pipeline_tests.support.interim import (
    FORMS,
    PAYLOADS,
    START_FORM,
    START_PAYLOAD,
    CamundaEngine,
    Data,
    Stage,
    places_of,
    redis_client,
    s3_client,
)

if TYPE_CHECKING:
    from pathlib import Path

    from archival_pipeline.settings import DatabaseSettings

_AT_ONCE = 2_000


@dataclass
class Process:
    """One process of the scene and the keys that belong to it."""

    process_id: str
    over: bool
    keys: list[tuple[str, str]] = field(default_factory=list)
    named: list[tuple[str, str]] = field(default_factory=list)
    indexed: list[str] = field(default_factory=list)


@dataclass
class Scene:
    """Servers with data in them.

    Attributes:
        stage: engine, books and stores.
        redis_server: for its folder and process.
        processes: all of them.
        stack: closes everything.
    """

    stage: Stage
    redis_server: EmbeddedRedis
    processes: list[Process]
    stack: ExitStack

    def expected_gone(self) -> set[str]:
        """Full names of the keys of processes that are over."""
        return {
            f"{space}:{key}" for process in self.processes if process.over for space, key in process.keys
        }  # fmt: skip


def build(folder: Path, amount: int, seed: int) -> Scene:
    """Start servers and fill them."""
    stack = ExitStack()
    cluster = stack.enter_context(EmbeddedPostgres(folder / "postgres", options={"fsync": "off"}))
    engine, books = cluster.create_database("camunda"), cluster.create_database("books")
    camunda.build(engine)
    migrations.upgrade(books, "backup")
    # No append-only file: the disk of this machine is not what is measured.
    server = stack.enter_context(EmbeddedRedis(folder / "redis", options=["appendonly no"]))
    s3 = stack.enter_context(EmbeddedS3(folder / "s3"))
    processes = _draw(amount, random.Random(seed))  # noqa: S311 - a scene that can be drawn again
    _write_engine(engine, processes)
    session = stack.enter_context(connect(engine, purpose="engine", autocommit=True))
    client = redis_client(server.port)
    stack.callback(client.close)
    data = Data(client, s3_client(s3.port))
    _write_redis(data, processes)
    places = places_of("camunda", engine, books, server.port, s3.port)
    return Scene(Stage(CamundaEngine(session), data, places), server, processes, stack)


def _draw(amount: int, chance: random.Random) -> list[Process]:
    drawn = []
    for number in range(amount):
        process = Process(str(uuid.UUID(int=chance.getrandbits(128))), over=number % 2 == 0)
        own = [f"process/{process.process_id}/task/Activity_{task}" for task in range(chance.randint(1, 5))]
        own += [f"lowcode_{process.process_id}_{process.process_id}_system_signature_ceph_key"] * (number % 3 == 0)
        own += [f"lowcode_{process.process_id}_system_signature_ceph_key_{n}" for n in range(number % 7 == 0 and 3)]
        process.indexed = own
        start = uuid.UUID(int=chance.getrandbits(128))
        if number % 2:
            process.named.append((START_FORM, f"lowcode_add_lab_start_form_{start}"))
        else:
            process.named.append((START_FORM, f"process-definition/add-lab/start-form/{start}"))
        if number % 5 == 0:
            process.named.append((START_PAYLOAD, f"process-definition/add-lab/start-message/{start}"))
        process.keys = [(FORMS, key) for key in own]
        process.keys += [(FORMS if name == START_FORM else PAYLOADS, key) for name, key in process.named]
        drawn.append(process)
    return drawn


def _write_engine(settings: DatabaseSettings, processes: list[Process]) -> None:
    with connect(settings, purpose="fill") as session, session.cursor() as cursor:
        history = (
            "act_hi_procinst (id_, proc_inst_id_, proc_def_id_, start_time_, end_time_, root_proc_inst_id_, state_)"
        )
        with cursor.copy(f"COPY {history} FROM STDIN") as copy:
            for process in processes:
                one, end = process.process_id, "2026-10-01 12:00:00" if process.over else None
                state = "COMPLETED" if process.over else "ACTIVE"
                copy.write_row((one, one, "p:1", "2026-09-01 12:00:00", end, one, state))
        running = [process for process in processes if not process.over]
        with cursor.copy("COPY act_ru_execution (id_, rev_, proc_inst_id_, root_proc_inst_id_) FROM STDIN") as copy:
            for process in running:
                copy.write_row((process.process_id, 1, process.process_id, process.process_id))
        with cursor.copy("COPY act_hi_varinst (id_, proc_inst_id_, name_, var_type_, text_) FROM STDIN") as copy:
            for process in processes:
                for name, value in process.named:
                    copy.write_row((str(uuid.uuid4()), process.process_id, name, "string", value))
        columns = "id_, rev_, type_, name_, proc_inst_id_, text_, var_scope_"
        with cursor.copy(f"COPY act_ru_variable ({columns}) FROM STDIN") as copy:
            for process in running:
                for name, value in process.named:
                    row = (str(uuid.uuid4()), 1, "string", name, process.process_id, value, process.process_id)
                    copy.write_row(row)
        cursor.execute("ANALYZE act_hi_procinst, act_ru_execution, act_hi_varinst, act_ru_variable")


def _write_redis(data: Data, processes: list[Process]) -> None:
    for at in range(0, len(processes), _AT_ONCE):
        pipeline = data.redis.pipeline(transaction=False)
        for process in processes[at : at + _AT_ONCE]:
            _write_process(pipeline, process)
        pipeline.execute()


def _write_process(pipeline: Any, process: Process) -> None:
    for space, key in process.keys:
        content = {"_class": "FormDataRedis", "id": key, "data": '{"a": 1, "b": "' + "x" * 200 + '"}'}
        pipeline.hset(f"{space}:{key}", mapping=content)
        pipeline.sadd(space, key)
    index = f"{FORMS}:process-instance-id:{process.process_id}"
    pipeline.sadd(index, *(f"{FORMS}:{key}" for key in process.indexed))
