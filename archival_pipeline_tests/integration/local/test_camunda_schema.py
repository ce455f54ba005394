"""The Camunda engine's DDL on a server: the live catalog says exactly what the facts say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from archival_pipeline.catalogue import camunda_facts
from archival_pipeline.database.connections import connect
from archival_pipeline.local import camunda_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from archival_pipeline.settings_camunda import CamundaSettings

    Session = psycopg.Connection[tuple[Any, ...]]

COLUMNS = """
SELECT c.relname, a.attname, a.attnum, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
       a.attnum = ANY (coalesce(k.conkey, '{}')), r.relname, t.attname
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_constraint AS k ON k.conrelid = c.oid AND k.contype = 'p'
LEFT JOIN pg_constraint AS f ON f.conrelid = c.oid AND f.contype = 'f' AND f.conkey = ARRAY[a.attnum]
LEFT JOIN pg_class AS r ON r.oid = f.confrelid
LEFT JOIN pg_attribute AS t ON t.attrelid = f.confrelid AND ARRAY[t.attnum] = f.confkey
WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
"""
INDEXES = """
SELECT t.relname, i.indisunique, i.indisprimary,
       array(SELECT pg_get_indexdef(i.indexrelid, n, true) FROM generate_series(1, i.indnatts) AS n ORDER BY n)
FROM pg_index AS i
JOIN pg_class AS t ON t.oid = i.indrelid
WHERE t.relnamespace = current_schema()::regnamespace
"""


@pytest.fixture
def session(camunda_database: CamundaSettings) -> Iterator[Session]:
    with connect(camunda_database, purpose="test", autocommit=True) as opened:
        yield opened


def test_columns_are_those_of_the_facts(session: Session) -> None:
    expected = {
        (c.table, c.name, c.ordinal, c.pg_type, c.nullable, c.primary_key, *(c.references or (None, None)))
        for found in camunda_facts.columns().values()
        for c in found
    }
    assert set(session.execute(COLUMNS)) == expected
    assert (len(expected), len(camunda_facts.columns())) == (681, 49)


def test_indexes_are_those_of_the_facts(session: Session) -> None:
    expected = sorted((i.table, i.unique, i.primary_key, list(i.columns)) for i in camunda_facts.indexes())
    live = sorted((*row[:3], [name.strip('"') for name in row[3]]) for row in session.execute(INDEXES))
    assert live == expected
    assert len(expected) == 281


def test_no_foreign_key_leaves_or_enters_the_history(session: Session) -> None:
    targets = {(row[0], row[6]) for row in session.execute(COLUMNS) if row[6]}
    assert not [pair for pair in targets if any("act_hi_" in name for name in pair)]
    assert {source for source, target in targets if target == "act_ge_bytearray"} == {
        "act_ru_variable",
        "act_ru_job",
        "act_ru_ext_task",
    }


def test_a_prefix_stands_before_every_table(primary_database: CamundaSettings) -> None:
    with connect(primary_database, purpose="test", autocommit=True) as opened:
        camunda_schema.create(opened, "cam_", history_level=2)
        names = [row[0] for row in opened.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        level = opened.execute("SELECT value_ FROM cam_act_ge_property WHERE name_ = 'historyLevel'").fetchone()
    assert len(names) == 49
    assert all(name.startswith("cam_act_") for name in names)
    assert level == ("2",)
