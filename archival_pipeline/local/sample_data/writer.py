"""Gives out ids, collects rows and large objects, and streams them to the engine's tables chunk by chunk.

A chunk is one transaction: large objects first, then every table by COPY in the order of the foreign keys, then the
sequences. The database has to be at rest: ids are counted here and the sequences follow. Not here: what a row says.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from psycopg import sql

from archival_pipeline.catalogue import facts
from archival_pipeline.local import jbpm_schema

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    import psycopg

    from archival_pipeline.local.jbpm_schema import Variant
    from archival_pipeline.local.sample_data.profile import ClobMode

# Above the numbers that a fresh server gives out by itself, so that a forest looks the same on every new server.
_FIRST_LARGE_OBJECT = 1_000_000

_LAST_VALUES = """
SELECT sequencename, coalesce(last_value, start_value - 1) FROM pg_sequences WHERE schemaname = current_schema()
"""
_WRITE_LARGE_OBJECTS = """
SELECT count(lo_from_bytea(number, content)) FROM unnest(%s::oid[], %s::bytea[]) AS given (number, content)
"""


@dataclass(frozen=True, slots=True)
class _Chunk:
    """What one transaction writes: lines by table in the order of the foreign keys, contents by number, last ids."""

    lines: dict[str, list[str]]
    contents: dict[int, bytes]
    ids: dict[str, int]


class Writer:
    """Collects one chunk at a time and writes it with ``flush``, on a thread of its own that it ends as a context.

    Attributes:
        rows: rows written or waiting, by table.
        large_objects: large objects written or waiting.
        orphans: of these, how many no row points to.
    """

    def __init__(self, connection: psycopg.Connection[Any], variant: Variant, clob_mode: ClobMode) -> None:
        self._connection = connection
        self._variant = variant
        self._pointer = clob_mode == "pointer"
        self._bytea = variant.bytea
        self._columns = {table: tuple(c.name for c in found) for table, found in facts.columns(variant.value).items()}
        self._known = {table: frozenset(names) for table, names in self._columns.items()}
        self._lines: dict[str, list[str]] = {table: [] for table in _insertion_order(self._columns)}
        self._sequences = {sequence.table: sequence for sequence in facts.sequences()}
        last_values = dict(connection.execute(_LAST_VALUES).fetchall())
        self._ids: dict[str, int] = {table: last_values[sequence.name] for table, sequence in self._sequences.items()}
        self._contents: dict[int, bytes] = {}
        self._next_number = _first_free_number(connection)
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sample-data")
        self._pending: Future[None] | None = None
        self.rows: Counter[str] = Counter()
        self.large_objects = 0
        self.orphans = 0

    def next_id(self, table: str) -> int:
        """Return the next id of a table's sequence."""
        self._ids[table] = number = self._ids[table] + 1
        return number

    def add(self, table: str, /, **values: object) -> None:
        """Collect one row; a column that is not named stays null."""
        if not values.keys() <= self._known[table]:
            message = f"{table} has no column {sorted(values.keys() - self._known[table])}"
            raise KeyError(message)
        ordered = map(values.get, self._columns[table])
        self._lines[table].append("\t".join([_ENCODERS[type(value)](value) for value in ordered]))

    def blob(self, content: bytes) -> object:
        """Return what a binary column holds for a content: the content, or the number of a new large object."""
        return content if self._bytea else self._large_object(content)

    def clob(self, text: str) -> str:
        """Return what a text column holds for a text: the text, or the number of a new large object in digits."""
        return str(self._large_object(text.encode())) if self._pointer else text

    def orphan(self, content: bytes) -> int:
        """Leave a large object that no row points to, as every update by the engine does; return its number."""
        self.orphans += 1
        return self._large_object(content)

    def missing_number(self) -> int:
        """Return a number at which there is no large object and never will be."""
        self._next_number += 1
        return self._next_number - 1

    @property
    def binary_numbers(self) -> bool:
        """Whether binary columns hold numbers of large objects."""
        return not self._bytea

    @property
    def text_numbers(self) -> bool:
        """Whether text columns hold numbers of large objects."""
        return self._pointer

    @property
    def uses_large_objects(self) -> bool:
        """Whether this mode writes large objects at all."""
        return self._pointer or not self._bytea

    def flush(self) -> None:
        """Hand what was collected to the server, in one transaction (a savepoint when the caller is inside one).

        The server works while the next chunk is being made; ``drain`` waits for it.
        """
        self.drain()
        chunk = _Chunk({table: found for table, found in self._lines.items() if found}, self._contents, dict(self._ids))
        self.rows.update({table: len(found) for table, found in chunk.lines.items()})
        self._lines, self._contents = {table: [] for table in self._lines}, {}
        self._pending = self._worker.submit(self._write, chunk)

    def drain(self) -> None:
        """Wait until everything that was flushed is in the database, and raise what went wrong there."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self._worker.shutdown(wait=True)

    def _write(self, chunk: _Chunk) -> None:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            if chunk.contents:
                cursor.execute(_WRITE_LARGE_OBJECTS, (list(chunk.contents), list(chunk.contents.values())))
            for table, lines in chunk.lines.items():
                self._copy(cursor, table, lines)
            self._advance_sequences(cursor, chunk.ids)

    def _large_object(self, content: bytes) -> int:
        number = self._next_number
        self._next_number += 1
        self._contents[number] = content
        self.large_objects += 1
        return number

    def _copy(self, cursor: psycopg.Cursor[Any], table: str, lines: list[str]) -> None:
        names = sql.SQL(", ").join(map(sql.Identifier, self._columns[table]))
        with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)) as copy:
            copy.write("\n".join(lines))
            copy.write("\n")

    def _advance_sequences(self, cursor: psycopg.Cursor[Any], ids: dict[str, int]) -> None:
        """Set each used sequence to the end of the block that its last id came from, as the engine leaves it."""
        calls = []
        for table, sequence in self._sequences.items():
            last = ids[table]
            if last < sequence.start:
                continue
            step = jbpm_schema.increment(sequence, self._variant)
            block_end = sequence.start + -(-(last - sequence.start) // step) * step
            calls.append(sql.SQL("setval({}, {})").format(sequence.name, block_end))
        if calls:
            cursor.execute(sql.SQL("SELECT {}").format(sql.SQL(", ").join(calls)))


def _insertion_order(tables: dict[str, tuple[str, ...]]) -> list[str]:
    ranks = {name: relation.insert_rank or 0 for name, relation in facts.relations().items()}
    return sorted(tables, key=lambda name: (ranks[name], name))


def _first_free_number(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT coalesce(max(oid)::bigint, 0) FROM pg_largeobject_metadata").fetchone()
    return max(int(row[0]) + 1 if row else 0, _FIRST_LARGE_OBJECT)


def _text(value: str) -> str:
    """Escape what COPY would read as its own marks."""
    if "\\" in value:
        value = value.replace("\\", "\\\\")
    if "\t" in value:
        value = value.replace("\t", "\\t")
    if "\n" in value:
        value = value.replace("\n", "\\n")
    if "\r" in value:
        value = value.replace("\r", "\\r")
    return value


# One value in COPY's text form, by its type.
_ENCODERS: dict[type, Callable[[Any], str]] = {
    type(None): lambda _: "\\N",
    str: _text,
    int: str,
    bool: lambda value: "t" if value else "f",
    bytes: lambda value: "\\\\x" + value.hex(),
    datetime: lambda value: value.isoformat(" ", "milliseconds"),
}
