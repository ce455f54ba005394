"""The engine's DDL on a server: the live catalog says exactly what the facts say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from archival_pipeline.catalogue import facts
from archival_pipeline.database.connections import connect
from archival_pipeline.local import jbpm_schema
from archival_pipeline.local.jbpm_schema import Variant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline_tests.support.databases import TestDatabases

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
WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace AND c.relname <> 'jbpm_active_clob'
"""
INDEXES = """
SELECT t.relname, i.indisunique, i.indisprimary, pg_get_expr(i.indpred, i.indrelid),
       array(SELECT pg_get_indexdef(i.indexrelid, n, true) FROM generate_series(1, i.indnatts) AS n ORDER BY n)
FROM pg_index AS i
JOIN pg_class AS t ON t.oid = i.indrelid
WHERE t.relnamespace = current_schema()::regnamespace
"""
FOREIGN_KEYS = """
SELECT count(*), bool_or(condeferrable), array_agg(DISTINCT confdeltype::text || confupdtype::text)
FROM pg_constraint WHERE contype = 'f' AND connamespace = current_schema()::regnamespace
"""
SEQUENCES = "SELECT sequencename, start_value, increment_by, cycle, last_value FROM pg_sequences"
DEFAULTS = "SELECT count(*) FROM pg_attrdef"
OWNED_SEQUENCES = "SELECT count(*) FROM pg_depend WHERE deptype IN ('a', 'i') AND refobjsubid > 0 AND objid IN "
OWNED_SEQUENCES += "(SELECT oid FROM pg_class WHERE relkind = 'S')"


@pytest.fixture(scope="module", params=list(Variant))
def variant(request: pytest.FixtureRequest) -> Variant:
    return Variant(request.param)


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "guarded"])
def session(
    request: pytest.FixtureRequest, primary_databases: TestDatabases, variant: Variant
) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    settings = primary_databases.fresh()
    with connect(settings, purpose="test", autocommit=True) as opened:
        jbpm_schema.create(opened, variant, clob_guard=request.param)
        yield opened
    primary_databases.drop(settings)


def test_columns_are_those_of_the_facts(session: Session, variant: Variant) -> None:
    expected = {
        (c.table, c.name, c.ordinal, c.pg_type, c.nullable, c.primary_key, *(c.references or (None, None)))
        for found in facts.columns(variant.value).values()
        for c in found
    }
    assert set(session.execute(COLUMNS)) == expected
    assert len(expected) == 314


def test_foreign_keys_neither_cascade_nor_wait(session: Session) -> None:
    assert session.execute(FOREIGN_KEYS).fetchone() == (45, False, ["aa"])


def test_indexes_are_those_of_the_facts(session: Session, variant: Variant) -> None:
    expected = sorted(
        (i.table, i.unique, i.primary_key, i.predicate or "", list(i.columns)) for i in facts.indexes(variant.value)
    )
    live = [(*row[:3], row[3] or "", [name.strip('"') for name in row[4]]) for row in session.execute(INDEXES)]
    assert sorted(live) == expected


def test_sequences_are_those_of_the_facts_and_unused(session: Session, variant: Variant) -> None:
    expected = {(s.name, s.start, jbpm_schema.increment(s, variant), False, None) for s in facts.sequences()}
    assert set(session.execute(SEQUENCES)) == expected


def test_no_column_has_a_default_and_none_owns_a_sequence(session: Session) -> None:
    assert session.execute(DEFAULTS).fetchone() == (0,)
    assert session.execute(OWNED_SEQUENCES).fetchone() == (0,)


@pytest.fixture
def guarded(primary_database: DatabaseSettings) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with connect(primary_database, purpose="test", autocommit=True) as opened:
        jbpm_schema.create(opened, Variant.STANDARD_OID, clob_guard=True)
        yield opened


def known(session: Session) -> list[int]:
    return [row[0] for row in session.execute("SELECT loid FROM jbpm_active_clob ORDER BY loid")]


def test_guard_follows_a_text_through_its_life(guarded: Session) -> None:
    guarded.execute("INSERT INTO email_header (id, body) VALUES (1, '101'), (2, '102'), (3, NULL)")
    guarded.execute("INSERT INTO i18ntext (id, text) VALUES (1, '201')")
    assert known(guarded) == [101, 102, 201]
    guarded.execute("UPDATE email_header SET body = '103' WHERE id = 1")
    guarded.execute("UPDATE email_header SET body = '104' WHERE id = 3")
    guarded.execute("UPDATE email_header SET subject = 'no change of the body'")
    assert known(guarded) == [102, 103, 104, 201]
    guarded.execute("UPDATE email_header SET body = NULL WHERE id = 3")
    guarded.execute("DELETE FROM email_header WHERE id = 2")
    assert known(guarded) == [103, 201]
    guarded.execute("TRUNCATE i18ntext")
    assert known(guarded) == [103]


def test_guard_refuses_plain_text(guarded: Session) -> None:
    with pytest.raises(psycopg.errors.InvalidTextRepresentation, match="invalid input syntax for type oid"):
        guarded.execute("INSERT INTO task_comment (id, text) VALUES (1, 'please call back')")


def test_guard_table_has_no_index(guarded: Session) -> None:
    found = guarded.execute("SELECT count(*) FROM pg_index WHERE indrelid = 'jbpm_active_clob'::regclass").fetchone()
    assert found == (0,)


def test_optional_table_is_that_of_the_facts(guarded: Session) -> None:
    jbpm_schema.create_optional(guarded)
    live = {row[1:6] for row in guarded.execute(COLUMNS) if row[0] == "planningtask"}
    expected = facts.optional_columns()["planningtask"]
    assert live == {(c.name, c.ordinal, c.pg_type, c.nullable, c.primary_key) for c in expected}


def test_schema_goes_where_the_search_path_says(primary_database: DatabaseSettings) -> None:
    elsewhere = primary_database.model_copy(update={"schema_name": "Engine Data"})
    with connect(elsewhere, purpose="test", autocommit=True) as opened:
        opened.execute('CREATE SCHEMA "Engine Data"')
        jbpm_schema.create(opened, Variant.SPRINGBOOT_OID)
        found = opened.execute("SELECT schemaname, count(*) FROM pg_tables WHERE tablename = 'task' GROUP BY 1")
        assert found.fetchall() == [("Engine Data", 1)]
