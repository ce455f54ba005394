"""Streaming rows: every row once, whatever arrives together, and a failure in the middle told as the server told it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
import pytest
from psycopg import sql

from archival_pipeline.database.connections import connect
from archival_pipeline.database.copying import stream
from archival_pipeline.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline.settings import DatabaseSettings

INTO = sql.Composed([sql.SQL("COPY taken FROM STDIN (FORMAT binary)")])


@pytest.fixture
def two(backup_database: DatabaseSettings) -> Iterator[tuple[psycopg.Connection[Any], psycopg.Connection[Any]]]:
    with (
        connect(backup_database, purpose="reading") as origin,
        connect(backup_database, purpose="writing", autocommit=True) as destination,
    ):
        destination.execute("CREATE TABLE taken (number integer, content text)")
        yield origin, destination


def rows_of(select: LiteralString, **numbers: int) -> sql.Composed:
    query = sql.SQL(select).format(**{name: sql.Literal(number) for name, number in numbers.items()})
    return sql.SQL("COPY ({}) TO STDOUT (FORMAT binary)").format(query)


@pytest.mark.parametrize(
    ("rows", "width"),
    [
        pytest.param(0, 1, id="none"),
        pytest.param(1, 1, id="one"),
        pytest.param(1, 3_000_000, id="one wider than many pieces"),
        pytest.param(70_000, 10, id="many narrow ones"),
        pytest.param(500, 20_000, id="more than a buffer"),
    ],
)
def test_every_row_arrives_once(
    two: tuple[psycopg.Connection[Any], psycopg.Connection[Any]], rows: int, width: int
) -> None:
    origin, destination = two
    query = rows_of(
        "SELECT n::integer, repeat('x', {width}) FROM generate_series(1, {rows}) AS n", width=width, rows=rows
    )
    taken, size = stream(origin, query, {}, destination, INTO)
    found = destination.execute("SELECT count(*), count(DISTINCT number), sum(length(content)) FROM taken").fetchone()
    assert taken == rows
    assert found == (rows, rows, rows * width or None)
    assert (size == 0) if rows == 0 else (size > rows * width)


def test_rows_that_look_like_the_end_are_not_the_end(
    two: tuple[psycopg.Connection[Any], psycopg.Connection[Any]],
) -> None:
    origin, destination = two
    select = "SELECT -1, E'\\u00ff\\u00ff' FROM generate_series(1, 5000)"
    assert stream(origin, rows_of(select), {}, destination, INTO)[0] == 5_000


@pytest.mark.parametrize("good_rows", [0, 1, 40_000])
def test_failure_of_the_reading_side_is_told_and_leaves_both_sessions_usable(
    two: tuple[psycopg.Connection[Any], psycopg.Connection[Any]], good_rows: int
) -> None:
    origin, destination = two
    query = rows_of(
        "SELECT n::integer, (1 / (n - {bad}))::text FROM generate_series(1, {rows}) AS n",
        bad=good_rows + 1,
        rows=good_rows + 100,
    )
    with pytest.raises(psycopg.errors.DivisionByZero):
        stream(origin, query, {}, destination, INTO)
    origin.rollback()
    assert origin.execute("SELECT 1").fetchone() == (1,)
    assert destination.execute("SELECT count(*) FROM taken").fetchone() == (0,)


def test_failure_of_the_writing_side_is_told_and_leaves_both_sessions_usable(
    two: tuple[psycopg.Connection[Any], psycopg.Connection[Any]],
) -> None:
    origin, destination = two
    destination.execute("ALTER TABLE taken ADD CHECK (number <> 30000)")
    select = "SELECT n::integer, repeat('x', 100) FROM generate_series(1, 60000) AS n"
    with pytest.raises(psycopg.errors.CheckViolation):
        stream(origin, rows_of(select), {}, destination, INTO)
    origin.rollback()
    assert origin.execute("SELECT 1").fetchone() == (1,)
    assert destination.execute("SELECT count(*) FROM taken").fetchone() == (0,)


def test_other_number_of_rows_is_refused(two: tuple[psycopg.Connection[Any], psycopg.Connection[Any]]) -> None:
    origin, destination = two
    destination.execute(
        "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN IF new.number = 7 THEN RETURN NULL; END IF; RETURN new; END'"
    )
    destination.execute("CREATE TRIGGER swallow BEFORE INSERT ON taken FOR EACH ROW EXECUTE FUNCTION swallow()")
    with pytest.raises(VerificationError, match="10 rows were read and 9 were written"):
        stream(origin, rows_of("SELECT n::integer, 'x' FROM generate_series(1, 10) AS n"), {}, destination, INTO)
