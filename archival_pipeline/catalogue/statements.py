"""Builds the SQL of a move from a bound catalogue. What is generated here is what is executed, and what is shown.

Every statement is composed of quoted identifiers and named parameters: one array of keys for each key set. Nothing
here connects or executes; the statement that finds those keys is in ``key_statements.py``.

The **digest** of a table's rows: the number of rows, and two sums over two 64-bit hashes (``hashtextextended`` with two
seeds) of each row's binary image (``record_send``, in hex), large objects replaced by their content. A sum depends
neither on the order of rows nor on how they are split into batches, and counts a row that stands twice twice; the
binary image knows 1.0 from 1.00 and depends on no session setting. PostgreSQL keeps these hashes the same from version
to version, because hash-partitioned tables live through upgrades by them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

from psycopg import sql

from archival_pipeline.catalogue.binding import BoundCatalogue, BoundTable, LobColumn, Storage
from archival_pipeline.catalogue.composing import written_once

if TYPE_CHECKING:
    from collections.abc import Sequence


def storage_of(lob: LobColumn, *, archive: bool) -> Storage:
    """How one side stores a column: the backup always as an archive."""
    return Storage.ARCHIVED if archive else lob.primary


# --- rows -----------------------------------------------------------------------------------------------------------


def owned_rows(table: BoundTable, filled: frozenset[str]) -> sql.Composed | None:
    """The condition that a row ``t`` belongs to the keys, or None where no key set of the table holds a key."""
    conditions = [
        sql.SQL("t.{} = ANY({}::{} [])").format(sql.Identifier(a.column), sql.Placeholder(a.keys), sql.SQL(a.sql_type))
        for a in table.addresses
        if a.keys in filled
    ]
    if not conditions:
        return None
    return sql.SQL("({})").format(sql.SQL(" OR ").join(conditions))


@written_once
def count_rows(catalogue: BoundCatalogue, filled: frozenset[str]) -> sql.Composed | None:
    """How many rows of each table are owned: a row ``(table, rows)`` for each that the keys can reach."""
    owned = [(table.name, owned_rows(table, filled)) for table in catalogue.tables]
    counts = [
        sql.SQL("SELECT {} AS name, count(*) AS rows FROM {} AS t WHERE {}").format(
            sql.Literal(name), sql.Identifier(name), condition
        )
        for name, condition in owned
        if condition is not None
    ]
    return sql.SQL("\nUNION ALL ").join(counts) if counts else None


@written_once
def digest(table: BoundTable, filled: frozenset[str], *, archive: bool) -> sql.Composed | None:
    """Count and digest of the owned rows of one table.

    Args:
        table: which.
        filled: names of the key sets that hold a key.
        archive: whether the side is the backup.

    Returns:
        A statement of one row, ``(rows, high, low, lost, ambiguous)``; None where nothing can be owned.
    """
    condition = owned_rows(table, filled)
    if condition is None:
        return None
    source = sql.SQL("{table} AS t {joins} WHERE {condition}").format(
        table=sql.Identifier(table.name), joins=_object_joins(table, archive=archive), condition=condition
    )
    return _digest_over(table, source, archive=archive)


@written_once
def row_hashes(table: BoundTable, filled: frozenset[str], *, archive: bool) -> sql.Composed | None:
    """The hash of each owned row and its primary key as text, empty where the table has none."""
    condition = owned_rows(table, filled)
    if condition is None:
        return None
    key = (
        sql.SQL("ROW({})::text").format(
            sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(k)) for k in table.primary_key)
        )
        if table.primary_key
        else sql.SQL("''")
    )
    return sql.SQL(
        "SELECT sha256(record_send(ROW({image}))), {key} FROM {table} AS t {joins} WHERE {condition}"
    ).format(
        image=sql.SQL(", ").join(_image(table, archive=archive)),
        key=key,
        table=sql.Identifier(table.name),
        joins=_object_joins(table, archive=archive),
        condition=condition,
    )


@written_once
def delete(table: BoundTable, filled: frozenset[str], *, archive: bool, hashed: bool = True) -> sql.Composed | None:
    """Delete the owned rows of one table and return the digest of what was really deleted.

    Args:
        table: which.
        filled: names of the key sets that hold a key.
        archive: whether the side is the backup.
        hashed: whether the content counts; without it only the rows are counted, and every other number is 0.

    Returns:
        A statement of one row: as ``digest``, then an array of the large objects that the rows pointed to.
    """
    condition = owned_rows(table, filled)
    if condition is None:
        return None
    removed = sql.SQL("WITH removed AS (DELETE FROM {table} AS t WHERE {condition} RETURNING t.*)").format(
        table=sql.Identifier(table.name), condition=condition
    )
    source = sql.SQL("removed AS t {}").format(_object_joins(table, archive=archive))
    return sql.SQL("{} {}").format(removed, _digest_over(table, source, archive=archive, objects=True, hashed=hashed))


def _digest_over(
    table: BoundTable, source: sql.Composable, *, archive: bool, objects: bool = False, hashed: bool = True
) -> sql.Composed:
    pointers = [i for i, lob in enumerate(table.lobs) if objects and not archive and lob.primary is Storage.POINTER]
    # Only tables with large objects pay for counting what is wrong with them.
    extra = {
        "lost": [
            _one_if(sql.SQL("{} IS NOT NULL").format(_lost(i, lob, archive=archive))) for i, lob in _numbered(table)
        ],
        "ambiguous": [
            _one_if(sql.SQL(f"o{i}.oid IS NOT NULL")) for i, lob in _numbered(table) if lob.ambiguous and not archive
        ],
    }
    if not hashed:
        extra = {name: [] for name in extra}
    # The hash reads text; bytes alone have one only since PostgreSQL 18. "C" keeps collations out of it.
    image = sql.SQL("encode(record_send(ROW({})), 'hex') COLLATE \"C\" AS image").format(
        _list(_image(table, archive=archive))
    )
    columns: list[sql.Composable] = [
        *([image] if hashed else []),
        *(
            sql.SQL("{} AS {}").format(sql.SQL(" + ").join(terms), sql.Identifier(name))
            for name, terms in extra.items()
            if terms
        ),
        *(sql.SQL(f"o{i}.oid AS number{i}") for i in pointers),
    ]
    results: list[sql.Composable] = [
        sql.SQL("count(*) AS rows"),
        *(_hash_sum(seed, name) if hashed else sql.SQL(f"0 AS {name}") for seed, name in enumerate(("high", "low"))),
        *(
            sql.SQL("coalesce(sum(s.{name}), 0) AS {name}" if terms else "0 AS {name}").format(
                name=sql.Identifier(name)
            )
            for name, terms in extra.items()
        ),
    ]
    if objects:
        results.append(sql.SQL("{} AS numbers").format(_all_numbers(pointers)))
    # OFFSET 0 keeps the image from being computed once for each of the two hashes.
    return sql.SQL("SELECT {results} FROM (SELECT {columns} FROM {source} OFFSET 0) AS s").format(
        results=_list(results), columns=_list(columns), source=source
    )


def _hash_sum(seed: int, name: LiteralString) -> sql.Composed:
    return sql.SQL("coalesce(sum(hashtextextended(s.image, {})), 0) AS {}").format(seed, sql.SQL(name))


def _numbered(table: BoundTable) -> list[tuple[int, LobColumn]]:
    return list(enumerate(table.lobs))


def _one_if(condition: sql.Composable) -> sql.Composable:
    return sql.SQL("({})::integer").format(condition)


def _list(parts: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)


def _all_numbers(pointers: Sequence[int]) -> sql.Composable:
    """The numbers of the large objects of all pointer columns, as one array."""
    each = [sql.SQL(f"array_agg(s.number{i}) FILTER (WHERE s.number{i} IS NOT NULL)") for i in pointers]
    return sql.SQL(" || ").join(each) if each else sql.SQL("NULL::oid []")


def _image(table: BoundTable, *, archive: bool) -> list[sql.Composable]:
    """The row as it is compared: ordinary columns, contents, and the numbers of large objects that are lost."""
    image: list[sql.Composable] = []
    for column in table.columns:
        lob = table.lob(column)
        if lob is None:
            image.append(sql.SQL("t.{}").format(sql.Identifier(column)))
        else:
            image.append(_content(table.lobs.index(lob), lob, archive=archive))
    image += [_lost(i, lob, archive=archive) for i, lob in enumerate(table.lobs)]
    return image


def _content(index: int, lob: LobColumn, *, archive: bool) -> sql.Composable:
    column = sql.SQL("t.{}").format(sql.Identifier(lob.name))
    if storage_of(lob, archive=archive) is not Storage.POINTER:
        return column
    read = sql.SQL(f"lo_get(o{index}.oid)")
    if lob.binary:
        return sql.SQL("CASE WHEN {there} THEN {read} END").format(
            there=sql.SQL(f"o{index}.oid IS NOT NULL"), read=read
        )
    # A character object without digits is no pointer, whatever the rest of the column holds: it is its own content.
    return sql.SQL(
        "CASE WHEN {there} THEN convert_from({read}, 'UTF8') WHEN {column} !~ '^[0-9]{{1,10}}$' THEN {column} END"
    ).format(there=sql.SQL(f"o{index}.oid IS NOT NULL"), read=read, column=column)


def _lost(index: int, lob: LobColumn, *, archive: bool) -> sql.Composable:
    """The number of a large object whose content was gone before we came, else NULL."""
    column = sql.SQL("t.{}").format(sql.Identifier(lob.name))
    storage = storage_of(lob, archive=archive)
    if lob.primary is Storage.INLINE:
        return sql.SQL("NULL::bigint")
    if storage is Storage.ARCHIVED:
        return sql.SQL("CASE WHEN {column} IS NULL THEN t.{number} END").format(
            column=column, number=sql.Identifier(lob.number_column)
        )
    return sql.SQL("CASE WHEN {gone} THEN {number} END").format(
        gone=sql.SQL(f"o{index}.oid IS NULL"), number=_number(lob)
    )


def _number(lob: LobColumn) -> sql.Composed:
    """The number a primary's column holds, as bigint; NULL where it holds none."""
    column = sql.SQL("t.{}").format(sql.Identifier(lob.name))
    if lob.binary:
        return sql.SQL("{}::bigint").format(column)
    return sql.SQL("CASE WHEN {column} ~ '^[0-9]{{1,10}}$' THEN {column}::bigint END").format(column=column)


