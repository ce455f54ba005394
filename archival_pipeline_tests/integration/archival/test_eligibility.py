"""Which trees move and which stay, held against what the sample data knows of itself."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from archival_pipeline.local.sample_data import Obstacle
from archival_pipeline_tests.support import checker
from archival_pipeline_tests.support.moves import NOW, Engine, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from archival_pipeline.local.sample_data import TreeFact
    from archival_pipeline_tests.support.moves import Pair, Pairs, Ran

FOREST = Engine(trees=40, flavours=("kie_server", "embedded"), traps=True)
REASONS = {
    Obstacle.ROOT_RUNNING: "running_member",
    Obstacle.DESCENDANT_RUNNING: "running_member",
    Obstacle.OPEN_TASK: "open_task",
    Obstacle.OPEN_JOB: "queued_job",
    Obstacle.LIVE_STATE: "live_state",
    Obstacle.CASE_OPEN: "case_outside",
}


def _trees(pair: Pair) -> list[TreeFact]:
    return [tree for summary in pair.written.forests for tree in summary.trees]


@pytest.fixture(scope="module")
def everything(pairs: Pairs) -> Iterator[tuple[Pair, Ran, checker.Rows]]:
    """A move of all that may go, and the primary before; tests only look."""
    pair = pairs.make(FOREST)
    pair.execute(
        "primary",
        "INSERT INTO processinstancelog (id, processinstanceid, parentprocessinstanceid, status, end_date)"
        " VALUES (900000001, -1, -1, 2, '2026-01-01'), (900000002, 0, -1, 2, '2026-01-01')",
    )
    before = pair.checker.primary()
    yield pair, run(pair.settings), before
    pairs.drop(pair)


@pytest.mark.parametrize("obstacle", Obstacle)
def test_i8_trees_that_live_stay_whole_with_the_reason(
    everything: tuple[Pair, Ran, checker.Rows], obstacle: Obstacle
) -> None:
    pair, ran, before = everything
    trees = [tree for tree in _trees(pair) if tree.obstacle is obstacle]
    assert trees
    kept = pair.checker.primary([pid for tree in trees for pid in tree.members])

    assert {ran.reports[tree.root].reason for tree in trees} == {REASONS[obstacle]}
    assert {ran.reports[tree.root].outcome for tree in trees} == {"skipped"}
    assert {ran.reports[tree.root].process_instance_id in tree.members for tree in trees} <= {
        True,
        obstacle is not Obstacle.CASE_OPEN,
    }
    assert {pid for tree in trees for pid in tree.members} <= pair.pids("primary")
    assert not {pid for tree in trees for pid in tree.members} & pair.pids("backup")
    assert all(not kept[table] - before[table] for table in kept)


def test_i2_trees_that_are_over_move_whole(everything: tuple[Pair, Ran, checker.Rows]) -> None:
    pair, ran, _ = everything
    safe = [tree for tree in _trees(pair) if tree.obstacle is None]
    members = {pid for tree in safe for pid in tree.members}

    assert not {tree.root for tree in safe} & ran.reports.keys()
    assert members <= pair.pids("backup")
    assert not members & pair.pids("primary")


def test_cycles_end_and_move(everything: tuple[Pair, Ran, checker.Rows]) -> None:
    pair, _, _ = everything
    turning = {*pair.written.trap("parent_cycle"), *pair.written.trap("parent_self")}

    assert turning <= pair.pids("backup")
    assert not turning & pair.pids("primary")


def test_ids_that_mean_none_never_join(everything: tuple[Pair, Ran, checker.Rows]) -> None:
    pair, _, _ = everything
    standalone = pair.written.trap("standalone_task")

    assert {-1, 0} <= pair.pids("primary")
    assert pair.execute("primary", "SELECT id FROM content WHERE id <= 0 ORDER BY id") == [(-1,), (0,)]
    found = pair.execute("primary", "SELECT id FROM task WHERE id = ANY(%s)", standalone)
    assert {row[0] for row in found} == set(standalone)
    assert pair.execute("backup", "SELECT count(*) FROM task WHERE processinstanceid <= 0") == [(0,)]
    # Rows that name no instance and are reached in no other way are nobody's.
    assert pair.execute(
        "backup", "SELECT count(*) FROM executionerrorinfo WHERE coalesce(process_inst_id, -1) <= 0"
    ) == [(0,)]


def test_an_ended_child_of_a_running_root_stays(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(FOREST)
    children = pair.written.trap("ended_child_of_running")

    ran = run(pair.settings, filters={"piids": [str(child) for child in children]})

    assert {child: ran.reports[child].reason for child in children} == dict.fromkeys(children, "running_ancestor")
    assert pair.pids("backup") == set()


def test_a_member_that_ended_after_the_limit_keeps_the_tree(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(FOREST)
    limit = NOW.replace(tzinfo=None) - timedelta(days=1)
    tree = next(
        t for t in _trees(pair) if t.obstacle is None and len(t.members) > 1 and t.ended_at and t.ended_at < limit
    )
    pair.execute(
        "primary", "UPDATE processinstancelog SET end_date = %s WHERE processinstanceid = %s", NOW, tree.members[-1]
    )

    ran = run(pair.settings, filters={"piids": [str(tree.root)], "endedTo": limit.isoformat() + "Z"})

    assert (ran.reports[tree.root].reason, ran.reports[tree.root].process_instance_id) == (
        "younger_member",
        tree.members[-1],
    )
    assert pair.pids("backup") == set()


def test_a_date_limit_takes_the_trees_that_ended_before(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(Engine(trees=40))
    [summary] = pair.written.forests
    limit = NOW.replace(tzinfo=None) - timedelta(days=200)

    run(pair.settings, filters={"endedTo": limit.isoformat() + "Z"})

    roots = {tree.root for tree in summary.trees}
    assert pair.pids("backup") & roots == set(summary.safe_before(limit))
    assert set(summary.safe_before(limit))


def test_nested_picks_are_one_tree(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(FOREST)
    tree = next(t for t in _trees(pair) if t.obstacle is None and len(t.members) > 2)

    ran = run(pair.settings, filters={"piids": [str(pid) for pid in reversed(tree.members)]}, batchSize=1)

    assert (ran.plan.selected, ran.plan.trees, ran.plan.batches) == (len(tree.members), 1, 1)
    assert pair.pids("backup") == set(tree.members)


def test_a_picked_child_moves_alone_when_its_ancestors_have_ended(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(FOREST)
    tree = next(t for t in _trees(pair) if t.obstacle is None and t.kind == "ordinary" and len(t.members) == 2)
    [(name,)] = pair.execute(
        "primary", "SELECT processname FROM processinstancelog WHERE processinstanceid = %s", tree.members[1]
    )
    rows = pair.checker.primary([tree.root])

    run(pair.settings, filters={"processName": name, "piids": [str(pid) for pid in tree.members]})

    assert pair.pids("backup") == {tree.members[1]}
    assert checker.differences(rows, pair.checker.primary([tree.root])) == []


def test_running_trees_move_when_they_are_asked_for(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(FOREST)
    rows = pair.checker.primary()

    ran = run(pair.settings, includeRunning=True, batchSize=3)

    assert not ran.reports
    assert pair.pids("primary") == set()
    assert checker.differences(rows, checker.together(pair.checker.primary(), pair.checker.backup())) == []


@pytest.mark.parametrize("lanes", [1, 2])
def test_trees_that_share_a_session_move_without_it(pair_of: Callable[[Engine], Pair], lanes: int) -> None:
    pair = pair_of(FOREST)
    sharing = [tree.root for tree in _trees(pair) if tree.kind == "session_shared"]
    rows = pair.checker.primary()

    ran = run(
        pair.settings,
        filters={"piids": [str(root) for root in sharing]},
        includeRunning=True,
        batchSize=1,
        lanes=lanes,
    )

    assert sharing
    assert not ran.reports
    assert pair.pids("backup") == set(sharing)
    assert pair.execute("backup", "SELECT id FROM sessioninfo") == []
    assert checker.differences(rows, checker.together(pair.checker.primary(), pair.checker.backup())) == []


def test_trees_that_share_a_content_stay(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(Engine(every_ended=2))
    first, second = (members[0] for members in pair.written.ended)
    pair.execute(
        "primary",
        "UPDATE task SET documentcontentid = (SELECT documentcontentid FROM task WHERE processinstanceid = %s"
        " ORDER BY id LIMIT 1) WHERE id = (SELECT min(id) FROM task WHERE processinstanceid = %s)",
        first,
        second,
    )

    ran = run(pair.settings)

    assert {root: ran.reports[root].reason for root in ran.reports} == dict.fromkeys((first, second), "shared_content")
