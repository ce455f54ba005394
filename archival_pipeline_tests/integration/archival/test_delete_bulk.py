"""Bulk deletion takes instances with all their descendants, and only what it may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from archival_pipeline import errors
from archival_pipeline.archival import steps
from archival_pipeline.archival.direction import DELETE_BACKUP, DELETE_PRIMARY, Direction
from archival_pipeline.local.jbpm_schema import Variant
from archival_pipeline_tests.support import checker
from archival_pipeline_tests.support.moves import Engine, open_run, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from archival_pipeline.local.sample_data import TreeFact
    from archival_pipeline_tests.support.moves import Pair, Ran

FOREST = Engine(trees=30, flavours=("embedded",), traps=True)


def _delete(pair: Pair, *roots: int, direction: Direction = DELETE_PRIMARY, **options: Any) -> Ran:
    return run(pair.settings, direction, {"piids": [str(root) for root in roots]}, database=direction.origin, **options)


def _deep(pair: Pair) -> TreeFact:
    trees = pair.written.forests[0].trees
    return max((t for t in trees if t.obstacle is None and t.kind == "ordinary"), key=lambda tree: len(tree.members))


@pytest.mark.parametrize("variant", Variant)
def test_descendants_and_large_objects_go_along(pair_of: Callable[[Engine], Pair], variant: Variant) -> None:
    pair = pair_of(Engine(variant, trees=10, flavours=("embedded",), every_ended=1))
    tree = _deep(pair)
    goes = [*tree.members, *pair.written.ended[0]]
    gone = pair.checker.primary(goes)
    rows, before, numbers = pair.checker.primary(), pair.checker.dump(), pair.checker.numbers(goes)
    assert len(tree.members) > 1

    roots = [pid for pid in pair.roots("primary") if pid in goes]
    ran = _delete(pair, *roots)

    assert not ran.reports
    left = {table: found - gone[table] for table, found in rows.items()}
    assert checker.differences(left, pair.checker.primary()) == []
    after = pair.checker.dump()
    assert after.objects == {number: data for number, data in before.objects.items() if number not in numbers}
    bystanders = before.rows.keys() - checker.OWNED.keys()
    assert {name: after.rows[name] for name in bystanders} == {name: before.rows[name] for name in bystanders}
    assert checker.filled(pair.checker.backup()) == set()
    assert ran.totals.instances_moved == len(goes)
    assert ran.totals.rows_moved == sum(found.total() for found in gone.values()) == ran.deleted[0].row_count


def test_i8_instances_that_are_not_over_stay_unless_forced(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(FOREST)
    unsafe = pair.written.forests[0].unsafe_roots
    before = pair.checker.primary()

    refused = _delete(pair, *unsafe)
    assert set(refused.reports) == set(unsafe)
    assert checker.differences(before, pair.checker.primary()) == []

    forced = _delete(pair, *unsafe, force=True)
    assert not forced.reports
    members = {pid for root in unsafe for pid in pair.tree(root)}
    assert not members & pair.pids("primary")
    assert checker.filled(pair.checker.primary(members)) == set()


def test_only_what_is_backed_up_equal_goes(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(Engine(every_ended=3))
    roots = pair.roots("primary")
    equal, other, missing, *rest = roots
    _copy_without_deleting(pair, [equal, other, *rest])
    pair.execute("backup", "UPDATE processinstancelog SET outcome = 'other' WHERE processinstanceid = %s", other)
    before, there = pair.checker.primary(), pair.checker.backup()

    ran = _delete(pair, *roots, onlyIfBackedUp=True)

    assert {root: ran.reports[root].reason for root in ran.reports} == dict.fromkeys((other, missing), "not_backed_up")
    assert equal not in pair.pids("primary")
    assert {other, missing} <= pair.pids("primary")
    assert pair.checker.backup() == there
    kept = pair.checker.primary()
    assert all(not kept[table] - before[table] for table in kept)


def _copy_without_deleting(pair: Pair, roots: list[int]) -> None:
    move = open_run(pair.settings, filters={"piids": [str(root) for root in roots]})
    try:
        for wave in steps.fetch(move).waves:
            steps.children(move, wave)
            steps.execute(move, wave)
    finally:
        move.close()
    pair.execute("backup", "UPDATE archival_batch SET state = 'failed'")


def test_the_backup_can_be_thinned_too(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(FOREST)
    run(pair.settings)
    tree = _deep(pair)
    gone, archived = pair.checker.backup(tree.members), pair.checker.backup()
    before = pair.checker.dump()

    ran = _delete(pair, tree.root, direction=DELETE_BACKUP)

    assert ran.totals.instances_moved == len(tree.members)
    left = {table: found - gone[table] for table, found in archived.items()}
    assert checker.differences(left, pair.checker.backup()) == []
    assert pair.checker.dump() == before


def test_the_backup_keeps_what_the_primary_does_not_hold(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(FOREST)
    run(pair.settings)
    tree = _deep(pair)
    archived = pair.checker.backup()

    ran = _delete(pair, tree.root, direction=DELETE_BACKUP, onlyIfBackedUp=True)

    assert ran.reports[tree.root].reason == "not_backed_up"
    assert pair.checker.backup() == archived


def test_a_row_that_comes_meanwhile_keeps_its_tree(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(Engine(every_ended=2))
    root, *_ = pair.roots("primary")
    _copy_without_deleting(pair, pair.roots("primary"))
    before = pair.checker.backup()

    def late() -> None:
        pair.execute("primary", "UPDATE processinstancelog SET outcome = 'late' WHERE processinstanceid = %s", root)

    ran = run(
        pair.settings, DELETE_PRIMARY, {"piids": [str(pid) for pid in pair.roots("primary")]}, between=late,
        onlyIfBackedUp=True,
    )  # fmt: skip

    assert set(ran.reports) == {root}
    assert pair.roots("primary") == [root]
    assert pair.checker.backup() == before


def test_everything_is_deleted_only_on_demand(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(FOREST)
    before = pair.checker.primary()

    with pytest.raises(errors.RequestError, match="every process instance"):
        run(pair.settings, DELETE_PRIMARY, {}, allowAll=False)

    assert pair.checker.primary() == before