def _object_joins(table: BoundTable, *, archive: bool) -> sql.Composable:
    """One look-up of ``pg_largeobject_metadata`` for each column that holds, or may hold, a number."""
    if archive:
        return sql.SQL("")
    joins = [
        sql.SQL("LEFT JOIN pg_largeobject_metadata AS {alias} ON {alias}.oid = {number}").format(
            alias=sql.Identifier(f"o{index}"), number=_object_id(lob)
        )
        for index, lob in enumerate(table.lobs)
        if lob.primary is Storage.POINTER or lob.ambiguous
    ]
    return sql.SQL(" ").join(joins)


def _object_id(lob: LobColumn) -> sql.Composed:
    """The number as oid; digits beyond the range of an oid are no number of a large object."""
    if lob.binary:
        return sql.SQL("t.{}").format(sql.Identifier(lob.name))
    return sql.SQL("CASE WHEN {number} <= 4294967295 THEN ({number})::oid END").format(number=_number(lob))


# --- copying --------------------------------------------------------------------------------------------------------


@written_once
def select_archived(table: BoundTable, filled: frozenset[str]) -> sql.Composed | None:
    """Read the owned rows of a primary's table as the backup stores them; None where nothing can be owned."""
    condition = owned_rows(table, filled)
    if condition is None:
        return None
    return sql.SQL("SELECT {columns} FROM {table} AS t {joins} WHERE {condition}").format(
        columns=sql.SQL(", ").join(_archived_row(table)),
        table=sql.Identifier(table.name),
        joins=_object_joins(table, archive=False),
        condition=condition,
    )


