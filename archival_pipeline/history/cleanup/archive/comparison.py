"""Compares one unit row by row between both sides, where the digests of a batch differ.

Not here: what is done about it (``removal.py``, ``restoring.py``).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archival_pipeline.catalogue import statements

if TYPE_CHECKING:
    from archival_pipeline.history.cleanup.archive.keys import Keys
    from archival_pipeline.history.cleanup.archive.opening import Side
    from archival_pipeline.history.cleanup.database import Session


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a unit on one side.

    Attributes:
        hashes: how often each row stands in each table.
        ids: primary keys by table.
    """

    hashes: Counter[tuple[str, bytes]]
    ids: frozenset[tuple[str, str]]

    @property
    def none(self) -> bool:
        """Whether the side has no row of the unit."""
        return not self.hashes

    def within(self, other: Rows) -> bool:
        """Whether the other side has every row of this one, equal."""
        return not self.hashes - other.hashes

    def all_in(self, other: Rows) -> bool:
        """Whether the other side has every row of this one, if perhaps changed since."""
        return self.ids <= other.ids

    def differing(self, other: Rows) -> list[str]:
        """Tables in which the sides differ."""
        return sorted({table for table, _ in (self.hashes - other.hashes) + (other.hashes - self.hashes)})


def read(session: Session, side: Side, keys: Keys) -> Rows:
    """Read the hashes and primary keys of the rows, in the session's snapshot."""
    hashes: Counter[tuple[str, bytes]] = Counter()
    ids: set[tuple[str, str]] = set()
    for name, table in side.tables.items():
        statement = statements.row_hashes(table, keys.filled, archive=side.archive)
        if statement is not None:
            for found, key in session.execute(statement, keys.parameters):
                hashes[name, bytes(found)] += 1
                ids.add((name, key))
    return Rows(hashes, frozenset(ids))
