"""``make bench-history``: events taken in per second, slice by slice, and answers to users at the 95th percentile.

Prints; judges nothing but that every event arrived and that every list goes by an index.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import click
import httpx
import psutil
from cryptography.hazmat.primitives.asymmetric import rsa
from psycopg import sql

from archival_pipeline.api.history.app import history_app
from archival_pipeline.database.connections import Limits, connect
from archival_pipeline.database.sqlfiles import load_sql
from archival_pipeline.history.events.wire import encode
from archival_pipeline.history.subscriber.subscriber import Subscriber
from archival_pipeline.history.transport.kafka import create_topics
from archival_pipeline.local.postgres import EmbeddedPostgres
from archival_pipeline.settings_api import LimitSettings
from archival_pipeline_tests.integration.history.api.conftest import Tokens, api_settings, public_pem
from archival_pipeline_tests.support import kafka_broker
from archival_pipeline_tests.support.history import START, TOPICS, Wires, migrate, process_event, task_event

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from archival_pipeline.history.events.model import HistoryEvent
    from archival_pipeline.settings import DatabaseSettings

_AT_A_TIME = 20_000
_BATCH = 2_000
_LISTS = {
    "/api/runtime/process-instances": "list_running",
    "/api/history/process-instances": "list_finished",
    "/api/history/tasks": "list_tasks",
}
_USERS = 10_000
_REQUESTS = 300


@click.command()
@click.option("--events", default=100_000, show_default=True, help="Events to take in.")
@click.option("--rows", default=400_000, show_default=True, help="Rows to ask for: half processes, half tasks.")
@click.option("--kafka", is_flag=True, help="Take the events from a real Kafka instead of the table.")
def main(*, events: int, rows: int, kafka: bool) -> None:
    """Measure on an embedded server of its own."""
    with tempfile.TemporaryDirectory(prefix="bench-history-") as folder:
        Path(folder).chmod(0o755)
        # What is filled in the transaction that emptied it is written once, not twice.
        options = {"shared_buffers": "256MB", "max_wal_size": "4GB", "wal_level": "minimal", "max_wal_senders": "0"}
        with EmbeddedPostgres(Path(folder) / "server", options=options) as server:
            if events:
                _subscribing(server.create_database("stream"), events, Path(folder), kafka=kafka)
            if rows:
                _answering(server.create_database("answers"), rows)


def _subscribing(database: DatabaseSettings, number: int, folder: Path, *, kafka: bool) -> None:
    migrate(database)
    with _wires(database, kafka=kafka) as wires, closing(wires.producer()) as producer:
        started = time.perf_counter()
        sent = 0
        story = _story(number)
        while piece := [encode(event, TOPICS) for event in islice(story, _AT_A_TIME)]:
            producer.send(piece)
            sent += len(piece)
        _print(f"{sent} events sent over {wires.name}: {sent / (time.perf_counter() - started):,.0f} events/s")
        with closing(wires.consumer()) as consumer:
            subscriber = Subscriber(database, consumer, producer, TOPICS, batch_size=_BATCH, sleep=lambda _: None)
            _slices(subscriber, sent, folder)


def _cpu(folder: Path) -> tuple[float, float]:
    """CPU seconds of this process and of the server, which others on the machine do not change."""
    (pid_file,) = folder.rglob("postmaster.pid")
    postmaster = psutil.Process(int(pid_file.read_text(encoding="utf-8").split("\n", 1)[0]))
    times = [process.cpu_times() for process in (postmaster, *postmaster.children(recursive=True))]
    return time.process_time(), sum(each.user + each.system for each in times)


def _slices(subscriber: Subscriber, sent: int, folder: Path) -> None:
    costs = []
    subscriber.round(0)
    ours, servers = _cpu(folder)
    whole = time.perf_counter()
    slice_size = max(sent // 10, 1)
    while subscriber.progress.records < sent:
        before, started, cpu = subscriber.progress.records, time.perf_counter(), sum(_cpu(folder))
        while subscriber.progress.records - before < slice_size and subscriber.progress.records < sent:
            subscriber.round(5.0)
        taken = subscriber.progress.records - before
        rate = taken / (time.perf_counter() - started)
        costs.append((sum(_cpu(folder)) - cpu) / taken * 1e6)
        told = f"last slice {rate:>8,.0f} events/s, {costs[-1]:.0f} us CPU an event"
        _print(f"  {subscriber.progress.records:>9} events taken in, {told}")
    ours, servers = (after - before for after, before in zip(_cpu(folder), (ours, servers), strict=True))
    subscriber.close()
    _print(f"CPU: {ours / sent * 1e6:.0f} us an event here, {servers / sent * 1e6:.0f} us in the server")
    _print(f"subscribe: {sent / (time.perf_counter() - whole):,.0f} events/s over all")
    _print(f"CPU per event, last slice against first: {costs[-1] / costs[0]:.2f}")
    if subscriber.progress.dead:
        sys.exit("events were put aside")


def _story(number: int) -> Iterator[HistoryEvent]:
    """Four events an instance: it starts, its task is created and completed, it ends."""
    for instance in range(number // 4):
        user = f"user-{instance % _USERS}"
        end = START + timedelta(seconds=instance)
        yield process_event(instance, 1, start_user_id=user)
        yield task_event(instance, 1, assignee=user)
        yield task_event(instance, 2, "COMPLETE", assignee=user, end_time=end)
        yield process_event(instance, 2, "END", start_user_id=user, state="COMPLETED", end_time=end)


@contextmanager
def _wires(database: DatabaseSettings, *, kafka: bool) -> Iterator[Wires]:
    if not kafka:
        yield Wires("table", database, None)
        return
    reason = kafka_broker.missing()
    if reason:
        sys.exit(reason)
    with kafka_broker.broker() as address:
        names = [*TOPICS.names, *(f"{name}.DLT" for name in TOPICS.names)]
        create_topics({"bootstrap.servers": address}, names, partitions=4, replicas=1, keep_ms=86_400_000)
        yield Wires("kafka", database, address)


def _answering(database: DatabaseSettings, number: int) -> None:
    migrate(database)
    started = time.perf_counter()
    with connect(database, purpose="bench", limits=Limits(statement_timeout=0), autocommit=True) as session:
        session.execute("SET maintenance_work_mem = '512MB'")
        for table, statement in (("bpm_history_process", _PROCESSES), ("bpm_history_task", _TASKS)):
            _fill(session, table, statement, number // 2)
        _print(f"{number} rows generated in {time.perf_counter() - started:.0f} s, {_USERS} users")
        for name in _LISTS.values():
            _show_plan(session, name)
    for path, seconds in anyio.run(_ask, database):
        cuts = statistics.quantiles(seconds, n=100)
        _print(
            f"{path:<34} median {cuts[49] * 1000:6.1f} ms   p95 {cuts[94] * 1000:6.1f} ms   ({len(seconds)} requests)"
        )


def _fill(session: psycopg.Connection[Any], table: str, statement: str, rows: int) -> None:
    """Fill a table without its indexes, then make them; a vacuum as the server would have done it by now."""
    with session.transaction():
        session.execute(f"TRUNCATE {table}")
        names = session.execute("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s", [table]).fetchall()
        session.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey")
        others = [(name, made) for name, made in names if name != f"{table}_pkey"]
        for name, _ in others:
            session.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
        session.execute(statement, {"rows": rows, "users": _USERS})
        for _, made in others:
            session.execute(made)
        key = next(made for name, made in names if name == f"{table}_pkey").rsplit("(", 1)[1]
        session.execute(f"ALTER TABLE {table} ADD CONSTRAINT {table}_pkey PRIMARY KEY ({key}")
    session.execute(f"VACUUM ANALYZE {table}")


async def _ask(database: DatabaseSettings) -> list[tuple[str, list[float]]]:
    """One caller, one request after the other, through the app with token and JSON; a different user each time."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    tokens = Tokens(key)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(public_pem(key))
        file.flush()
        settings = api_settings(HISTORY_API_JWT_KEY_PATH=file.name)
        app = history_app(database, settings, LimitSettings.model_validate({}))
    found = []
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://history") as client:
        for path in _LISTS:
            seconds = []
            for number in range(_REQUESTS):
                headers = {"X-Access-Token": tokens.make(preferred_username=f"user-{number * 7919 % _USERS}")}
                started = time.perf_counter()
                response = await client.get(path, headers=headers)
                seconds.append(time.perf_counter() - started)
                response.raise_for_status()
            found.append((path, seconds))
    app.state.history.pools.close()
    return found


