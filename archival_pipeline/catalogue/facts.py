"""The published facts about the jBPM 7 schema, read from the tables in ``jbpm_facts/``.

Columns, indexes, sequences, large-object columns and the paths to the process instance, for all four shapes in which
the engine's DDL ships. Facts only: what the archive does with a table is declared elsewhere in this room, and what a
live database really looks like is asked from that database.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

ALL_VARIANTS = ("standard_oid", "standard_bytea", "springboot_oid", "springboot_bytea")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table; ``references`` is the (table, column) that a foreign key points to."""

    table: str
    name: str
    ordinal: int
    pg_type: str
    nullable: bool
    primary_key: bool
    references: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Index:
    """One index; primary and unique keys are indexes too. ``predicate`` is set on a partial one."""

    table: str
    columns: tuple[str, ...]
    unique: bool
    primary_key: bool
    predicate: str | None
    variants: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sequence:
    """One sequence and the column that it feeds; no column owns it."""

    name: str
    table: str
    column: str
    start: int
    increment_standard: int
    increment_springboot: int


@dataclass(frozen=True, slots=True)
class Relation:
    """How a table belongs to a process instance.

    Attributes:
        role: ``owned`` moves with the instance, ``shared`` is inserted where missing, ``left`` never moves.
        via: the path to the process instance id, in words.
        insert_rank: order of insertion that satisfies every foreign key; the reverse deletes.
    """

    table: str
    role: str
    via: str
    note: str
    insert_rank: int | None


@dataclass(frozen=True, slots=True)
class LargeObjectColumn:
    """A column that may hold the number of a large object: ``blob`` (oid or bytea) or ``clob`` (text)."""

    table: str
    column: str
    kind: str


@dataclass(frozen=True, slots=True)
class LogicalReference:
    """A reference that no foreign key declares; ``none_value`` says in words which values point nowhere."""

    table: str
    column: str
    refers_to_table: str
    refers_to_column: str
    none_value: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which a variant differs from ``standard_oid``; ``kind`` is column, index, sequence or column_order."""

    variant: str
    kind: str
    subject: str
    baseline: str
    here: str


@cache
def columns(variant: str = "standard_oid") -> dict[str, tuple[Column, ...]]:
    """Return the columns of the 46 core tables, by table, in the physical order of the variant."""
    tables = _columns_of("columns")
    orders = {d.subject: d.here.split("|") for d in differences() if d.variant == variant and d.kind == "column_order"}
    types = {d.subject: d.here for d in differences() if d.variant == variant and d.kind == "column"}
    return {table: _rearranged(found, orders.get(table), types) for table, found in tables.items()}


@cache
def optional_columns() -> dict[str, tuple[Column, ...]]:
    """Return the columns of the tables that the engine's optional scripts add, by table."""
    return _columns_of("columns_optional")


@cache
def indexes(variant: str = "standard_oid") -> tuple[Index, ...]:
    """Return the indexes of a variant, keys included."""
    found = (_index(row) for row in _rows("indexes"))
    return tuple(index for index in found if variant in index.variants)


@cache
def sequences() -> tuple[Sequence, ...]:
    """Return the 34 sequences."""
    return tuple(
        Sequence(
            name=row["sequence"],
            table=row["table"],
            column=row["column"],
            start=int(row["start_value"]),
            increment_standard=int(row["increment_standard_ddl"]),
            increment_springboot=int(row["increment_springboot_ddl"]),
        )
        for row in _rows("sequences")
    )


@cache
def relations() -> dict[str, Relation]:
    """Return how each known table, optional ones included, belongs to a process instance."""
    return {
        row["table"]: Relation(
            table=row["table"],
            role=row["role"],
            via=row["via"],
            note=row["note"],
            insert_rank=int(row["insert_rank"]) if row["insert_rank"] else None,
        )
        for row in _rows("relations")
    }


@cache
def owned_tables() -> tuple[str, ...]:
    """Return the 41 core tables that move with an instance, in the order of insertion."""
    core = columns()
    ranked = ((relation.insert_rank or 0, table) for table, relation in relations().items() if relation.role == "owned")
    return tuple(table for _, table in sorted(ranked) if table in core)


@cache
def large_object_columns() -> tuple[LargeObjectColumn, ...]:
    """Return the 14 columns that may hold the number of a large object."""
    return tuple(LargeObjectColumn(row["table"], row["column"], row["kind"]) for row in _rows("lobs"))


@cache
def logical_references() -> tuple[LogicalReference, ...]:
    """Return the references that no foreign key declares."""
    names = ("table", "column", "refers_to_table", "refers_to_column", "none_value")
    return tuple(LogicalReference(*(row[name] for name in names)) for row in _rows("logical_refs"))


@cache
def differences() -> tuple[Difference, ...]:
    """Return every difference of the other three variants from ``standard_oid``."""
    names = ("variant", "kind", "object", "standard_oid", "this_variant")
    return tuple(Difference(*(row[name] for name in names)) for row in _rows("variants"))


def _rows(name: str) -> list[dict[str, str]]:
    source = resources.files(__package__) / "jbpm_facts" / f"{name}.csv"
    with source.open(encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def _columns_of(name: str) -> dict[str, tuple[Column, ...]]:
    tables: dict[str, list[Column]] = {}
    for row in _rows(name):
        tables.setdefault(row["table"], []).append(_column(row))
    return {table: tuple(sorted(found, key=lambda column: column.ordinal)) for table, found in tables.items()}


def _column(row: dict[str, str]) -> Column:
    target = (row["references_table"], row["references_column"]) if row["references_table"] else None
    return Column(
        table=row["table"],
        name=row["column"],
        ordinal=int(row["ordinal"]),
        pg_type=row["pg_type"],
        nullable=row["nullable"] == "yes",
        primary_key=row["primary_key"] == "yes",
        references=target,
    )


def _index(row: dict[str, str]) -> Index:
    return Index(
        table=row["table"],
        columns=tuple(row["index_columns"].split(",")),
        unique=row["unique"] == "yes",
        primary_key=row["primary_key"] == "yes",
        predicate=row["predicate"] or None,
        variants=ALL_VARIANTS if row["in_variants"] == "all" else tuple(row["in_variants"].split("+")),
    )


def _rearranged(found: tuple[Column, ...], order: list[str] | None, types: dict[str, str]) -> tuple[Column, ...]:
    """Apply a variant's physical order and column types to the columns of one table."""
    by_name = {column.name: column for column in found}
    return tuple(
        Column(
            table=by_name[name].table,
            name=name,
            ordinal=ordinal,
            pg_type=types.get(f"{by_name[name].table}.{name}", by_name[name].pg_type),
            nullable=by_name[name].nullable,
            primary_key=by_name[name].primary_key,
            references=by_name[name].references,
        )
        for ordinal, name in enumerate(order or list(by_name), start=1)
    )
