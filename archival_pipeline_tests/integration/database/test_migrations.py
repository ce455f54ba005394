"""Migrations bring both databases to the version of this release, whoever runs them and however often."""

from __future__ import annotations

import logging
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import TYPE_CHECKING, get_args

import pytest

from archival_pipeline.database import migrations
from archival_pipeline.database.connections import Limits, connect
from archival_pipeline.database.migrations import Which
from archival_pipeline.errors import ConfigurationError, DatabaseError, OperatorDatabaseError, TransientDatabaseError

if TYPE_CHECKING:
    from archival_pipeline.settings import DatabaseSettings

SIDES = get_args(Which)
FUNCTIONS = {
    "process_children_fn_v1",
    "process_count_fn_v1",
    "process_find_fn_v1",
    "process_piids_fn_v1",
    "process_where_fn_v1",
}
ODD_SCHEMA = 'Odd "schema": 100%'


def _catalog(settings: DatabaseSettings) -> list[tuple[str, ...]]:
    """Everything the migrations make, as text, so that two ways to make it can be compared."""
    query = """
        SELECT 'function', p.proname::text, pg_get_functiondef(p.oid)
        FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace WHERE n.nspname = current_schema()
        UNION ALL
        SELECT 'column', table_name || '.' || column_name, concat_ws(' ', data_type, is_nullable, column_default)
        FROM information_schema.columns WHERE table_schema = current_schema()
        UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()
        UNION ALL SELECT 'constraint', c.conname, pg_get_constraintdef(c.oid)
        FROM pg_constraint AS c JOIN pg_namespace AS n ON n.oid = c.connamespace WHERE n.nspname = current_schema()
        UNION ALL SELECT 'trigger', t.tgname, pg_get_triggerdef(t.oid)
        FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
        WHERE c.relnamespace = current_schema()::regnamespace AND NOT t.tgisinternal
        UNION ALL SELECT 'view', viewname, definition FROM pg_views WHERE schemaname = current_schema()
        ORDER BY 1, 2
    """
    with connect(settings, purpose="test") as connection:
        return connection.execute(query).fetchall()


def _functions(settings: DatabaseSettings) -> set[str]:
    query = (
        "SELECT p.proname, p.proconfig FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE nspname = %s"
    )
    with connect(settings, purpose="test") as connection:
        rows = connection.execute(query, [settings.schema_name]).fetchall()
    return {name for name, _ in rows if name.startswith("process_")}


def _in_schema(settings: DatabaseSettings, schema: str, *, create: bool) -> DatabaseSettings:
    moved = settings.model_copy(update={"schema_name": schema})
    if create:
        with connect(settings, purpose="test", autocommit=True) as connection:
            connection.execute('CREATE SCHEMA "{}"'.format(schema.replace('"', '""')))
    return moved


@pytest.mark.parametrize("which", SIDES)
def test_upgrade_installs_the_functions_and_a_second_one_changes_nothing(
    which: Which, primary_database: DatabaseSettings
) -> None:
    assert migrations.current(primary_database, which) is None
    assert not migrations.is_current(primary_database, which)

    migrations.upgrade(primary_database, which)
    after_first = _catalog(primary_database)
    migrations.upgrade(primary_database, which)

    assert after_first
    assert which in {"history", "snapshots"} or _functions(primary_database) >= FUNCTIONS
    assert _catalog(primary_database) == after_first
    assert migrations.current(primary_database, which) == migrations.newest(which)
    assert migrations.is_current(primary_database, which)


def test_only_the_backup_gets_the_audit(primary_database: DatabaseSettings, backup_database: DatabaseSettings) -> None:
    migrations.upgrade(primary_database, "primary")
    migrations.upgrade(backup_database, "backup")

    tables = [
        {row[1].split(".")[0] for row in _catalog(side) if row[0] == "column"}
        for side in (primary_database, backup_database)
    ]

    assert tables[0] == {"archival_schema_version"}
    assert tables[1] >= {"archival_schema_version", "process_audit_logs"}


@pytest.mark.parametrize("which", SIDES)
def test_the_printed_script_makes_what_the_upgrade_makes(
    which: Which, primary_database: DatabaseSettings, backup_database: DatabaseSettings
) -> None:
    script = migrations.as_sql(which, "public")
    with connect(backup_database, purpose="test", autocommit=True) as connection:
        connection.execute(script.encode())

    migrations.upgrade(primary_database, which)

    assert _catalog(backup_database) == _catalog(primary_database)
    assert migrations.is_current(backup_database, which)
    assert primary_database.password.get_secret_value() not in script.split()


