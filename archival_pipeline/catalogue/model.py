"""The shape of a catalogue: key sets, and tables that are reached through them.

A *key set* is a named set of ids that belong to some process instances (their tasks, their deadlines, …). A table is
reached through *addresses*: one of its columns holds a key of a key set. With the instances' ids as the first key set,
every owned row of a tree is found, read, verified and deleted through these two notions alone.

Not here: the data of an engine (``jbpm.py``), a live schema (``database/introspection.py``), SQL text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

PROCESS = "process"
"""The key set everything starts from: the ids of the process instances themselves."""


KeyType = Literal["bigint", "text"]


class Role(StrEnum):
    """What happens to a table's rows when their tree moves."""

    OWNED = "owned"
    SHARED = "shared"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to find keys: ``SELECT {select} FROM {table} WHERE {column} IN (keys of {through})``.

    Attributes:
        table: where the keys are read.
        select: the column that holds them.
        column: the column compared with the keys of ``through``; text columns meet text key sets.
        through: a key set defined earlier.
        condition: a further predicate on the row, SQL with the row named ``t``.
        indexed: whether the engine's schema has an index on ``column``. If not, the keys are joined by a hash over
            one scan, because a scan for each key would read the table once per key. Only ``select`` the primary key
            ``through`` the instances themselves then.
    """

    table: str
    select: str
    column: str
    through: str
    condition: str = ""
    indexed: bool = True


@dataclass(frozen=True, slots=True)
class Scan:
    """A table that has to be read whole to find the keys of an instance, because no index leads to them.

    Attributes:
        table: its name.
        key: its primary key, which grows with every row: the keys that are looked for.
    """

    table: str
    key: str


@dataclass(frozen=True, slots=True)
class KeySet:
    """A named set of keys.

    Attributes:
        name: its name; also the name of the SQL parameter that carries it.
        arms: how it is found; the union of all arms whose tables exist.
        query: for the few sets that no arm can say: the name of a file below ``sql/`` whose only statement selects one
            column ``key`` and reads ``:process`` and earlier sets through ``keys_<name>``.
        needs: tables that ``query`` reads; the set is empty where one of them does not exist.
        sql_type: ``bigint`` or ``text``.
        minimum: keys below this mean «none» and never join.
        scan: the table that ``query`` scans. Such a query also selects the instance, as column ``process``.
    """

    name: str
    arms: tuple[Arm, ...] = ()
    query: str = ""
    needs: tuple[str, ...] = ()
    sql_type: KeyType = "bigint"
    minimum: int | None = 1
    scan: Scan | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """Rows of a table whose ``column`` holds a key of ``keys`` belong to the tree."""

    column: str
    keys: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the engine.

    Attributes:
        name: unqualified, as PostgreSQL stores it.
        role: owned rows move with their tree, shared rows are inserted where missing, left ones are never touched.
        level: rows are inserted level by level and deleted in reverse, so that every foreign key holds throughout.
        addresses: how owned rows are reached; a row is owned if any address holds.
        blobs: columns with binary large objects (``oid`` or ``bytea``).
        clobs: columns with character large objects (``text``, a large object's number or the text itself).
        optional: whether a schema without this table is complete: it came with a later release or its own script.
    """

    name: str
    role: Role = Role.OWNED
    level: int = 0
    addresses: tuple[Address, ...] = ()
    blobs: tuple[str, ...] = ()
    clobs: tuple[str, ...] = ()
    optional: bool = False

    @property
    def lobs(self) -> tuple[str, ...]:
        """Every large-object column, binary first."""
        return self.blobs + self.clobs


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What belongs to a process instance of one engine.

    Attributes:
        engine: name for messages.
        key_sets: in an order in which each needs only earlier ones.
        tables: every table of the engine's schema, owned or not.
        known_prefixes: names of further tables that may stand in the schema and are left.
    """

    engine: str
    key_sets: tuple[KeySet, ...]
    tables: tuple[Table, ...]
    known_prefixes: tuple[str, ...] = ()
    _by_name: dict[str, Table] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._by_name.update({table.name: table for table in self.tables})

    def table(self, name: str) -> Table:
        """Return the table of that name."""
        return self._by_name[name]

    @property
    def owned(self) -> tuple[Table, ...]:
        """Owned tables in insert order."""
        return tuple(sorted((t for t in self.tables if t.role is Role.OWNED), key=lambda t: (t.level, t.name)))

    @property
    def shared(self) -> tuple[Table, ...]:
        """Shared tables."""
        return tuple(t for t in self.tables if t.role is Role.SHARED)

    def knows(self, name: str) -> bool:
        """Whether a table of that name is declared, as itself or by a prefix."""
        return name in self._by_name or name.startswith(self.known_prefixes)