@written_once
def copy_out(table: BoundTable, filled: frozenset[str]) -> sql.Composed:
    """Stream the rows of ``select_archived``.

    Raises:
        ValueError: nothing of the table can be owned; a mistake of the caller.
    """
    query = select_archived(table, filled)
    if query is None:
        message = f"no key set of {table.name} holds a key"
        raise ValueError(message)
    return sql.SQL("COPY ({}) TO STDOUT (FORMAT binary)").format(query)


@written_once
def copy_in(table: BoundTable) -> sql.Composed:
    """Write rows of ``copy_out`` into the backup's table."""
    return _copy_in(sql.Identifier(table.name), archived_columns(table))


def archived_columns(table: BoundTable) -> tuple[str, ...]:
    """The backup's columns: the primary's, then one number for each large-object column."""
    return (*table.columns, *(lob.number_column for lob in table.lobs))


def _archived_row(table: BoundTable) -> list[sql.Composable]:
    row: list[sql.Composable] = []
    for column in table.columns:
        lob = table.lob(column)
        row.append(
            sql.SQL("t.{}").format(sql.Identifier(column))
            if lob is None
            else _content(table.lobs.index(lob), lob, archive=False)
        )
    row += [_number(lob) if lob.primary is Storage.POINTER else sql.SQL("NULL::bigint") for lob in table.lobs]
    return row


@written_once
def copy_archived_out(table: BoundTable, filled: frozenset[str]) -> sql.Composed:
    """Stream the owned rows of a backup's table with the numbers their large objects had."""
    return _copy_from_backup(table, filled, archived_columns(table))


@written_once
def copy_back_out(table: BoundTable, filled: frozenset[str]) -> sql.Composed:
    """Stream the owned rows of a backup's table as a primary without large objects stores them."""
    return _copy_from_backup(table, filled, table.columns)


@written_once
def copy_back_in(table: BoundTable) -> sql.Composed:
    """Write rows of ``copy_back_out`` into the primary's table."""
    return _copy_in(sql.Identifier(table.name), table.columns)


