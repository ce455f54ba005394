"""Digests of rows, table by table: what they are, computing them on one side, comparing two sides.

The statement behind a digest stands in ``statements.py``. Not here: which rows belong together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archival_pipeline.catalogue import statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import psycopg

    from archival_pipeline.catalogue.binding import BoundTable

_MODULUS = 2**64


@dataclass(frozen=True, slots=True)
class Digest:
    """Count and content fingerprint of a multiset of rows.

    Attributes:
        rows: how many rows.
        high: first sum of the rows' hashes, modulo 2**64.
        low: second sum.
    """

    rows: int = 0
    high: int = 0
    low: int = 0

    def __add__(self, other: Digest) -> Digest:
        """The digest of both multisets together."""
        return Digest(self.rows + other.rows, (self.high + other.high) % _MODULUS, (self.low + other.low) % _MODULUS)

    def __str__(self) -> str:
        return f"{self.rows}:{self.high:016x}{self.low:016x}"

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read what ``str`` wrote."""
        rows, _, sums = text.partition(":")
        return cls(int(rows), int(sums[:16], 16), int(sums[16:], 16))

    @classmethod
    def from_sums(cls, rows: int, high: int, low: int) -> Digest:
        """Build from the signed sums of the server."""
        return cls(int(rows), int(high) % _MODULUS, int(low) % _MODULUS)


EMPTY = Digest()


@dataclass(frozen=True, slots=True)
class Measure:
    """Digests of every reachable table of a batch on one side.

    Attributes:
        digests: by table; tables without rows included, so that leftovers of the other side are seen.
        lost: large-object numbers that point nowhere.
        ambiguous: values that may be a number or a text.
    """

    digests: dict[str, Digest]
    lost: int = 0
    ambiguous: int = 0

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(d.rows for d in self.digests.values())

    def __add__(self, other: Measure) -> Measure:
        """The measure of both sets of rows together."""
        names = self.digests.keys() | other.digests.keys()
        return Measure(
            {name: self.digests.get(name, EMPTY) + other.digests.get(name, EMPTY) for name in names},
            self.lost + other.lost,
            self.ambiguous + other.ambiguous,
        )

    def filled(self) -> dict[str, Digest]:
        """Only tables that have rows."""
        return {name: digest for name, digest in self.digests.items() if digest.rows}


def measure(
    connection: psycopg.Connection[Any],
    tables: Iterable[BoundTable],
    filled: frozenset[str],
    parameters: Mapping[str, Any],
    *,
    archive: bool,
) -> Measure:
    """Compute the digest of every table that the keys can reach, in one round trip.

    Args:
        connection: a session of the side to read.
        tables: what to read.
        filled: names of the key sets that hold a key.
        parameters: the keys of each set.
        archive: whether the side is the backup.
    """
    cursors = {}
    with connection.pipeline():
        for table in tables:
            statement = statements.digest(table, filled, archive=archive)
            if statement is not None:
                cursors[table.name] = connection.execute(statement, parameters)
    digests, lost, ambiguous = {}, 0, 0
    for name, cursor in cursors.items():
        row = cursor.fetchone()
        assert row is not None  # noqa: S101 - an aggregate returns one row
        digests[name] = Digest.from_sums(row[0], row[1], row[2])
        lost, ambiguous = lost + int(row[3]), ambiguous + int(row[4])
    return Measure(digests, lost, ambiguous)


def differences(expected: Mapping[str, Digest], found: Mapping[str, Digest]) -> list[str]:
    """Tables whose digests differ, each with both counts, in words."""
    return [
        f"{name}: {expected.get(name, EMPTY).rows} rows expected, {found.get(name, EMPTY).rows} found"
        + (" with other content" if expected.get(name, EMPTY).rows == found.get(name, EMPTY).rows else "")
        for name in sorted(expected.keys() | found.keys())
        if expected.get(name, EMPTY) != found.get(name, EMPTY)
    ]
