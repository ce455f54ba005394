"""The published facts about the Camunda 7 schema on PostgreSQL, read from the tables in this folder.

Columns and indexes of release 7.24, names in lower case as PostgreSQL keeps them. Facts only: what the cleanup does
with a table is declared in ``catalogue/camunda.py``, and what a live database looks like is asked from that database.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources

from archival_pipeline.catalogue.facts import Column, Index

_VARIANT = ("camunda",)


@cache
def columns() -> dict[str, tuple[Column, ...]]:
    """Return the columns of the 49 tables, by table, in their physical order."""
    tables: dict[str, list[Column]] = {}
    for row in _rows("columns"):
        column = _column(row)
        tables.setdefault(column.table, []).append(column)
    return {table: tuple(sorted(found, key=lambda column: column.ordinal)) for table, found in tables.items()}


@cache
def indexes() -> tuple[Index, ...]:
    """Return the indexes, keys included."""
    keys = {table: tuple(c.name for c in found if c.primary_key) for table, found in columns().items()}
    return tuple(_index(row, keys) for row in _rows("indexes"))


def _rows(name: str) -> list[dict[str, str]]:
    with (resources.files(__package__) / f"{name}.csv").open(encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def _column(row: dict[str, str]) -> Column:
    target = (row["references_table"].lower(), row["references_column"].lower()) if row["references_table"] else None
    return Column(
        table=row["table"].lower(),
        name=row["column"].lower(),
        ordinal=int(row["ordinal"]),
        pg_type=row["pg_type"],
        nullable=row["nullable"] == "yes",
        primary_key=row["primary_key"] == "yes",
        references=target,
    )


def _index(row: dict[str, str], keys: dict[str, tuple[str, ...]]) -> Index:
    table, named = row["table"].lower(), tuple(row["columns"].lower().split(";"))
    unique = row["unique"] == "yes"
    return Index(
        table=table,
        columns=named,
        unique=unique,
        primary_key=unique and sorted(named) == sorted(keys[table]),
        predicate=None,
        variants=_VARIANT,
    )
