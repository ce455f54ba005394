"""The digest of rows: changed by every change, and by nothing else; the same on every server."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archival_pipeline.archival.digests import EMPTY, Digest
from archival_pipeline.catalogue import statements
from archival_pipeline.catalogue.binding import BoundAddress, BoundTable
from archival_pipeline.catalogue.model import PROCESS
from archival_pipeline.database.connections import connect
from archival_pipeline_tests.support.lookup3 import hash_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import psycopg

    from archival_pipeline_tests.support.databases import TestDatabases

    Session = psycopg.Connection[tuple[Any, ...]]
    Row = tuple[int, str | None]

_BIGINT, _TEXT = 20, 25
_MODULUS = 2**64

TABLE = BoundTable(
    name="sample",
    columns=("pid", "value"),
    lobs=(),
    addresses=(BoundAddress("pid", PROCESS, "bigint"),),
    primary_key=(),
)

TEXTS = st.none() | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12)
ROWS = st.lists(st.tuples(st.integers(1, 4), TEXTS), max_size=12)


@pytest.fixture(scope="module")
def both(primary_databases: TestDatabases, backup_databases: TestDatabases) -> Iterator[tuple[Session, Session]]:
    """A session on each cluster, which may be of different versions."""
    made = [(databases, databases.fresh()) for databases in (primary_databases, backup_databases)]
    with connect(made[0][1], purpose="digests") as one, connect(made[1][1], purpose="digests") as other:
        for session in (one, other):
            session.execute("CREATE TABLE sample (pid bigint NOT NULL, value text)")
        yield one, other
    for databases, database in made:
        databases.drop(database)


def _digest(session: Session, rows: Sequence[Row], pids: Sequence[int] = (1, 2, 3, 4)) -> Digest:
    with session.transaction(force_rollback=True), session.cursor() as cursor:
        cursor.executemany("INSERT INTO sample (pid, value) VALUES (%s, %s)", rows)
        return _read(session, pids)


def _read(session: Session, pids: Sequence[int]) -> Digest:
    statement = statements.digest(TABLE, frozenset({PROCESS}), archive=False)
    assert statement is not None
    row = session.execute(statement, {PROCESS: list(pids)}).fetchone()
    assert row is not None
    return Digest.from_sums(*row[:3])


def _by_hand(rows: Sequence[Row]) -> Digest:
    """The digest as the protocol of PostgreSQL describes a record, without PostgreSQL."""
    high = low = 0
    for pid, value in rows:
        image = struct.pack("!iIiq", 2, _BIGINT, 8, pid) + struct.pack("!I", _TEXT)
        encoded = None if value is None else value.encode()
        image += struct.pack("!i", -1) if encoded is None else struct.pack("!i", len(encoded)) + encoded
        high = (high + hash_text(image.hex(), 0)) % _MODULUS
        low = (low + hash_text(image.hex(), 1)) % _MODULUS
    return Digest(len(rows), high, low)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_p5_order_does_not_matter(both: tuple[Session, Session], rows: list[Row], random: Any) -> None:
    shuffled = random.sample(rows, len(rows))

    assert _digest(both[0], rows) == _digest(both[0], shuffled)


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_p5_batches_add_up(both: tuple[Session, Session], rows: list[Row]) -> None:
    session = both[0]
    with session.transaction(force_rollback=True), session.cursor() as cursor:
        cursor.executemany("INSERT INTO sample (pid, value) VALUES (%s, %s)", rows)
        whole, parts = _read(session, [1, 2, 3, 4]), [_read(session, pids) for pids in ([1], [2, 3], [4])]

    assert sum(parts, start=EMPTY) == whole
    assert whole.rows == len(rows)


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_p5_every_server_gives_what_the_protocol_says(both: tuple[Session, Session], rows: list[Row]) -> None:
    assert _digest(both[0], rows) == _digest(both[1], rows) == _by_hand(rows)


@settings(max_examples=100, deadline=None)
@given(ROWS, ROWS)
def test_p5_different_rows_have_different_digests(
    both: tuple[Session, Session], rows: list[Row], others: list[Row]
) -> None:
    assert (_digest(both[0], rows) == _digest(both[0], others)) == (sorted(rows, key=repr) == sorted(others, key=repr))


PAIRS = [
    ("numeric", "1.0", "1.00"),
    ("double precision", "0.0", "-0.0"),
    ("double precision", "1", "1.0000000000000002"),
    ("json", '{"a":1}', '{"a": 1}'),
    ("jsonb", '{"a": 1}', '{"a": 1.0}'),
    ("timestamp", "2026-01-01 00:00:00", "2026-01-01 00:00:00.000001"),
    ("timestamptz", "2026-01-01 00:00:00Z", "2026-01-01 00:00:00+01"),
    ("timestamp", "infinity", "-infinity"),
    ("interval", "1 day", "24 hours"),
    ("text", "a", "a "),
    ("text", "", None),
    ("text", "é", "e\u0301"),
    ("character varying(5)", "a", "A"),
    ("bytea", "\\x00", "\\x0000"),
    ("boolean", "t", "f"),
    ("smallint", "1", "2"),
    ("numeric", "NaN", "Infinity"),
    ("text[]", "{a,b}", "{b,a}"),
    ("uuid", "00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000001"),
]


def _of_value(session: Session, sql_type: str, value: str | None) -> Digest:
    with session.transaction(force_rollback=True):
        session.execute(f"ALTER TABLE sample ALTER COLUMN value TYPE {sql_type} USING NULL")
        session.execute("INSERT INTO sample (pid, value) VALUES (1, %s)", [value])
        return _read(session, [1])


@pytest.mark.parametrize(("sql_type", "one", "other"), PAIRS)
def test_p5_values_that_look_alike_differ(
    both: tuple[Session, Session], sql_type: str, one: str, other: str | None
) -> None:
    assert _of_value(both[0], sql_type, one) != _of_value(both[0], sql_type, other)


@pytest.mark.parametrize(("sql_type", "one", "other"), PAIRS)
def test_p5_values_are_the_same_on_every_server(
    both: tuple[Session, Session], sql_type: str, one: str, other: str | None
) -> None:
    for value in (one, other):
        assert _of_value(both[0], sql_type, value) == _of_value(both[1], sql_type, value)


@pytest.mark.parametrize(
    "setting",
    ["TimeZone = 'Asia/Kathmandu'", "DateStyle = 'German'", "IntervalStyle = 'iso_8601'", "extra_float_digits = -10",
     "bytea_output = 'escape'", "lc_monetary = 'C'"],
)  # fmt: skip
def test_p5_session_settings_do_not_matter(both: tuple[Session, Session], setting: str) -> None:
    session = both[0]
    for sql_type, value in (("timestamptz", "2026-01-01 00:00:00Z"), ("double precision", "0.1"), ("bytea", "\\x00ff")):
        plain = _of_value(session, sql_type, value)
        with session.transaction(force_rollback=True):
            session.execute(f"SET LOCAL {setting}")
            assert _of_value(session, sql_type, value) == plain


def test_the_same_row_twice_is_not_the_row_once(both: tuple[Session, Session]) -> None:
    once, twice, none = (_digest(both[0], [(1, "x")] * times) for times in (1, 2, 0))

    assert len({once, twice, none}) == 3
    assert none == EMPTY
