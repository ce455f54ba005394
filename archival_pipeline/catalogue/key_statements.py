"""Builds the SQL that finds the keys of instances: every id through which rows of theirs are reached.

Not here: the statements that use the keys (``statements.py``), which key sets there are (``jbpm.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from archival_pipeline.catalogue.composing import written_once
from archival_pipeline.catalogue.model import PROCESS, Scan
from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline.catalogue.binding import BoundCatalogue
    from archival_pipeline.catalogue.model import Arm, KeySet

# Further than any sequence gets while a wave is moved.
_REACH = 1_000_000_000_000


@written_once
def resolve_keys(catalogue: BoundCatalogue, *, scanned_before: bool = False) -> sql.Composed:
    """One statement that finds every key set of the instances in parameter ``process``.

    Returns one row: an array literal for each key set, in the catalogue's order, ready to be bound again. Each set is
    an initialisation plan of the next, so that every step is an index lookup by an array, whatever the statistics say.

    Args:
        catalogue: what belongs to an instance.
        scanned_before: look only at two kinds of rows of the tables that would have to be scanned: those whose keys
            are in parameter ``known_<set>``, and those whose key is greater than parameter ``after_<set>``.
    """
    ctes = [
        sql.SQL(
            "{name} AS MATERIALIZED ("
            "SELECT coalesce(array_agg(DISTINCT s.key), '{{}}'::{type} []) AS keys FROM ({body}) AS s)"
        ).format(
            name=_keys_cte(key_set.name),
            type=sql.SQL(key_set.sql_type),
            body=_key_body(key_set, scanned_before=scanned_before),
        )
        for key_set in catalogue.key_sets
    ]
    outputs = [sql.SQL("(SELECT k.keys FROM {} AS k)::text").format(_keys_cte(k.name)) for k in catalogue.key_sets]
    return sql.SQL("WITH {} SELECT {}").format(sql.SQL(",\n").join(ctes), sql.SQL(",\n").join(outputs))


@written_once
def scan_keys(catalogue: BoundCatalogue) -> sql.Composed | None:
    """One statement that scans, once, every table that has to be scanned for keys of the instances in ``process``.

    Returns rows of three columns: the key set, an instance and a key of it; and for each set one row whose instance is
    NULL, with the greatest key of the table. None where the catalogue has no such table.
    """
    parts: list[sql.Composed] = []
    for key_set in catalogue.key_sets:
        for scan, body in _scans(key_set):
            name = sql.Literal(key_set.name)
            parts.append(
                sql.SQL("SELECT {}, q.process, q.key FROM ({}) AS q WHERE {}").format(
                    name, body, _meaningful(key_set, sql.SQL("q.key"))
                )
            )
            greatest = sql.SQL("SELECT {}, NULL::bigint, coalesce(max(t.{}), 0) FROM {} AS t")
            parts.append(greatest.format(name, sql.Identifier(scan.key), sql.Identifier(scan.table)))
    if not parts:
        return None
    return sql.SQL("WITH {} AS MATERIALIZED (SELECT {}::bigint [] AS keys) {}").format(
        _keys_cte(PROCESS), sql.Placeholder("process"), sql.SQL(" UNION ALL ").join(parts)
    )


def _scans(key_set: KeySet) -> Iterator[tuple[Scan, sql.Composable]]:
    if key_set.scan is not None:
        yield key_set.scan, sql.SQL(load_sql(key_set.query))
    for arm in key_set.arms:
        if not arm.indexed:
            yield Scan(arm.table, arm.select), _scanning_arm(arm, key_set, sql.Identifier(arm.table))


def _keys_cte(name: str) -> sql.Identifier:
    return sql.Identifier(f"keys_{name}")


def _key_body(key_set: KeySet, *, scanned_before: bool) -> sql.Composable:
    if key_set.name == PROCESS:
        return sql.SQL("SELECT p.key FROM unnest(%(process)s::bigint []) AS p (key) WHERE p.key > 0")
    if key_set.query:
        query: sql.Composable = sql.SQL(load_sql(key_set.query))
        if scanned_before and key_set.scan is not None:
            # Within the query the table's name stands for its part.
            part = _part(key_set.scan, key_set)
            query = sql.SQL("WITH {} AS NOT MATERIALIZED {} {}").format(sql.Identifier(key_set.scan.table), part, query)
        return sql.SQL("SELECT q.key FROM ({}) AS q WHERE {}").format(query, _meaningful(key_set, sql.SQL("q.key")))
    if not key_set.arms:
        return sql.SQL("SELECT NULL::{} AS key WHERE false").format(sql.SQL(key_set.sql_type))
    return sql.SQL(" UNION ALL ").join(_arm(arm, key_set, scanned_before=scanned_before) for arm in key_set.arms)


def _arm(arm: Arm, key_set: KeySet, *, scanned_before: bool) -> sql.Composed:
    if not arm.indexed:
        table = _part(Scan(arm.table, arm.select), key_set) if scanned_before else sql.Identifier(arm.table)
        return sql.SQL("SELECT a.key FROM ({}) AS a").format(_scanning_arm(arm, key_set, table))
    return sql.SQL("SELECT t.{select} AS key FROM {table} AS t WHERE t.{column} = ANY({keys}) AND {condition}").format(
        select=sql.Identifier(arm.select),
        table=sql.Identifier(arm.table),
        column=sql.Identifier(arm.column),
        keys=_keys_of(arm),
        condition=_arm_condition(arm, key_set),
    )


def _scanning_arm(arm: Arm, key_set: KeySet, table: sql.Composable) -> sql.Composed:
    return sql.SQL(
        "SELECT p.id AS process, t.{select} AS key FROM {table} AS t"
        " INNER JOIN unnest({keys}) AS p (id) ON t.{column} = p.id WHERE {condition}"
    ).format(
        select=sql.Identifier(arm.select),
        table=table,
        keys=_keys_of(arm),
        column=sql.Identifier(arm.column),
        condition=_arm_condition(arm, key_set),
    )


def _keys_of(arm: Arm) -> sql.Composed:
    return sql.SQL("(SELECT k.keys FROM {} AS k)::bigint []").format(_keys_cte(arm.through))


def _arm_condition(arm: Arm, key_set: KeySet) -> sql.Composed:
    condition = _meaningful(key_set, sql.SQL("t.{}").format(sql.Identifier(arm.select)))
    return sql.SQL("{} AND {}").format(condition, sql.SQL(arm.condition)) if arm.condition else condition


def _part(scan: Scan, key_set: KeySet) -> sql.Composed:
    """The rows of a table that were known to a scan before, and those that came after it; both by primary key.

    The upper end is out of reach; without one a planner that does not know the values expects a third of the table.
    """
    return sql.SQL(
        "(SELECT t.* FROM {table} AS t WHERE t.{key} = ANY({known}::bigint [])"
        " UNION ALL"
        " SELECT t.* FROM {table} AS t WHERE t.{key} > {after}::bigint AND t.{key} < {after}::bigint + {reach})"
    ).format(
        table=sql.Identifier(scan.table),
        key=sql.Identifier(scan.key),
        known=sql.Placeholder(f"known_{key_set.name}"),
        after=sql.Placeholder(f"after_{key_set.name}"),
        reach=sql.Literal(_REACH),
    )


def _meaningful(key_set: KeySet, expression: sql.Composable) -> sql.Composed:
    """Leave out NULL and the values that mean «none»."""
    if key_set.minimum is None:
        return sql.SQL("{} IS NOT NULL").format(expression)
    return sql.SQL("{} >= {}").format(expression, sql.Literal(key_set.minimum))
