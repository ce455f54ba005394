"""From filters to trees: roots alone where each tree has its day, and the instances of an earlier operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from archival_pipeline import errors
from archival_pipeline.archival import picking
from archival_pipeline.archival.direction import BACKUP, RESTORE
from archival_pipeline_tests.support.checker import differences
from archival_pipeline_tests.support.moves import Engine, open_run, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from archival_pipeline.archival.direction import Direction
    from archival_pipeline_tests.support.moves import Pair

FOREST = Engine(trees=30)
COMPLETED = {"processStatus": "COMPLETED"}
# The day that the tests move a tree to; the sample forest has nothing there.
DAY = {"endedFrom": "2020-05-05T00:00:00Z", "endedTo": "2020-05-06T00:00:00Z"}


@pytest.fixture
def pair(pair_of: Callable[[Engine], Pair]) -> Pair:
    return pair_of(FOREST)


def tree_with_descendants(pair: Pair) -> tuple[int, list[int]]:
    """Root and descendants of a tree that may move, the one with the most members."""
    [summary] = pair.written.forests
    trees = [tree for tree in summary.trees if tree.root in summary.safe_roots]
    largest = max(trees, key=lambda tree: len(tree.members))
    assert len(largest.members) > 1
    return largest.root, [pid for pid in largest.members if pid != largest.root]


def ended(pair: Pair, moment: str, *pids: int) -> None:
    statement = "UPDATE processinstancelog SET end_date = %s WHERE processinstanceid = ANY(%s)"
    pair.execute("primary", statement, moment, [*pids])


def picked(pair: Pair, filters: dict[str, Any], direction: Direction = BACKUP, **options: Any) -> list[int]:
    move = open_run(pair.settings, direction, filters, dryRun=True, **options)
    try:
        return picking.pick(move)[1]
    finally:
        move.close()


def test_descendant_of_a_tree_of_another_day_is_not_picked(pair: Pair) -> None:
    root, descendants = tree_with_descendants(pair)
    ended(pair, "2020-05-05 12:00:00", *descendants)
    assert set(picked(pair, DAY)) <= set(descendants)
    assert picked(pair, DAY)
    assert picked(pair, DAY, rootsOnly=True) == []

    ended(pair, "2020-05-05 10:00:00", root)
    assert picked(pair, DAY, rootsOnly=True) == [root]


def test_tree_moves_on_the_day_of_its_root_however_late_its_descendants_ended(pair: Pair) -> None:
    root, descendants = tree_with_descendants(pair)
    ended(pair, "2020-05-05 10:00:00", root)
    ended(pair, "2020-05-09 10:00:00", *descendants)

    ran = run(pair.settings, BACKUP, DAY)
    assert (ran.totals.trees_moved, ran.reports[root].reason) == (0, "younger_member")

    ran = run(pair.settings, BACKUP, DAY, rootsOnly=True)
    assert (ran.totals.trees_moved, pair.pids("backup")) == (1, {root, *descendants})


def test_age_limits_every_member_with_roots_alone_too(pair: Pair) -> None:
    root, descendants = tree_with_descendants(pair)
    ended(pair, "2020-05-05 10:00:00", root)
    [(now,)] = pair.execute("primary", "SELECT now()::text")
    ended(pair, str(now), descendants[0])
    ran = run(pair.settings, BACKUP, {"piids": [root], "beforeNoOfDays": 30}, rootsOnly=True)
    assert (ran.totals.trees_moved, ran.reports[root].reason) == (0, "younger_member")


def test_instance_whose_parent_is_gone_is_a_root(pair: Pair) -> None:
    root, descendants = tree_with_descendants(pair)
    pair.execute("primary", "DELETE FROM processinstancelog WHERE processinstanceid = %s", root)
    ended(pair, "2020-05-05 12:00:00", *descendants)
    [(children,)] = pair.execute(
        "primary",
        "SELECT array_agg(processinstanceid ORDER BY 1) FROM processinstancelog WHERE parentprocessinstanceid = %s",
        root,
    )
    assert picked(pair, DAY, rootsOnly=True) == children


def test_restore_of_an_audit_brings_back_what_it_moved_and_nothing_else(pair: Pair) -> None:
    before = pair.checker.primary()
    first = run(pair.settings, BACKUP, COMPLETED, maxBatches=1, batchSize=7)
    of_first = pair.pids("backup")
    second = run(pair.settings, BACKUP, COMPLETED)
    of_second = pair.pids("backup") - of_first
    assert of_first
    assert of_second

    restored = run(pair.settings, RESTORE, {"processName": "no such process"}, auditId=first.audit_id)
    assert restored.totals.trees_moved == 0
    restored = run(pair.settings, RESTORE, auditId=first.audit_id, allowAll=False)
    assert restored.totals.trees_moved == first.totals.trees_moved
    assert pair.pids("backup") == of_second
    assert of_first <= pair.pids("primary")

    run(pair.settings, RESTORE, auditId=second.audit_id)
    assert pair.pids("backup") == set()
    assert differences(before, pair.checker.primary()) == []


def test_what_a_limit_of_batches_leaves_is_told(pair: Pair) -> None:
    ran = run(pair.settings, BACKUP, COMPLETED, maxBatches=1, batchSize=7)
    query = "SELECT remaining_count FROM process_audit_logs WHERE audit_id = %s AND step = 'complete'"
    left = run(pair.settings, BACKUP, COMPLETED, dryRun=True).plan.trees
    told = [row[0] for row in pair.execute("backup", query, ran.audit_id)]
    assert told == [left - len(ran.reports)]


def test_filters_narrow_what_an_audit_moved(pair: Pair) -> None:
    ran = run(pair.settings, BACKUP, COMPLETED)
    archived = pair.roots("backup")
    assert picked(pair, {"piids": archived[:3]}, RESTORE, auditId=ran.audit_id) == archived[:3]


def test_trees_that_have_come_back_are_not_looked_for_again(pair: Pair) -> None:
    ran = run(pair.settings, BACKUP, COMPLETED)
    back = pair.roots("backup")[:4]
    run(pair.settings, RESTORE, {"piids": back})
    restored = run(pair.settings, RESTORE, auditId=ran.audit_id)
    assert restored.totals.trees_moved == ran.totals.trees_moved - len(back)
    assert pair.pids("backup") == set()


@pytest.mark.parametrize("dry_run", [True, False])
def test_unknown_audit_is_refused(pair: Pair, *, dry_run: bool) -> None:
    with pytest.raises(errors.RequestError, match="no-such-audit") as refused:
        run(pair.settings, RESTORE, auditId="no-such-audit", dryRun=dry_run)
    assert (refused.value.field, refused.value.value) == ("auditId", "no-such-audit")