def _show_plan(session: object, name: str) -> None:
    order = "start_time DESC" if name == "list_running" else "end_time DESC, start_time DESC"
    statement = f"EXPLAIN SELECT * FROM ({load_sql(f'history/{name}')}) AS listed ORDER BY {order} LIMIT 10"  # noqa: S608
    lines = [row[0] for row in session.execute(statement, {"user": "user-7"})]  # type: ignore[attr-defined]
    used = [line.strip() for line in lines if "Scan" in line]
    _print(f"{name}: {'; '.join(used)}")
    if any("Seq Scan" in line for line in used):
        sys.exit(f"{name} does not go by an index")


_PROCESSES = """
    INSERT INTO bpm_history_process
    SELECT 'p' || n, CASE WHEN n % 5 = 0 THEN 'p' || (n - 1) END, 'loan:1:d', 'loan', 'Loan', 'key-' || n,
        timestamp '2024-01-01' + n * interval '3 seconds',
        CASE WHEN n % 10 > 1 THEN timestamp '2024-01-02' + n * interval '3 seconds' END,
        'user-' || (n * 31 %% %(users)s),
        CASE WHEN n % 10 > 1 THEN (ARRAY['COMPLETED', 'EXTERNALLY_TERMINATED'])[1 + (n % 7 = 0)::int]
            ELSE (ARRAY['ACTIVE', 'SUSPENDED'])[1 + (n % 11 = 0)::int] END,
        NULL, NULL, '{1,1,1,1,1,1,1,1,1,1,1}'
    FROM generate_series(1, %(rows)s) AS n
""".replace(" % ", " %% ")

_TASKS = """
    INSERT INTO bpm_history_task
    SELECT 'sign:' || n, 'sign', 'Sign', 'p' || n, 'loan:1:d', 'loan', 'Loan', 'p' || n,
        timestamp '2024-01-01' + n * interval '3 seconds',
        CASE WHEN n % 10 > 1 THEN timestamp '2024-01-02' + n * interval '3 seconds' END,
        'user-' || (n * 31 %% %(users)s), CASE WHEN n % 10 > 1 THEN 'completed' END, '{1,1,1,1,1,1,1,1,1,1,1}'
    FROM generate_series(1, %(rows)s) AS n
""".replace(" % ", " %% ")


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
