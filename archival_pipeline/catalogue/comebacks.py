"""What the engine may have given to others while a row was in the backup: unique keys and ids of sequences.

A restore asks before it writes. Facts and the SQL that asks; not here: what is done with the answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg import sql

from archival_pipeline.catalogue import facts
from archival_pipeline.catalogue.statements import owned_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archival_pipeline.catalogue.binding import BoundCatalogue, BoundTable


@dataclass(frozen=True, slots=True)
class UniqueKey:
    """A unique key besides the primary key, or a shared row that may have become another one.

    Attributes:
        table: where it is.
        columns: the key.
        apart: columns that differ where the primary's row under the same key is not the archived one.
    """

    table: str
    columns: tuple[str, ...]
    apart: tuple[str, ...]


UNIQUE_KEYS = (
    UniqueKey("correlationkeyinfo", ("name",), ("keyid",)),
    UniqueKey("timermappinginfo", ("kiesessionid", "uuid"), ("id",)),
    UniqueKey("notification_email_header", ("emailheaders_id",), ("notification_id", "mapkey")),
    UniqueKey("organizationalentity", ("id",), ("dtype",)),
)


@dataclass(frozen=True, slots=True)
class IssuedId:
    """A column of an owned table whose values all come from one sequence of the engine."""

    table: str
    column: str
    sequence: str


# Ended instances leave no row in the table that the sequence of instance ids feeds.
_FURTHER = (IssuedId("processinstancelog", "processinstanceid", "process_instance_info_id_seq"),)


def issued_ids(catalogue: BoundCatalogue) -> tuple[IssuedId, ...]:
    """Every owned column that is fed by a sequence, of tables that the primary has."""
    there = {table.name for table in catalogue.tables}
    fed = (IssuedId(sequence.table, sequence.column, sequence.name) for sequence in facts.sequences())
    return tuple(issued for issued in (*fed, *_FURTHER) if issued.table in there)


def highest_ids(issued: Sequence[IssuedId]) -> sql.Composed:
    """The highest id of each column in the whole backup, one row of one value each; a look at the end of each index."""
    return sql.SQL("SELECT {}").format(sql.SQL(", ").join(_highest(each, sql.SQL("true")) for each in issued))


def highest_owned_ids(catalogue: BoundCatalogue, issued: Sequence[IssuedId], filled: frozenset[str]) -> sql.Composed:
    """The same of the rows that belong to some keys."""
    conditions = (owned_rows(catalogue.table(each.table), filled) or sql.SQL("false") for each in issued)
    return sql.SQL("SELECT {}").format(
        sql.SQL(", ").join(_highest(each, condition) for each, condition in zip(issued, conditions, strict=True))
    )


def _highest(issued: IssuedId, condition: sql.Composable) -> sql.Composed:
    return sql.SQL("(SELECT max(t.{}) FROM {} AS t WHERE {})").format(
        sql.Identifier(issued.column), sql.Identifier(issued.table), condition
    )


def archived_keys(table: BoundTable, unique: UniqueKey, filled: frozenset[str]) -> sql.Composed | None:
    """Read a unique key of owned rows in the backup, as JSON objects; None where nothing can be owned."""
    condition = owned_rows(table, filled)
    if condition is None:
        return None
    fields = sql.SQL(", ").join(
        sql.SQL("{}, t.{}").format(sql.Literal(name), sql.Identifier(name)) for name in unique.columns + unique.apart
    )
    return sql.SQL("SELECT DISTINCT jsonb_build_object({})::text FROM {} AS t WHERE {}").format(
        fields, sql.Identifier(unique.table), condition
    )


def taken_keys(unique: UniqueKey) -> sql.Composed:
    """Which of the keys in parameter ``rows``, a JSON array, another row of the primary holds.

    Returns one row for each: the JSON objects of the archived key and of the holder's columns. Uses the index that
    keeps the key unique.
    """
    names = unique.columns + unique.apart
    same = sql.SQL(" AND ").join(sql.SQL("t.{0} = k.{0}").format(sql.Identifier(name)) for name in unique.columns)
    other = sql.SQL(" OR ").join(
        sql.SQL("t.{0} IS DISTINCT FROM k.{0}").format(sql.Identifier(name)) for name in unique.apart
    )

    def fields(alias: str, chosen: Sequence[str]) -> sql.Composed:
        return sql.SQL(", ").join(
            sql.SQL("{}, {}").format(sql.Literal(name), sql.Identifier(alias, name)) for name in chosen
        )

    return sql.SQL(
        "SELECT jsonb_build_object({mine})::text, jsonb_build_object({theirs})::text"
        " FROM jsonb_populate_recordset(NULL::{table}, %(rows)s::jsonb) AS k"
        " INNER JOIN {table} AS t ON {same} WHERE {other}"
    ).format(
        mine=fields("k", names),
        theirs=fields("t", unique.apart),
        table=sql.Identifier(unique.table),
        same=same,
        other=other,
    )
