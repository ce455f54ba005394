"""The sample forest under real constraints: equal for a seed, in the proportions of real engines, well described."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
import pytest
from psycopg import sql

from archival_pipeline.catalogue import facts
from archival_pipeline.database.connections import connect
from archival_pipeline.local import jbpm_schema
from archival_pipeline.local.jbpm_schema import Variant
from archival_pipeline.local.sample_data import (
    LIVE_ONLY,
    Obstacle,
    Profile,
    Summary,
    generate,
    populate_every_table,
    vocabulary,
)
from archival_pipeline_tests.integration.local.trap_queries import TRAPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline.local.sample_data import ClobMode
    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline_tests.support.databases import TestDatabases

    Session = psycopg.Connection[tuple[Any, ...]]

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PROFILE = Profile(seed=7, trees=120, now=NOW, chunk_trees=50)
MODES: list[tuple[Variant, ClobMode]] = [
    (Variant.STANDARD_OID, "pointer"),
    (Variant.STANDARD_BYTEA, "pointer"),
    (Variant.SPRINGBOOT_OID, "text"),
    (Variant.SPRINGBOOT_BYTEA, "text"),
]


@dataclass
class Forest:
    """A database with a forest in it."""

    session: psycopg.Connection[tuple[Any, ...]]
    summary: Summary
    variant: Variant
    clob_mode: ClobMode

    def rows(self, statement: LiteralString | sql.Composed, *values: object) -> list[tuple[Any, ...]]:
        return self.session.execute(statement, values).fetchall()

    def count(self, statement: LiteralString, *values: object) -> int:
        return int(self.rows(statement, *values)[0][0])


def plant(session: Session, profile: Profile, variant: Variant, *, clob_guard: bool = False) -> Forest:
    jbpm_schema.create(session, variant, clob_guard=clob_guard)
    return Forest(session, generate(session, profile, variant), variant, profile.clob_mode)


@pytest.fixture(scope="module", params=MODES, ids=lambda mode: f"{mode[0]}-{mode[1]}")
def forest(request: pytest.FixtureRequest, primary_databases: TestDatabases) -> Iterator[Forest]:
    variant, clob_mode = request.param
    settings = primary_databases.fresh()
    with connect(settings, purpose="test", autocommit=True) as session:
        yield plant(session, replace(PROFILE, clob_mode=clob_mode), variant, clob_guard=clob_mode == "pointer")
    primary_databases.drop(settings)


@pytest.fixture
def session(primary_database: DatabaseSettings) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with connect(primary_database, purpose="test", autocommit=True) as opened:
        yield opened


def fingerprint(session: Session) -> dict[str, tuple[Any, ...]]:
    """Digest every table and all large objects."""
    found: dict[str, tuple[Any, ...]] = {}
    for table in facts.columns():
        query = sql.SQL("SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {} AS t")
        found[table] = session.execute(query.format(sql.Identifier(table))).fetchall()[0]
    lobs = "SELECT count(*), md5(string_agg(md5(lo_get(oid)), '|' ORDER BY oid)) FROM pg_largeobject_metadata"
    return found | {"": session.execute(lobs).fetchall()[0]}


# -- what holds in every mode ------------------------------------------------------------------------------------------


def test_summary_counts_what_is_there(forest: Forest) -> None:
    for table in facts.columns():
        if table in ("organizationalentity", "caseidinfo"):
            continue
        query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
        assert forest.rows(query) == [(forest.summary.rows.get(table, 0),)], table
    assert forest.count("SELECT count(*) FROM pg_largeobject_metadata") == forest.summary.large_objects


def test_no_id_lies_beyond_its_sequence(forest: Forest) -> None:
    for sequence in facts.sequences():
        query = sql.SQL("SELECT coalesce(max({}), 0) FROM {}")
        ids = forest.rows(query.format(sql.Identifier(sequence.column), sql.Identifier(sequence.table)))[0][0]
        last, called = forest.rows(
            sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(sequence.name))
        )[0]
        assert ids <= last, sequence.name
        assert (last - sequence.start) % jbpm_schema.increment(sequence, forest.variant) == 0
        assert called or ids == 0


def test_sequences_of_ids_without_rows_are_advanced_too(forest: Forest) -> None:
    used = forest.count("SELECT max(workitemid) FROM nodeinstancelog")
    assert forest.count("SELECT last_value FROM workiteminfo_id_seq") >= used
    used = forest.count("SELECT max(taskid) FROM audittaskimpl")
    assert forest.count("SELECT last_value FROM task_id_seq") >= used


def test_timestamps_are_whole_milliseconds_and_in_order(forest: Forest) -> None:
    assert not forest.rows("SELECT 1 FROM taskevent WHERE logtime <> date_trunc('milliseconds', logtime)")
    assert not forest.rows("SELECT 1 FROM processinstancelog WHERE end_date < start_date OR end_date > %s", NOW)
    oldest = NOW.replace(tzinfo=None) - timedelta(days=PROFILE.oldest_days)
    ordinary = [tree for tree in forest.summary.trees if tree.kind == "ordinary" and tree.ended_at]
    assert all(tree.ended_at is not None and oldest <= tree.ended_at for tree in ordinary)


CLOSURE = """
WITH RECURSIVE tree (root, pid) AS (
    SELECT pid, pid FROM unnest(%s::bigint[]) AS root (pid)
    UNION
    SELECT tree.root, child.processinstanceid
    FROM tree JOIN processinstancelog AS child ON child.parentprocessinstanceid = tree.pid AND tree.pid > 0
)
"""
MEMBERS = "SELECT root, array_agg(pid ORDER BY pid) FROM tree GROUP BY root"


def test_members_are_the_closure_of_the_root(forest: Forest) -> None:
    roots = [tree.root for tree in forest.summary.trees]
    live = forest.rows(CLOSURE + MEMBERS, roots)
    assert dict(live) == {tree.root: sorted(tree.members) for tree in forest.summary.trees}


OBSTACLES = """
SELECT DISTINCT root FROM tree
WHERE EXISTS (SELECT FROM processinstancelog AS p WHERE p.processinstanceid = pid AND p.status NOT IN (2, 3))
   OR EXISTS (SELECT FROM processinstanceinfo AS i WHERE i.instanceid = pid)
   OR EXISTS (SELECT FROM workiteminfo AS w WHERE w.processinstanceid = pid)
   OR EXISTS (SELECT FROM contextmappinginfo AS c WHERE c.context_id = pid::text)
   OR EXISTS (SELECT FROM requestinfo AS r WHERE r.processinstanceid = pid
              AND r.status IN ('QUEUED', 'RETRYING', 'RUNNING'))
   OR EXISTS (SELECT FROM task AS t WHERE t.processinstanceid = pid
              AND t.status NOT IN ('Completed', 'Failed', 'Error', 'Exited', 'Obsolete'))
