"""The backup's tables are made from the primary, follow it where that is safe, and lose nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import psycopg
import pytest

from archival_pipeline.catalogue.backup_tables import apply, migrate_backup_tables, plan_backup_tables
from archival_pipeline.catalogue.indexes import read_indexes
from archival_pipeline.catalogue.jbpm import JBPM
from archival_pipeline.database.introspection import read_schema
from archival_pipeline.errors import PreflightError
from archival_pipeline.local.jbpm_schema import Variant

if TYPE_CHECKING:
    from collections.abc import Callable

    from archival_pipeline_tests.integration.catalogue.conftest import Pair, Session

# what happens to the primary, statements that follow on the backup
FOLLOWED: dict[str, tuple[str, list[str]]] = {
    "a new column": (
        "ALTER TABLE task ADD COLUMN tenant varchar(40) NOT NULL DEFAULT 'one'",
        ['ALTER TABLE "task" ADD COLUMN IF NOT EXISTS "tenant" character varying(40)'],
    ),
    "a longer text": (
        "ALTER TABLE task ALTER COLUMN name TYPE varchar(1000)",
        ['ALTER TABLE "task" ALTER COLUMN "name" TYPE character varying(1000)'],
    ),
    "a text without limit": (
        "ALTER TABLE task ALTER COLUMN name TYPE text",
        ['ALTER TABLE "task" ALTER COLUMN "name" TYPE text'],
    ),
    "a wider number": (
        "ALTER TABLE nodeinstancelog ALTER COLUMN type TYPE bigint",
        ['ALTER TABLE "nodeinstancelog" ALTER COLUMN "type" TYPE bigint'],
    ),
    "a shorter text": ("ALTER TABLE task ALTER COLUMN name TYPE varchar(100)", []),
    "a column less": ("ALTER TABLE task DROP COLUMN description", []),
    "a relaxed column": ("ALTER TABLE nodeinstancelog ALTER COLUMN type DROP NOT NULL", []),
    "content in the row": ("ALTER TABLE content ALTER COLUMN content TYPE bytea USING NULL", []),
}
# what happens on a side, words of the only conflict
CONFLICTS: dict[str, tuple[str, str, str]] = {
    "an incompatible type": (
        "primary",
        "ALTER TABLE task ALTER COLUMN activationtime TYPE timestamptz",
        "column task.activationtime is timestamp without time zone in the backup and timestamp with time zone is",
    ),
    "a narrower number": (
        "primary",
        "ALTER TABLE processinstancelog ALTER COLUMN duration TYPE integer",
        "column processinstancelog.duration is bigint in the backup and integer is needed",
    ),
    "a refusing column": (
        "backup",
        "ALTER TABLE task ADD COLUMN owner text NOT NULL DEFAULT ''",
        "ALTER TABLE task ALTER COLUMN owner DROP NOT NULL",
    ),
    "a generated column": (
        "backup",
        "ALTER TABLE task ADD COLUMN twice bigint GENERATED ALWAYS AS (id * 2) STORED",
        "column task.twice of the backup is generated",
    ),
    "another primary key": (
        "backup",
        "ALTER TABLE content DROP CONSTRAINT content_pkey",
        "the primary key of content is (none) in the backup and (id) in the primary",
    ),
}


def plan(primary: Session, backup: Session) -> list[str]:
    return plan_backup_tables(JBPM, read_schema(primary), read_schema(backup), read_indexes(backup))


@pytest.mark.parametrize("variant", Variant)
def test_a_second_plan_is_empty(pair_of: Callable[[Variant], Pair], variant: Variant) -> None:
    pair = pair_of(variant)
    assert plan(pair.primary, pair.backup) == []
    assert migrate_backup_tables(pair.primary, pair.backup, JBPM) == []


@pytest.mark.parametrize("variant", Variant)
def test_copies_hold_contents_and_numbers(pair_of: Callable[[Variant], Pair], variant: Variant) -> None:
    pair = pair_of(variant)
    engine, copies = read_schema(pair.primary), read_schema(pair.backup)
    assert copies.tables.keys() == {table.name for table in (*JBPM.owned, *JBPM.shared)} & engine.tables.keys()
    for name, facts in copies.tables.items():
        table = JBPM.table(name)
        columns = {column.name: column for column in copies.columns[name]}
        originals = [column.name for column in engine.columns[name]]
        lobs = [lob for lob in table.lobs if lob in originals]
        assert list(columns) == originals + [f"{lob}_lo" for lob in lobs]
        assert {columns[lob].sql_type for lob in lobs} <= {"bytea", "text"}
        assert {column.name for column in columns.values() if column.not_null} == set(facts.primary_key)
        assert facts.primary_key == engine.tables[name].primary_key
    assert copies.foreign_keys == ()


def test_only_primary_keys_are_unique_and_names_say_what_they_are_for(pair: Pair) -> None:
    found = read_indexes(pair.backup)
    assert [index.name for index in found if index.is_unique and not index.is_primary] == []
    assert [index.name for index in found if not index.is_primary and not index.name.endswith("_archived")] == []
    served = {(index.table, index.leading) for index in found}
    for column in ("processinstanceid", "parentprocessinstanceid", "end_date", "correlationkey"):
        assert ("processinstancelog", column) in served
    sparse = {index.leading: index.predicate for index in found if index.table == "i18ntext" and not index.is_primary}
    assert len(sparse) == 9
    assert all(predicate is not None for predicate in sparse.values())


def test_a_sparse_index_is_used_for_an_array_of_keys(pair: Pair) -> None:
    pair.backup.execute("SET enable_seqscan = off")
    plan_rows = pair.backup.execute("EXPLAIN SELECT * FROM i18ntext WHERE task_names_id = ANY(%s)", [[1, 2]]).fetchall()
    assert any("i18ntext_task_names_id_archived" in line for (line,) in plan_rows)


@pytest.mark.parametrize(("change", "expected"), FOLLOWED.values(), ids=FOLLOWED)
def test_the_backup_follows_what_is_safe(pair: Pair, change: str, expected: list[str]) -> None:
    pair.run("primary", change)
    assert migrate_backup_tables(pair.primary, pair.backup, JBPM) == expected
    assert plan(pair.primary, pair.backup) == []


@pytest.mark.parametrize(("side", "change", "words"), CONFLICTS.values(), ids=CONFLICTS)
def test_the_backup_is_left_alone_where_no_change_is_safe(pair: Pair, side: str, change: str, words: str) -> None:
    pair.run(side, change)
    before = read_schema(pair.backup)
    with pytest.raises(PreflightError) as refusal:
        migrate_backup_tables(pair.primary, pair.backup, JBPM)
    assert read_schema(pair.backup) == before
    assert len(refusal.value.findings) == 1
    assert words in refusal.value.findings[0]


def test_a_dropped_index_comes_back_and_a_wider_one_will_do(pair: Pair) -> None:
    pair.run(
        "backup",
        "DROP INDEX task_processinstanceid_archived",
        "DROP INDEX taskevent_processinstanceid_archived",
        "CREATE INDEX of_the_dba ON taskevent (processinstanceid, id)",
    )
    expected = 'CREATE INDEX IF NOT EXISTS "task_processinstanceid_archived" ON "task" ("processinstanceid")'
    assert plan(pair.primary, pair.backup) == [expected]


def test_rows_survive_a_migration(pair: Pair) -> None:
    pair.run("backup", "INSERT INTO content (id, content, content_lo) VALUES (1, 'x', 17)")
    pair.run("primary", "ALTER TABLE content ADD COLUMN more integer", "ALTER TABLE content DROP COLUMN content")
    migrate_backup_tables(pair.primary, pair.backup, JBPM)
    rows = pair.backup.execute("SELECT id, content, content_lo, more FROM content").fetchall()
    assert rows == [(1, b"x", 17, None)]


@pytest.mark.parametrize("variant", Variant)
def test_nothing_is_ever_dropped_or_emptied(pair_of: Callable[[Variant], Pair], variant: Variant) -> None:
    pair = pair_of(variant)
    pair.run("primary", *(change for change, _ in FOLLOWED.values()))
    pair.run("backup", "DROP TABLE i18ntext, timermappinginfo", "ALTER TABLE content DROP COLUMN content_lo")
    statements = plan(pair.primary, pair.backup)
    assert statements != []
    harmful = re.compile(r"\b(drop|truncate|delete|update|rename|set not null|unique|references)\b", re.IGNORECASE)
    assert [statement for statement in statements if harmful.search(statement)] == []


def test_all_or_nothing(pair: Pair) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable):
        apply(pair.backup, ["ALTER TABLE task ADD COLUMN more integer", "ALTER TABLE nowhere ADD COLUMN more integer"])
    assert read_schema(pair.backup).column("task", "more") is None


def test_a_held_lock_is_not_waited_for_long(
    pair: Pair, pair_of: Callable[[Variant], Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archival_pipeline.catalogue.backup_tables._LOCK_TIMEOUT_MS", 50)
    reader = pair_of(Variant.STANDARD_OID).backup
    reader.execute("SELECT FROM task")
    with pytest.raises(psycopg.errors.LockNotAvailable):
        apply(pair.backup, ["ALTER TABLE task ADD COLUMN more integer"])
