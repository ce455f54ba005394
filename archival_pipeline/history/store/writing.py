"""Writes what events say into the history's two tables, in sets.

A field of a row changes only if the event's (final, version, value) is greater than the stored one: the same choice
as in ``events/model.py``, so it does not matter how a stream is cut into batches. Not here: transactions, which belong
to the caller; the reading of events.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from psycopg import sql

from archival_pipeline.history.events.fields import ENTITIES
from archival_pipeline.history.events.model import fold
from archival_pipeline.history.store.erasure import without_erased

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from archival_pipeline.history.events.fields import Entity, Field, Value
    from archival_pipeline.history.events.model import Folded, HistoryEvent


def write(session: psycopg.Connection[Any], events: Sequence[HistoryEvent]) -> int:
    """Bring the rows to what the events say, in the transaction at work.

    Args:
        session: of the history database.
        events: in any order, each any number of times.

    Returns:
        Rows that were made or changed.
    """
    rows = fold(without_erased(session, events))
    return sum(
        _upsert(session, entity, [row for row in rows if row.kind == entity.kind]) for entity in ENTITIES.values()
    )


def _upsert(session: psycopg.Connection[Any], entity: Entity, rows: Sequence[Folded]) -> int:
    if not rows:
        return 0
    columns = [_array([row.entity_id for row in rows])]
    for described in entity.fields:
        name = described.name
        columns.append(_array([row.cells.get(name, _SILENT)[1] for row in rows]))
    columns.append(_array([_versions(row, entity) for row in rows]))
    return session.execute(_statement(entity), columns).rowcount


def _array(values: Sequence[Value]) -> str:
    """The values as PostgreSQL reads an array of them; the driver's own way takes several times as long."""
    return "{" + ",".join(["NULL" if value is None else _quoted(str(value)) for value in values]) + "}"


def _quoted(text: str) -> str:
    if "\\" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


_SILENT = (0, None)


def _versions(row: Folded, entity: Entity) -> str:
    numbers = (row.cells.get(described.name, _SILENT)[0] for described in entity.fields)
    return "{" + ",".join(map(str, numbers)) + "}"


_UPSERT = """
    INSERT INTO {table} AS stored ({key}, {columns}, versions)
    SELECT {key}, {columns}, versions::bigint[]
    FROM unnest({arrays}) AS given ({key}, {columns}, versions)
    ON CONFLICT ({key}) DO UPDATE SET {assignments}, versions = ARRAY[{versions}]
    WHERE {changes}
"""


@cache
def _statement(entity: Entity) -> sql.Composed:
    comma = sql.SQL(", ")
    wins = [_wins(described, place) for place, described in enumerate(entity.fields, start=1)]
    names = [sql.Identifier(described.column) for described in entity.fields]
    casts = ["%s::text[]", *("%s::timestamp[]" if f.is_time else "%s::text[]" for f in entity.fields), "%s::text[]"]
    choose = sql.SQL("CASE WHEN {wins} THEN excluded.{cell} ELSE stored.{cell} END")
    cells = [sql.SQL("versions[{}]").format(sql.Literal(place)) for place in range(1, len(wins) + 1)]
    return sql.SQL(_UPSERT).format(
        table=sql.Identifier(entity.table),
        key=sql.Identifier(entity.key.column),
        columns=comma.join(names),
        arrays=comma.join(map(sql.SQL, casts)),
        assignments=comma.join(
            sql.SQL("{name} = {choice}").format(name=name, choice=choose.format(wins=win, cell=name))
            for name, win in zip(names, wins, strict=True)
        ),
        versions=comma.join(choose.format(wins=win, cell=cell) for cell, win in zip(cells, wins, strict=True)),
        changes=sql.SQL(" OR ").join(wins),
    )


def _wins(described: Field, place: int) -> sql.Composed:
    """Whether the given cell is greater than the stored one."""
    return sql.SQL("(({given}) > ({stored}))").format(
        given=_rank(described, place, "excluded"), stored=_rank(described, place, "stored")
    )


def _rank(described: Field, place: int, side: str) -> sql.Composed:
    cell = sql.Identifier(side, described.column)
    if described.final is None:
        final = sql.SQL("{} IS NOT NULL, ").format(cell)
    elif described.final:
        final = sql.SQL("coalesce({} = ANY({}), FALSE), ").format(cell, sql.Literal(list(described.final)))
    else:
        final = sql.Composed([])
    collation = sql.SQL("" if described.is_time else ' COLLATE "C"')
    return sql.SQL("{final}{side}.versions[{place}], {cell} IS NOT NULL, {cell}{collation}").format(
        final=final, side=sql.Identifier(side), place=sql.Literal(place), cell=cell, collation=collation
    )
