"""The table of legal holds in the backup database keeps Camunda hierarchies as the setting does, and at any moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from archival_pipeline.archival import holding
from archival_pipeline.database import migrations
from archival_pipeline.database.connections import connect
from archival_pipeline.errors import PreflightError, RequestError
from archival_pipeline.history.cleanup import keeping
from archival_pipeline.history.cleanup.keeping import as_held
from archival_pipeline.history.cleanup.running import Outcome, clean
from archival_pipeline_tests.support.camunda import camunda_settings
from archival_pipeline_tests.support.camunda_cleanup import around, cleanup_settings, content, fill

if TYPE_CHECKING:
    from archival_pipeline.catalogue.holds import Kind
    from archival_pipeline.local.camunda_data import Scene
    from archival_pipeline.settings import DatabaseSettings


@pytest.fixture
def scene(primary_database: DatabaseSettings) -> Scene:
    return fill(primary_database, with_traps=False)


@pytest.fixture
def backup(backup_database: DatabaseSettings) -> DatabaseSettings:
    migrations.upgrade(backup_database, "backup")
    return backup_database


def place(backup: DatabaseSettings, kind: Kind, value: str) -> None:
    holding.place(backup, "camunda", kind, value, reason="case 12", by="a lawyer")


def run(engine: DatabaseSettings, backup: DatabaseSettings, scene: Scene, **given: Any) -> Outcome:
    progress = given.pop("progress", lambda _: None)
    mode = given.pop("mode", "hierarchical")
    settings = camunda_settings(engine)
    return clean(settings, cleanup_settings(**given), around(scene, progress=progress), mode=mode, backup=backup)


def left(engine: DatabaseSettings) -> set[str]:
    return set(content(camunda_settings(engine))["act_hi_procinst"])


def test_each_kind_of_hold_keeps_the_whole_hierarchy(
    primary_database: DatabaseSettings, backup: DatabaseSettings, scene: Scene
) -> None:
    with connect(primary_database, purpose="test") as session:
        called = session.execute(
            "SELECT id_, root_proc_inst_id_ FROM act_hi_procinst WHERE id_ <> root_proc_inst_id_"
            " AND root_proc_inst_id_ = ANY(%s) ORDER BY id_ LIMIT 1",
            (list(scene.roots),),
        ).fetchone()
    assert called is not None
    other = next(root for root in scene.roots if root != called[1])
    place(backup, "instance", called[0])
    place(backup, "business_key", f"bk-{other[:8]}")

    outcome = run(primary_database, backup, scene)

    assert outcome.removed.roots == len(scene.roots) - 2
    # What is on hold is no backlog.
    assert outcome.left <= 1
    assert {*called, other} <= left(primary_database)
    place(backup, "definition", "invoice")
    place(backup, "definition", "order")
    assert run(primary_database, backup, scene).removed.roots == 0
    with pytest.raises(RequestError, match="knows no hold"):
        run(primary_database, backup, scene, mode="compatible")


def test_a_hold_placed_between_two_batches_counts(
    primary_database: DatabaseSettings, backup: DatabaseSettings, scene: Scene
) -> None:
    kept: list[str] = []

    def hold_one(_: Outcome) -> None:
        if not kept:
            kept.append(min(set(scene.roots) & left(primary_database)))
            place(backup, "instance", kept[0])

    outcome = run(primary_database, backup, scene, historyCleanupBatchSize="5", progress=hold_one)

    assert outcome.removed.roots == len(scene.roots) - 1
    assert set(kept) == set(scene.roots) & left(primary_database)


def test_a_new_hold_says_how_many_instances_it_names(
    primary_database: DatabaseSettings, backup: DatabaseSettings, scene: Scene
) -> None:
    root, settings = min(scene.roots), camunda_settings(primary_database)
    counts = []
    for kind, value in (("instance", root), ("business_key", "nothing has it"), ("definition", "invoice")):
        hold = holding.place(backup, "camunda", cast("Kind", kind), value, reason="case 12", by="a lawyer").hold
        counts.append(keeping.matching(settings, hold))
    assert counts[:2] == [1, 0]
    assert counts[2] > 1


def test_a_hold_on_another_engine_or_a_released_one_keeps_nothing(
    primary_database: DatabaseSettings, backup: DatabaseSettings, scene: Scene
) -> None:
    holding.place(backup, "jbpm", "definition", "invoice", reason="case 12", by="a lawyer")
    hold = holding.place(backup, "camunda", "definition", "order", reason="case 12", by="a lawyer").hold
    holding.release(backup, hold.hold_id, reason="over", by="a judge")
    assert not as_held(cleanup_settings(), backup).holds.any
    assert run(primary_database, backup, scene).removed.roots == len(scene.roots)


def test_nothing_is_removed_where_the_holds_cannot_be_read(
    primary_database: DatabaseSettings, backup_database: DatabaseSettings, scene: Scene
) -> None:
    before = content(camunda_settings(primary_database))
    with pytest.raises(PreflightError, match="archival-pipeline migrate"):
        run(primary_database, backup_database, scene)
    assert content(camunda_settings(primary_database)) == before