def test_everything_of_the_history_goes_to_the_configured_schema(primary_database: DatabaseSettings) -> None:
    settings = _in_schema(primary_database, ODD_SCHEMA, create=False)

    migrations.upgrade(settings, "history")

    with connect(primary_database, purpose="test") as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [ODD_SCHEMA]).fetchall()
    assert {("bpm_history_process",), ("bpm_history_task",)} <= set(tables)
    assert _catalog(primary_database) == []


@pytest.mark.parametrize("which", ["primary", "backup"])
def test_everything_goes_to_the_configured_schema_and_works_from_any_search_path(
    which: Which, primary_database: DatabaseSettings
) -> None:
    settings = _in_schema(primary_database, ODD_SCHEMA, create=which == "primary")

    migrations.upgrade(settings, which)

    assert _functions(settings) >= FUNCTIONS
    assert _catalog(primary_database) == []
    with connect(primary_database, purpose="test") as connection:
        connection.execute('CREATE TABLE "Odd ""schema"": 100%".processinstancelog (processinstanceid bigint)')
        query = """SELECT "Odd ""schema"": 100%".process_count_fn_v1('{"piids": [1]}')"""
        assert connection.execute(query.encode()).fetchall() == [(0,)]


def test_the_script_of_an_odd_schema_runs(backup_database: DatabaseSettings) -> None:
    with connect(backup_database, purpose="test", autocommit=True) as connection:
        connection.execute(migrations.as_sql("backup", ODD_SCHEMA).encode())

    assert migrations.is_current(_in_schema(backup_database, ODD_SCHEMA, create=False), "backup")


def test_a_missing_schema_of_the_engine_is_a_wrong_setting(primary_database: DatabaseSettings) -> None:
    settings = _in_schema(primary_database, "nowhere", create=False)

    with pytest.raises(ConfigurationError, match="no schema named 'nowhere'") as caught:
        migrations.upgrade(settings, "primary")

    assert "BPM_DB_SCHEMA_NAME" in caught.value.resolve


def test_starts_at_once_all_succeed_and_migrate_once(backup_database: DatabaseSettings) -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        for done in [pool.submit(migrations.upgrade, backup_database, "backup") for _ in range(2)]:
            done.result()

    with connect(backup_database, purpose="test") as connection:
        versions = connection.execute("SELECT version_num FROM archival_schema_version").fetchall()
    assert versions == [(migrations.newest("backup"),)]


def test_a_start_waits_for_another_that_is_migrating(
    backup_database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "_LIMITS", Limits(lock_timeout=100))
    with connect(backup_database, purpose="test") as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended('archival_schema_version:public', 0))")
        with pytest.raises(TransientDatabaseError) as caught:
            migrations.upgrade(backup_database, "backup")

    assert caught.value.code == "55P03"
    assert _catalog(backup_database) == []


def test_threads_may_migrate_both_databases_at_once(
    primary_database: DatabaseSettings, backup_database: DatabaseSettings
) -> None:
    sides: dict[Which, DatabaseSettings] = {"primary": primary_database, "backup": backup_database}
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(migrations.upgrade, settings, which) for which, settings in sides.items()]:
            done.result()

    assert all(migrations.is_current(settings, which) for which, settings in sides.items())


def test_a_refused_statement_leaves_nothing_behind_and_says_what_to_grant(backup_database: DatabaseSettings) -> None:
    with connect(backup_database, purpose="test", autocommit=True) as connection:
        connection.execute("CREATE VIEW process_audit_logs AS SELECT 1 AS one")
    before = _catalog(backup_database)

    with pytest.raises(DatabaseError, match="migrating the backup database"):
        migrations.upgrade(backup_database, "backup")

    assert _catalog(backup_database) == before


def test_a_role_without_the_right_to_create_is_told_so(backup_database: DatabaseSettings) -> None:
    role = f"reader_of_{backup_database.database}"
    with connect(backup_database, purpose="test", autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'reader'".encode())
        connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    settings = backup_database.model_copy(
        update={"username": role, "password": type(backup_database.password)("reader")}
    )
    try:
        with pytest.raises(OperatorDatabaseError) as caught:
            migrations.upgrade(settings, "backup")
    finally:
        with connect(backup_database, purpose="test", autocommit=True) as connection:
            connection.execute(f"DROP ROLE {role}".encode())

    assert caught.value.code == "42501"


def test_migrating_leaves_the_logging_of_the_process_alone(backup_database: DatabaseSettings) -> None:
    before = (logging.root.level, list(logging.root.handlers), logging.getLogger("dagster").disabled)
    migrations.upgrade(backup_database, "backup")

    assert (logging.root.level, list(logging.root.handlers), logging.getLogger("dagster").disabled) == before
