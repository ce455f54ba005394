"""Which columns of a catalogue are searched, and which indexes a live schema has for them.

Not here: making indexes (``backup_tables.py`` does for the backup; nobody does for the engine's tables).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg.rows import class_row

from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

    from archival_pipeline.catalogue.model import Catalogue

# Columns that queries of the catalogue search besides its addresses and arms: the closure of a tree, the filters, and
# the SQL files of key sets.
_SEARCHED_BY_QUERIES = {
    "processinstancelog": ("processinstanceid", "parentprocessinstanceid", "end_date", "correlationkey"),
    "contextmappinginfo": ("context_id", "ksession_id"),
}


@dataclass(frozen=True, slots=True)
class Index:
    """One valid index of a live schema; ``leading`` is empty where it begins with an expression."""

    table: str
    name: str
    leading: str
    is_unique: bool
    is_primary: bool
    predicate: str | None

    def serves(self, table: str, column: str) -> bool:
        """Whether rows of any value of the column are found through this index."""
        whole = self.predicate is None or self.predicate.strip("()").replace('"', "") == f"{column} IS NOT NULL"
        return self.table == table and self.leading == column and whole


def read_indexes(connection: psycopg.Connection[Any]) -> tuple[Index, ...]:
    """Read the valid indexes of the session's schema."""
    with connection.cursor(row_factory=class_row(Index)) as cursor:
        return tuple(cursor.execute(load_sql("common/preflight_indexes")).fetchall())


def is_served(indexes: Iterable[Index], table: str, column: str) -> bool:
    """Whether one of the indexes serves a search by the column."""
    return any(index.serves(table, column) for index in indexes)


def searched_columns(catalogue: Catalogue, table: str) -> tuple[str, ...]:
    """Return the columns by which rows of an owned or shared table are looked up, without repetition."""
    addresses = (address.column for address in catalogue.table(table).addresses)
    arms = (arm.column for key_set in catalogue.key_sets for arm in key_set.arms if arm.table == table)
    return tuple(dict.fromkeys((*addresses, *arms, *_SEARCHED_BY_QUERIES.get(table, ()))))
