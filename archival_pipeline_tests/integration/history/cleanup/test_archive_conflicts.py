"""What the engine, a person or a server does between the copy and the removal, or before a restore: no row is lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from archival_pipeline.catalogue import holds
from archival_pipeline.database import migrations
from archival_pipeline.database.connections import connect
from archival_pipeline.errors import PreflightError, RequestError
from archival_pipeline.history.cleanup.archive import opening
from archival_pipeline.history.cleanup.archive.ledger import ARCHIVED, COPIED, DISCARDED, RESTORED, RETURNED
from archival_pipeline.history.cleanup.archive.opening import Target
from archival_pipeline.history.cleanup.archive.service import Wanted
from archival_pipeline.history.cleanup.running import clean
from archival_pipeline_tests.support.camunda import camunda_settings
from archival_pipeline_tests.support.camunda_archive import Pair, only
from archival_pipeline_tests.support.camunda_cleanup import around, cleanup_settings, fill, without

if TYPE_CHECKING:
    from archival_pipeline.local.camunda_data import Scene
    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline_tests.conftest import DatabaseFactory

_COMMENT = "INSERT INTO act_hi_comment (id_, proc_inst_id_, time_, message_, rev_) VALUES ('late', %s, now(), '', 1)"


@pytest.fixture(scope="module")
def scenes() -> dict[str, Scene]:
    """What the template holds, once it is built."""
    return {}


@pytest.fixture
def pair(database_from_template: DatabaseFactory, scenes: dict[str, Scene]) -> Pair:
    """Six hierarchies that are due, and nothing else."""

    def build(settings: DatabaseSettings) -> None:
        scenes["due"] = fill(settings, hierarchies=6, due_share=1.0, with_traps=False)

    engine = camunda_settings(database_from_template("camunda history, all due", build))

    def prepare(settings: DatabaseSettings) -> None:
        opening.migrate(engine, settings)

    return Pair(engine, database_from_template("archive of history", prepare, "backup"), scenes["due"])


def test_a_row_that_came_after_the_copy_is_archived_too(pair: Pair) -> None:
    root, _ = pair.scene.roots[:2]
    pair.begin()
    pair.execute_engine(_COMMENT, root)
    before = pair.engine_content()
    outcome = pair.run()
    assert (outcome.left, outcome.set_aside) == (0, {})
    assert "late" in pair.archive_content()["act_hi_comment"]
    assert pair.archive_content() == only(before, pair.due | {"act_hi_comment": frozenset(before["act_hi_comment"])})
    assert pair.states() == {ARCHIVED}


def test_rows_that_the_engine_removed_after_the_copy_stay_archived(pair: Pair) -> None:
    root, other = pair.scene.roots[:2]
    before = pair.engine_content()
    pair.begin()
    pair.execute_engine("DELETE FROM act_hi_detail WHERE root_proc_inst_id_ = %s", root)
    pair.execute_engine("DELETE FROM act_hi_procinst WHERE root_proc_inst_id_ = %s", other)
    outcome = pair.run()
    assert (outcome.left, outcome.set_aside) == (0, {})
    assert pair.archive_content() == only(before, pair.due)
    assert pair.engine_content() == without(before, pair.due)
    pair.restore()
    assert pair.engine_content() == before


def test_rows_missing_on_both_sides_stay_in_both_and_are_reported(pair: Pair) -> None:
    root = pair.scene.roots[0]
    pair.begin()
    pair.execute_engine("DELETE FROM act_hi_detail WHERE root_proc_inst_id_ = %s", root)
    pair.execute_engine(_COMMENT, root)
    engine, archive = pair.engine_content(), pair.archive_content()
    outcome = pair.run()
    assert outcome.set_aside.keys() == {root}
    assert "stands in both" in outcome.set_aside[root]
    assert pair.states() == {ARCHIVED, COPIED}
    assert outcome.removed.roots == len(pair.scene.roots) - 1
    kept = pair.engine_content()["act_hi_comment"]
    assert kept.items() <= engine["act_hi_comment"].items()
    assert "late" in kept
    assert pair.archive_content() == archive
    assert pair.run().set_aside.keys() == {root}


def test_an_archive_that_was_changed_after_the_copy_is_found_before_the_removal(pair: Pair) -> None:
    before = pair.engine_content()
    pair.begin()
    assert pair.execute_backup("UPDATE camunda_act_ge_bytearray SET bytes_ = 'other'") > 0
    assert pair.run().set_aside == {}
    assert pair.archive_content() == only(before, pair.due)


def test_a_hold_that_came_after_the_copy_takes_it_back(pair: Pair) -> None:
    root = pair.scene.roots[0]
    pair.begin()
    before = pair.engine_content()
    outcome = pair.run(historyCleanupHolds=json.dumps({"instances": [root]}))
    assert outcome.removed.roots == len(pair.scene.roots) - 1
    assert root in pair.engine_content()["act_hi_procinst"]
    assert root not in pair.archive_content()["act_hi_procinst"]
    assert pair.states() == {ARCHIVED, DISCARDED}
    pair.run()
    assert pair.archive_content() == only(before, pair.due)


def test_a_hold_of_the_table_counts_at_the_removal(pair: Pair) -> None:
    root = pair.scene.roots[0]
    pair.begin()
    with connect(pair.backup, purpose="test") as session:
        holds.place(session, "camunda", "instance", root, reason="a suit", by="nobody")
    assert pair.run().removed.roots == len(pair.scene.roots) - 1
    assert root in pair.engine_content()["act_hi_procinst"]
    assert pair.states() == {ARCHIVED, DISCARDED}


def test_what_a_writer_holds_waits_and_the_others_go(pair: Pair) -> None:
    before, root = pair.engine_content(), pair.scene.roots[0]
    with connect(pair.engine, purpose="writer") as writer:
        writer.execute("SELECT 1 FROM act_hi_procinst WHERE id_ = %s FOR UPDATE", (root,))
        outcome = pair.run()
    assert outcome.removed.roots == len(pair.scene.roots) - 1
    assert outcome.left == 1
    assert pair.run().taken_up == 1
    assert pair.archive_content() == only(before, pair.due)


def test_a_hierarchy_that_the_backup_refuses_stays_and_the_others_go(pair: Pair) -> None:
    before, root = pair.engine_content(), pair.scene.roots[0]
    pair.execute_backup(f"ALTER TABLE camunda_act_hi_actinst ADD CONSTRAINT no CHECK (root_proc_inst_id_ <> '{root}')")
    outcome = pair.run()
    assert outcome.set_aside.keys() == {root}
    assert outcome.set_aside[root].startswith("23514")
    assert outcome.left == 1
    assert pair.engine_content()["act_hi_procinst"].keys() >= {root}
    pair.execute_backup("ALTER TABLE camunda_act_hi_actinst DROP CONSTRAINT no")
    pair.run()
    assert pair.archive_content() == only(before, pair.due)


def test_a_loose_row_that_the_backup_refuses_does_not_keep_the_others(
    primary_database: DatabaseSettings, backup_database: DatabaseSettings
) -> None:
    pair = Pair.make(primary_database, backup_database, hierarchies=1)
    pair.execute_backup("ALTER TABLE camunda_act_hi_batch ADD CHECK (false)")
    outcome = pair.run()
    (batch,) = pair.due["act_hi_batch"]
    assert outcome.set_aside.keys() == {f"act_hi_batch {batch}"}
    assert pair.due["act_hi_job_log"] <= pair.archive_content()["act_hi_job_log"].keys()
    assert batch in pair.engine_content()["act_hi_batch"]


def test_what_was_archived_before_goes_again_only_if_it_is_the_same(pair: Pair) -> None:
    before, (same, other) = pair.engine_content(), pair.scene.roots[:2]
    pair.begin()
    pair.execute_backup("UPDATE cleanup_archive_unit SET state = 'deleted' WHERE unit_id IN (%s, %s)", same, other)
    pair.execute_engine(_COMMENT, other)
    for _ in range(2):
        outcome = pair.run()
        assert outcome.set_aside.keys() == {other}
    assert other in pair.engine_content()["act_hi_procinst"]
    assert same not in pair.engine_content()["act_hi_procinst"]
    assert pair.archive_content() == only(before, pair.due)


def test_a_restore_refuses_what_stands_in_its_way_and_brings_the_rest(pair: Pair) -> None:
    before = pair.engine_content()
    taken, joined, running, *others = pair.scene.roots
    pair.run()
    archive = pair.archive_content()
    pair.execute_engine(
        "INSERT INTO act_hi_procinst (id_, proc_inst_id_, proc_def_id_, start_time_) VALUES (%s, %s, 'x', now())",
        taken,
        taken,
    )
    pair.execute_engine(_COMMENT, joined)
    pair.execute_engine("INSERT INTO act_ru_execution (id_, proc_inst_id_) VALUES (%s, %s)", running, running)
    returned = pair.restore()
    assert returned.refused.keys() == {taken, joined, running}
    assert returned.refused[taken].startswith("23505")
    assert f"({taken})" in returned.refused[taken]
    assert "act_hi_comment" in returned.refused[joined]
    assert "runs" in returned.refused[running]
    assert returned.hierarchies == len(others)
    left = pair.archive_content()
    assert all(left[table].items() <= rows.items() for table, rows in archive.items())
    assert left["act_hi_procinst"].keys() >= {taken, joined, running}
    pair.execute_engine("DELETE FROM act_hi_procinst WHERE proc_def_id_ = 'x'")
    pair.execute_engine("DELETE FROM act_hi_comment WHERE id_ = 'late'")
    pair.execute_engine("DELETE FROM act_ru_execution")
    assert pair.restore().refused == {}
    assert pair.engine_content() == before


def test_a_restore_brings_what_was_asked_for(pair: Pair) -> None:
    first, second, *_ = pair.scene.roots
    pair.run("tuesday")
    with pytest.raises(RequestError, match="Nothing says"):
        pair.restore(Wanted())
    assert pair.restore(Wanted(instances=[first]), dry_run=True).hierarchies == 1
    assert pair.states() == {ARCHIVED}
    returned = pair.restore(Wanted(instances=[first], business_keys=[f"bk-{second[:8]}"]))
    assert (returned.hierarchies, returned.due) == (2, 2)
    assert pair.restore(Wanted(runs=["monday"])).hierarchies == 0
    assert pair.restore(Wanted(definitions=["invoice", "order"])).hierarchies == len(pair.scene.roots) - 2


def test_what_the_engine_removed_again_during_a_restore_stays_archived(pair: Pair) -> None:
    before = pair.engine_content()
    pair.run()
    root = pair.scene.roots[0]
    pair.execute_backup(
        "UPDATE cleanup_archive_unit SET operation = 'restore', state = 'copied' WHERE unit_id = %s", root
    )
    assert "removed it again" in pair.restore(Wanted(runs=["none"])).refused[root]
    assert pair.states() == {ARCHIVED}
    assert pair.archive_content() == only(before, pair.due)


@pytest.mark.parametrize("in_the_engine", [True, False])
def test_the_rows_have_the_last_word_where_the_server_forgot_a_transaction(pair: Pair, *, in_the_engine: bool) -> None:
    if in_the_engine:
        pair.begin()
    else:
        pair.run()
    pair.execute_backup(
        "UPDATE cleanup_archive_unit SET operation = 'restore', state = 'copying', engine_transaction = '3'"
    )
    assert pair.settle() == {RETURNED if in_the_engine else ARCHIVED}


def test_a_wider_engine_waits_for_the_backups_tables(pair: Pair) -> None:
    pair.execute_engine("ALTER TABLE act_hi_procinst ADD COLUMN verdict_ varchar(20)")
    pair.execute_engine("UPDATE act_hi_procinst SET verdict_ = 'paid'")
    before = pair.engine_content()
    with pytest.raises(PreflightError, match="cleanup migrate"):
        pair.run()
    assert pair.engine_content() == before
    assert opening.migrate(pair.engine, pair.backup) == [
        'ALTER TABLE "camunda_act_hi_procinst" ADD COLUMN IF NOT EXISTS "verdict_" character varying(20)'
    ]
    assert opening.migrate(pair.engine, pair.backup) == []
    pair.run()
    pair.restore()
    assert pair.engine_content() == before
    pair.run()
    pair.execute_engine("ALTER TABLE act_hi_procinst DROP COLUMN verdict_")
    with pytest.raises(PreflightError, match="no column any more"):
        pair.restore()


def test_one_backup_serves_one_engine(pair: Pair) -> None:
    pair.run()
    pair.execute_backup("UPDATE cleanup_archive_engine SET table_prefix = 'other_'")
    for refused in (pair.run, pair.restore):
        with pytest.raises(PreflightError, match="prefix other_"):
            refused()
    opening.migrate(pair.engine, pair.backup, adopt=True)
    assert pair.restore().hierarchies == len(pair.scene.roots)


def test_an_engines_own_database_is_no_backup(pair: Pair) -> None:
    elsewhere = pair.engine.model_copy(update={"schema_name": "elsewhere"})
    migrations.upgrade(elsewhere, "backup")
    with pytest.raises(PreflightError, match="same physical database"):
        clean(
            pair.engine,
            cleanup_settings(),
            around(pair.scene),
            target=Target(elsewhere, "run"),
        )


def test_the_engines_row_rule_cannot_archive(pair: Pair) -> None:
    with pytest.raises(RequestError, match="nothing whole"):
        clean(
            pair.engine,
            cleanup_settings(),
            around(pair.scene),
            mode="compatible",
            target=Target(pair.backup, "run"),
        )
    assert RESTORED not in pair.states()