"""


def test_obstacles_are_those_that_the_rows_show(forest: Forest) -> None:
    summary = forest.summary
    shown = {row[0] for row in forest.rows(CLOSURE + OBSTACLES, [tree.root for tree in summary.trees])}
    assert shown == {root for root, why in summary.unsafe_roots.items() if why is not Obstacle.CASE_OPEN}
    assert set(summary.unsafe_roots.values()) == set(Obstacle)
    assert len(summary.safe_roots) > 80


def test_large_objects_are_reachable_missing_or_orphaned(forest: Forest) -> None:
    numbers = numbers_in_rows(forest)
    there = {row[0] for row in forest.rows("SELECT oid FROM pg_largeobject_metadata")}
    missing = 1 * (not forest.variant.bytea) + 1 * (forest.clob_mode == "pointer")
    assert len(numbers) == len(set(numbers))
    assert len(set(numbers) - there) == missing
    assert len(there - set(numbers)) == forest.summary.orphaned_large_objects
    if forest.clob_mode == "pointer":
        guarded = {row[0] for row in forest.rows("SELECT loid FROM jbpm_active_clob")}
        assert guarded <= set(numbers)


def numbers_in_rows(forest: Forest) -> list[int]:
    numbers: list[int] = []
    for lob in facts.large_object_columns():
        if (lob.kind == "blob" and forest.variant.bytea) or (lob.kind == "clob" and forest.clob_mode == "text"):
            continue
        query = sql.SQL("SELECT {column}::oid FROM {table} WHERE {column} IS NOT NULL")
        names = {"column": sql.Identifier(lob.column), "table": sql.Identifier(lob.table)}
        numbers += [row[0] for row in forest.rows(query.format(**names))]
    return numbers


def test_awkward_texts_arrive_unchanged(forest: Forest) -> None:
    (pid,) = forest.summary.traps["awkward_texts"]
    values = forest.rows(
        "SELECT value FROM variableinstancelog WHERE processinstanceid = %s AND variableid LIKE 'odd%%' ORDER BY id",
        pid,
    )
    assert [row[0] for row in values] == list(vocabulary.AWKWARD_TEXTS)


def test_current_value_of_a_variable_has_the_greatest_id(forest: Forest) -> None:
    query = "SELECT count(*) FROM variableinstancelog AS a JOIN variableinstancelog AS b "
    query += "USING (processinstanceid, variableid) WHERE a.id < b.id AND a.log_date > b.log_date"
    assert forest.count(query) == 0


ONLY_SOMETIMES = {"awkward_texts", "empty_values", "large_object_missing", "numeric_comment", "case_part_running"}


@pytest.mark.parametrize("name", TRAPS)
def test_each_trap_is_there(forest: Forest, name: str) -> None:
    assert forest.rows(TRAPS[name], list(forest.summary.traps[name]))


def test_every_named_trap_has_a_test(forest: Forest) -> None:
    assert set(forest.summary.traps) <= set(TRAPS) | ONLY_SOMETIMES


def test_empty_values_are_no_nulls(forest: Forest) -> None:
    (pid,) = forest.summary.traps["empty_values"]
    comments = "SELECT c.text FROM task_comment AS c JOIN task AS t ON t.id = c.taskdata_comments_id "
    comments += "WHERE t.processinstanceid = %s ORDER BY c.id DESC LIMIT 2"
    (null,), (empty,) = forest.rows(sql.SQL(comments).format(), pid)
    assert null is None
    if forest.clob_mode == "text":
        assert empty == ""
    else:
        assert forest.rows("SELECT lo_get(%s::oid)", empty) == [(b"",)]
        assert not forest.rows("SELECT 1 FROM pg_largeobject WHERE loid = %s::oid", empty)


def test_missing_large_objects_exist_where_the_mode_has_numbers(forest: Forest) -> None:
    numbers = forest.clob_mode == "pointer" or not forest.variant.bytea
    assert ("large_object_missing" in forest.summary.traps) == numbers


def test_numeric_comments_exist_where_comments_are_texts(forest: Forest) -> None:
    pids = forest.summary.traps.get("numeric_comment", ())
    assert bool(pids) == (forest.clob_mode == "text")
    if pids:
        comments = forest.rows(
            "SELECT c.text, EXISTS (SELECT FROM pg_largeobject_metadata AS m WHERE m.oid = c.text::oid) "
            "FROM task_comment AS c JOIN task AS t ON t.id = c.taskdata_comments_id "
            "WHERE t.processinstanceid = %s AND c.text ~ '^[0-9]+$' ORDER BY c.id",
            pids[0],
        )
        assert [there for _, there in comments] == [False, True]


def test_contents_zero_and_minus_one_are_there(forest: Forest) -> None:
    assert forest.rows("SELECT id FROM content WHERE id <= 0 ORDER BY id") == [(-1,), (0,)]


# -- proportions -------------------------------------------------------------------------------------------------------

KIE_ENDED = {"nodeinstancelog": 20, "variableinstancelog": 14, "audittaskimpl": 2, "bamtasksummary": 2}
KIE_ENDED |= {"taskevent": 10, "taskvariableimpl": 16, "task": 0, "processinstancelog": 1}
EMBEDDED_ENDED = KIE_ENDED | {"bamtasksummary": 0, "task": 2}
WAITING = {"nodeinstancelog": 11, "variableinstancelog": 12, "taskevent": 7, "taskvariableimpl": 13, "task": 2}
WAITING |= {"correlationkeyinfo": 1, "workiteminfo": 1, "audittaskimpl": 2}
PLAIN = "SELECT {} FROM processinstancelog AS p WHERE status = {} AND NOT EXISTS "
PLAIN += "(SELECT FROM processinstancelog AS c WHERE c.parentprocessinstanceid = p.processinstanceid)"


def rows_per_instance(session: Session, table: str, status: int) -> set[int]:
    """Return the different numbers of rows that childless instances of a state have in a table."""
    per = sql.SQL("(SELECT count(*) FROM {} AS x WHERE x.processinstanceid = p.processinstanceid)")
    query = sql.SQL(PLAIN).format(per.format(sql.Identifier(table)), status)
    return {row[0] for row in session.execute(query)}


@pytest.mark.parametrize(("flavour", "ended"), [("kie_server", KIE_ENDED), ("embedded", EMBEDDED_ENDED)])
def test_an_instance_has_the_rows_of_a_real_one(session: Session, flavour: Any, ended: dict[str, int]) -> None:
    profile = replace(Profile.lean(seed=3, trees=150, now=NOW), flavour=flavour)
    plant(session, profile, Variant.STANDARD_OID)
    for table, expected in ended.items():
        assert rows_per_instance(session, table, 2) == {expected}, table
    for table, expected in WAITING.items():
        assert rows_per_instance(session, table, 1) == {expected}, table


def test_forest_has_the_proportions_of_real_ones(session: Session) -> None:
    forest = plant(session, Profile.lean(seed=11, trees=1_000, now=NOW), Variant.STANDARD_OID)
    summary = forest.summary
    assert 60 <= sum(summary.rows.values()) / summary.instances <= 72
    assert 550 <= sum(len(tree.members) == 1 for tree in summary.trees) <= 650
    assert 50 <= sum(why is Obstacle.ROOT_RUNNING for why in summary.unsafe_roots.values()) <= 110
    assert 1.5 <= summary.instances / len(summary.trees) <= 2.2
    assert 15 <= forest.count("SELECT count(*) FROM processinstancelog WHERE processtype = 2") <= 45
    assert summary.orphaned_large_objects == 0
    assert not summary.traps
    assert forest.count("SELECT count(*) FROM pg_stats WHERE tablename = 'nodeinstancelog'") > 0


# -- seeds and repetition ----------------------------------------------------------------------------------------------


def test_same_seed_gives_the_same_database(primary_databases: TestDatabases) -> None:
    found = []
    for seed in (5, 5, 6):
        settings = primary_databases.fresh()
        with connect(settings, purpose="test", autocommit=True) as session:
            forest = plant(session, Profile(seed=seed, trees=30, now=NOW, chunk_trees=7), Variant.SPRINGBOOT_OID)
            found.append((fingerprint(session), forest.summary))
        primary_databases.drop(settings)
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_a_second_forest_goes_on_where_the_first_ended(session: Session) -> None:
    first = plant(session, Profile(seed=1, trees=40, now=NOW), Variant.STANDARD_BYTEA).summary
    second = generate(session, Profile(seed=2, trees=40, now=NOW), Variant.STANDARD_BYTEA)
    pids = {pid for tree in first.trees for pid in tree.members}
    assert pids.isdisjoint(pid for tree in second.trees for pid in tree.members)
    duplicates = "SELECT correlationkey FROM processinstancelog WHERE processtype = 2 GROUP BY 1 HAVING count(*) > 1"
    assert not session.execute(duplicates).fetchall()


def test_a_failure_on_the_server_reaches_the_caller(session: Session) -> None:
    jbpm_schema.create(session, Variant.STANDARD_OID)
    session.execute("ALTER TABLE taskvariableimpl ADD CHECK (value <> 'north')")
    with pytest.raises(psycopg.errors.CheckViolation):
        generate(session, Profile(seed=1, trees=40, now=NOW, chunk_trees=5), Variant.STANDARD_OID)


def test_the_caller_may_own_the_transaction(session: Session) -> None:
    jbpm_schema.create(session, Variant.STANDARD_OID)
    with session.transaction(force_rollback=True):
        generate(session, Profile(seed=1, trees=10, now=NOW, chunk_trees=3), Variant.STANDARD_OID)
    assert session.execute("SELECT count(*) FROM processinstancelog").fetchone() == (0,)


def test_chunks_are_committed_on_a_session_without_autocommit(primary_database: DatabaseSettings) -> None:
    with connect(primary_database, purpose="test") as session:
        jbpm_schema.create(session, Variant.STANDARD_OID)
        session.commit()
        summary = generate(session, Profile(seed=1, trees=10, now=NOW, chunk_trees=3), Variant.STANDARD_OID)
        session.rollback()
        written = session.execute("SELECT count(*) FROM processinstancelog").fetchone()
    assert written == (summary.rows["processinstancelog"],)


# -- every table -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("variant", "clob_mode"), MODES)
@pytest.mark.parametrize("ended", [True, False])
def test_every_owned_table_gets_rows(session: Session, variant: Variant, clob_mode: ClobMode, *, ended: bool) -> None:
    jbpm_schema.create(session, variant)
    pids = populate_every_table(session, variant, now=NOW, ended=ended, clob_mode=clob_mode)
    empty = set()
    for table in facts.owned_tables():
        query = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(table))
        if session.execute(query).fetchone() == (False,):
            empty.add(table)
    assert empty == (set(LIVE_ONLY) if ended else set())
    logged = session.execute("SELECT array_agg(DISTINCT processinstanceid) FROM processinstancelog").fetchone()
    assert logged == (sorted(pids),)
    shown = session.execute(CLOSURE + OBSTACLES, (list(pids),)).fetchall()
    assert bool(shown) != ended
