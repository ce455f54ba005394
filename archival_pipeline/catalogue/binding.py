"""Binds a catalogue to live databases: which tables and columns are there, and how large objects are stored.

A move has two sides. On each, a large-object column stores one of three things:

* ``POINTER``: the number of a large object (an ``oid`` column, or digits in a ``text`` column);
* ``INLINE``: the content itself (``bytea``, ``text``);
* ``ARCHIVED``: the content, and beside it in ``<column>_lo`` the number that it once had. Only the backup does this.

Not here: SQL (``statements.py``), whether a schema is acceptable (``preflight.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archival_pipeline.catalogue.model import Catalogue, KeySet, KeyType, Table
    from archival_pipeline.database.introspection import LiveSchema

LO_SUFFIX = "_lo"
"""Ending of the backup's column that keeps the number a large object had in the primary."""


class Storage(StrEnum):
    """What a large-object column holds on one side."""

    POINTER = "pointer"
    INLINE = "inline"
    ARCHIVED = "archived"


class ClobMode(StrEnum):
    """How the primary's engine stores character large objects.

    ``MIXED`` is what a database looks like whose engine changed the setting: a value of digits that is also the
    number of a large object can be read both ways, so trees with such a value are left alone.
    """

    POINTER = "pointer"
    TEXT = "text"
    MIXED = "mixed"


@dataclass(frozen=True, slots=True)
class LobColumn:
    """One large-object column.

    Attributes:
        name: the column.
        binary: whether it holds bytes; otherwise characters.
        primary: how the primary stores it.
        ambiguous: whether a value of digits may be a number or a text (``ClobMode.MIXED``).
    """

    name: str
    binary: bool
    primary: Storage
    ambiguous: bool = False

    @property
    def number_column(self) -> str:
        """The backup's column for the number."""
        return self.name + LO_SUFFIX


@dataclass(frozen=True, slots=True)
class BoundAddress:
    """An address whose column exists; ``sql_type`` is the type of its keys."""

    column: str
    keys: str
    sql_type: KeyType


@dataclass(frozen=True, slots=True)
class BoundTable:
    """An owned table that exists, with the columns it really has.

    Attributes:
        name: the table.
        columns: every column of the primary, in its physical order.
        lobs: the large-object columns among them.
        addresses: how its rows are reached.
        primary_key: its columns, empty where there is none.
        pages: size of the primary's table when it was read.
    """

    name: str
    columns: tuple[str, ...]
    lobs: tuple[LobColumn, ...]
    addresses: tuple[BoundAddress, ...]
    primary_key: tuple[str, ...]
    pages: int = 0

    def lob(self, column: str) -> LobColumn | None:
        """The large-object column of that name, or None for an ordinary one."""
        return next((lob for lob in self.lobs if lob.name == column), None)


@dataclass(frozen=True, slots=True)
class BoundCatalogue:
    """A catalogue as it applies to one primary.

    Attributes:
        engine: name for messages.
        key_sets: in an order in which each needs only earlier ones, arms on missing tables removed.
        tables: owned tables that exist, in insert order.
        shared: shared tables that exist.
        clob_mode: how the primary stores character large objects.
        absent: optional tables that the primary does not have.
    """

    engine: str
    key_sets: tuple[KeySet, ...]
    tables: tuple[BoundTable, ...]
    shared: tuple[BoundTable, ...]
    clob_mode: ClobMode
    absent: tuple[str, ...]

    def table(self, name: str) -> BoundTable:
        """Return the bound table of that name."""
        return next(t for t in (*self.tables, *self.shared) if t.name == name)


def bind(catalogue: Catalogue, primary: LiveSchema, clob_mode: ClobMode) -> BoundCatalogue:
    """Bind a catalogue to the primary's live schema.

    Args:
        catalogue: the engine's catalogue.
        primary: what the primary looks like now.
        clob_mode: how it stores character large objects (``lob_modes.py`` finds out).
    """
    there = primary.tables.keys()
    types = {key_set.name: key_set.sql_type for key_set in catalogue.key_sets}
    return BoundCatalogue(
        engine=catalogue.engine,
        key_sets=tuple(_bind_key_set(k, primary) for k in catalogue.key_sets),
        tables=tuple(_bind_table(t, primary, clob_mode, types) for t in catalogue.owned if t.name in there),
        shared=tuple(_bind_table(t, primary, clob_mode, types) for t in catalogue.shared if t.name in there),
        clob_mode=clob_mode,
        absent=tuple(t.name for t in catalogue.owned if t.name not in there),
    )


def _bind_key_set(key_set: KeySet, primary: LiveSchema) -> KeySet:
    """Drop the arms, or the query, that read a table or column this schema does not have."""
    arms = tuple(
        arm
        for arm in key_set.arms
        if primary.column(arm.table, arm.select) is not None and primary.column(arm.table, arm.column) is not None
    )
    query = key_set.query if all(name in primary.tables for name in key_set.needs) else ""
    return replace(key_set, arms=arms, query=query, scan=key_set.scan if query else None)


def _bind_table(table: Table, primary: LiveSchema, clob_mode: ClobMode, types: Mapping[str, KeyType]) -> BoundTable:
    columns = {column.name: column for column in primary.columns[table.name]}
    blobs: Mapping[str, Storage] = {
        name: Storage.POINTER if columns[name].sql_type == "oid" else Storage.INLINE
        for name in table.blobs
        if name in columns
    }
    clob = Storage.POINTER if clob_mode is ClobMode.POINTER else Storage.INLINE
    lobs = [LobColumn(name, binary=True, primary=storage) for name, storage in blobs.items()]
    lobs += [
        LobColumn(name, binary=False, primary=clob, ambiguous=clob_mode is ClobMode.MIXED)
        for name in table.clobs
        if name in columns
    ]
    facts = primary.tables[table.name]
    return BoundTable(
        name=table.name,
        columns=tuple(columns),
        lobs=tuple(lobs),
        addresses=tuple(BoundAddress(a.column, a.keys, types[a.keys]) for a in table.addresses if a.column in columns),
        primary_key=facts.primary_key,
        pages=facts.pages,
    )