def _copy_from_backup(table: BoundTable, filled: frozenset[str], columns: Sequence[str]) -> sql.Composed:
    condition = owned_rows(table, filled)
    if condition is None:
        message = f"no key set of {table.name} holds a key"
        raise ValueError(message)
    return sql.SQL("COPY (SELECT {columns} FROM {table} AS t WHERE {condition}) TO STDOUT (FORMAT binary)").format(
        columns=sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(name)) for name in columns),
        table=sql.Identifier(table.name),
        condition=condition,
    )


def _copy_in(target: sql.Identifier, columns: Sequence[str]) -> sql.Composed:
    return sql.SQL("COPY {table} ({columns}) FROM STDIN (FORMAT binary)").format(
        table=target, columns=sql.SQL(", ").join(map(sql.Identifier, columns))
    )


def _staging(table: BoundTable) -> sql.Identifier:
    return sql.Identifier("pg_temp", f"staging_{table.name}")


@written_once
def create_staging(table: BoundTable) -> sql.Composed:
    """A temporary table that takes the backup's rows of a table whose large objects are to be made anew."""
    contents = [
        sql.SQL("NULL::{} AS {}").format(sql.SQL("bytea" if lob.binary else "text"), sql.Identifier(lob.name))
        for lob in table.lobs
    ]
    numbers = [sql.SQL("NULL::bigint AS {}").format(sql.Identifier(lob.number_column)) for lob in table.lobs]
    ordinary = [sql.SQL("t.{}").format(sql.Identifier(c)) for c in table.columns if table.lob(c) is None]
    return sql.SQL(
        "CREATE TEMPORARY TABLE {name} ON COMMIT DROP AS SELECT {columns} FROM {table} AS t WITH NO DATA"
    ).format(
        name=sql.Identifier(f"staging_{table.name}"),
        columns=sql.SQL(", ").join([*ordinary, *contents, *numbers]),
        table=sql.Identifier(table.name),
    )


@written_once
def copy_staging_in(table: BoundTable) -> sql.Composed:
    """Write rows of ``copy_archived_out`` into the staging table."""
    return _copy_in(_staging(table), archived_columns(table))


@written_once
def insert_from_staging(table: BoundTable) -> sql.Composed:
    """Insert the staged rows, making a large object of every content; a lost object keeps its number."""
    values: list[sql.Composable] = []
    for column in table.columns:
        lob = table.lob(column)
        values.append(sql.SQL("t.{}").format(sql.Identifier(column)) if lob is None else _restored(lob))
    return sql.SQL("INSERT INTO {table} ({columns}) SELECT {values} FROM {staging} AS t").format(
        table=sql.Identifier(table.name),
        columns=sql.SQL(", ").join(map(sql.Identifier, table.columns)),
        values=sql.SQL(", ").join(values),
        staging=_staging(table),
    )


def _restored(lob: LobColumn) -> sql.Composable:
    column, number = (
        sql.SQL("t.{}").format(sql.Identifier(lob.name)),
        sql.SQL("t.{}").format(sql.Identifier(lob.number_column)),
    )
    if lob.primary is not Storage.POINTER:
        return column
    if lob.binary:
        return sql.SQL("CASE WHEN {c} IS NOT NULL THEN lo_from_bytea(0, {c}) ELSE {n}::oid END").format(
            c=column, n=number
        )
    return sql.SQL(
        "CASE WHEN {c} IS NOT NULL THEN lo_from_bytea(0, convert_to({c}, 'UTF8'))::text ELSE {n}::text END"
    ).format(c=column, n=number)


@written_once
def drop_staging(table: BoundTable) -> sql.Composed:
    """Drop the staging table, so that the next batch of the same session finds its name free."""
    return sql.SQL("DROP TABLE {}").format(_staging(table))


@written_once
def select_shared(table: BoundTable, filled: frozenset[str]) -> sql.Composed | None:
    """Read shared rows as JSON objects; None where the keys name none."""
    condition = owned_rows(table, filled)
    if condition is None:
        return None
    return sql.SQL("SELECT to_json(t)::text FROM {table} AS t WHERE {condition}").format(
        table=sql.Identifier(table.name), condition=condition
    )


@written_once
def insert_missing(table: BoundTable) -> sql.Composed:
    """Insert shared rows that are not there yet; parameter ``rows`` is a JSON array of the primary's rows."""
    columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
    return sql.SQL(
        "INSERT INTO {table} ({columns}) SELECT {columns} FROM jsonb_populate_recordset(NULL::{table}, %(rows)s::jsonb)"
        " ORDER BY {key} ON CONFLICT ({key}) DO NOTHING"
    ).format(
        table=sql.Identifier(table.name),
        columns=columns,
        key=sql.SQL(", ").join(map(sql.Identifier, table.primary_key)),
    )
