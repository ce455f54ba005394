"""What has outlived its time goes for good, whole trees of it, and nothing else does."""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from archival_pipeline import errors
from archival_pipeline.archival import holding, retention, steps
from archival_pipeline.archival.direction import BACKUP, DELETE_PRIMARY, RESTORE
from archival_pipeline.archival.filters import parse_filters
from archival_pipeline.archival.move import Move, open_move
from archival_pipeline.archival.options import Expiry, parse_options
from archival_pipeline_tests.support.checker import differences, filled
from archival_pipeline_tests.support.moves import Engine, open_run, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from archival_pipeline.archival.direction import Side
    from archival_pipeline.archival.retention import Expired
    from archival_pipeline_tests.support.moves import Pair

FOREST = Engine(trees=24, flavours=("embedded",), traps=True)
OLD, YOUNG = 100, 10
LIMIT = Expiry(days=30)
_numbers = itertools.count(1)


@pytest.fixture
def pair(pair_of: Callable[[Engine], Pair]) -> Pair:
    pair = pair_of(FOREST)
    age(pair, sorted(pair.pids("primary")), OLD)
    return pair


def expiring(pair: Pair) -> dict[int, set[int]]:
    """Members by root of the trees that may go: one of the oddities, an instance that is its own parent, among them."""
    trees = {root: pair.tree(root) for root in sorted(pair.written.safe_roots)}
    return trees | {own: {own} for own in pair.written.trap("parent_self")}


def age(pair: Pair, instances: list[int], days: int, side: Side = "primary") -> None:
    """Let instances have ended so many days ago; those that run go on."""
    statement = (
        "UPDATE processinstancelog SET start_date = now() - make_interval(days => %s + 1),"
        " end_date = CASE WHEN status IN (2, 3) THEN now() - make_interval(days => %s) END"
        " WHERE processinstanceid = ANY(%s)"
    )
    pair.execute(side, statement, days, days, instances)


def clean(pair: Pair, expiry: Expiry = LIMIT, side: Side = "primary", **more: Any) -> Expired:
    audit_id = f"retention-{next(_numbers)}"
    return retention.run(pair.settings, side, expiry, audit_id, **{"stop_at": None, **more})


def move_of(pair: Pair, audit_id: str, expiry: Expiry) -> Move:
    """An operation that somebody else begins and does not finish."""
    options = {"rootsOnly": True, "expiry": expiry.model_dump(by_alias=True)}
    filters = parse_filters({"beforeNoOfDays": expiry.shortest})
    return open_move(pair.settings, audit_id, filters, parse_options(options), DELETE_PRIMARY)


def named(pair: Pair, root: int, column: str = "processid") -> str:
    query = f"SELECT {column} FROM processinstancelog WHERE processinstanceid = %s"  # noqa: S608 - own column names
    return str(pair.execute("primary", query, root)[0][0])


def archive(pair: Pair, roots: list[int]) -> None:
    assert not run(pair.settings, BACKUP, {"piids": roots}).reports


def archived(pair: Pair, root: int, days: int) -> None:
    """Let the tree have been archived so many days ago."""
    pair.execute(
        "backup",
        "UPDATE archival_batch SET deleted_at = now() - make_interval(days => %s) WHERE %s = ANY(member_ids)",
        days,
        root,
    )


def test_every_expired_tree_goes_whole_and_everything_else_is_untouched(pair: Pair) -> None:
    trees = expiring(pair)
    young = set(list(trees)[::3])
    for root in young:
        age(pair, sorted(trees[root]), YOUNG)
    # A tree is as young as its youngest member.
    deep = max(trees.keys() - young, key=lambda root: len(trees[root]))
    age(pair, [max(trees[deep] - {deep})], YOUNG)
    old = trees.keys() - young - {deep}
    goes = sorted({member for root in old for member in trees[root]})
    before, gone = pair.checker.primary(), pair.checker.primary(goes)

    expired = clean(pair)

    assert expired.left == expired.quarantined == 0
    assert expired.trees == len(old)
    assert expired.instances == len(goes)
    assert sum(expired.rows.values()) == sum(found.total() for found in gone.values())
    left = {table: found - gone[table] for table, found in before.items()}
    assert differences(left, pair.checker.primary()) == []
    assert filled(pair.checker.backup()) == set()
    assert expired.stayed["younger_member"] >= 1
    again = clean(pair)
    assert (again.trees, again.rows) == (0, {})


def test_a_definition_has_a_time_of_its_own_and_null_is_never(pair: Pair) -> None:
    trees = expiring(pair)
    of_root = {root: named(pair, root) for root in trees}
    shown, kept, shorter = sorted(set(of_root.values()))[:3]
    for root in trees:
        if of_root[root] == shorter:
            age(pair, sorted(trees[root]), YOUNG)
    definitions = {member: named(pair, member) for members in trees.values() for member in members}

    expiry = Expiry(days=30, days_of={shown: 365, kept: None, shorter: 5})
    expired = clean(pair, expiry)

    long = {root for root, members in trees.items() if {definitions[member] for member in members} & {shown, kept}}
    # A young tree with a member whose definition lives for the ordinary time is not old enough either.
    mixed = {
        root
        for root, members in trees.items()
        if of_root[root] == shorter and any(definitions[member] != shorter for member in members)
    }
    assert long
    assert trees.keys() & pair.pids("primary") == long | mixed
    assert expired.trees == len(trees) - len(long | mixed) > 0


def test_what_is_on_hold_outlives_its_time(pair: Pair) -> None:
    root = min(pair.written.safe_roots)
    holding.place(pair.settings.backup, "jbpm", "instance", str(root), reason="case 12", by="a lawyer")
    expired = clean(pair)
    assert expired.stayed["on_hold"] == 1
    assert expiring(pair).keys() & pair.pids("primary") == {root}


def test_a_window_that_has_closed_leaves_everything_for_the_next_night(pair: Pair) -> None:
    before = pair.checker.primary()
    expired = clean(pair, stop_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert (expired.trees, expired.left) == (0, len(expiring(pair)))
    assert differences(before, pair.checker.primary()) == []
    assert clean(pair).trees == len(expiring(pair))


def test_a_window_that_closes_within_a_wave_leaves_the_rest_of_it(pair: Pair) -> None:
    trees = sorted(expiring(pair))
    closing = datetime.now(UTC) + timedelta(hours=1)
    move = open_run(
        pair.settings,
        DELETE_PRIMARY,
        {"piids": trees},
        batchSize=4,
        lanes=1,
        rootsOnly=True,
        stopAt=closing.isoformat(),
    )

    def clock() -> datetime:
        # The first batch takes the hour. The ledger is asked: the main thread counts later than the lane goes on.
        done = pair.execute(
            "backup", "SELECT 1 FROM archival_batch WHERE audit_id = %s AND state = 'deleted'", move.audit_id
        )
        return closing if done else closing - timedelta(hours=1)

    move.pace.clock = clock
    try:
        steps.fetch(move)
        steps.children(move, steps.Wave(1, 1, 1))
        steps.execute(move, steps.Wave(1, 1, 1))
        steps.delete(move, steps.Wave(1, 1, 1))
        totals = steps.complete(move)
    finally:
        move.close()

    states = Counter(
        state
        for (state,) in pair.execute("backup", "SELECT state FROM archival_batch WHERE audit_id = %s", move.audit_id)
    )
    assert states.keys() == {"deleted", "abandoned"}
    assert 0 < totals.trees_moved < len(trees)
    assert len(expiring(pair).keys() & pair.pids("primary")) == len(trees) - totals.trees_moved
    assert clean(pair).trees == len(trees) - totals.trees_moved
    gone = pair.checker.primary(sorted(member for members in expiring(pair).values() for member in members))
    assert filled(gone) == set()


def test_a_run_that_is_taken_up_again_spares_what_lives_longer_by_now(pair: Pair) -> None:
    trees = expiring(pair)
    kept = sorted(trees)[::2]
    for root in kept:
        age(pair, sorted(trees[root]), YOUNG)
    planned = move_of(pair, "taken-up-again", Expiry(days=5))
    try:
        # Trees that will be left for another reason are among them.
        assert steps.fetch(planned).trees >= len(trees)
    finally:
        planned.close()

    expired = retention.run(pair.settings, "primary", LIMIT, "taken-up-again", stop_at=None)

    assert expired.trees == len(trees) - len(kept)
    assert trees.keys() & pair.pids("primary") == set(kept)


def test_a_forecast_says_what_a_run_then_removes(pair: Pair) -> None:
    root = min(pair.written.safe_roots)
    holding.place(pair.settings.backup, "jbpm", "instance", str(root), reason="case 12", by="a lawyer")
    before = pair.checker.primary()

    told = retention.forecast(pair.settings, "primary", LIMIT)

    assert differences(before, pair.checker.primary()) == []
    assert told.stayed["on_hold"] == 1
    expired = clean(pair)
    assert (told.trees, told.instances, dict(told.rows)) == (expired.trees, expired.instances, dict(expired.rows))
    assert told.size > 0
    assert sum(one.cleanable for one in told.definitions) == expired.instances
    assert {one.days for one in told.definitions} == {30}


def test_retention_counts_from_the_day_of_the_archiving(pair: Pair) -> None:
    first, second, third = sorted(pair.written.safe_roots)[:3]
    for root in (first, second, third):
        archive(pair, [root])
    archived(pair, first, OLD)
    # Of the third no backup is known any more.
    pair.execute("backup", "UPDATE archival_batch SET state = 'failed' WHERE %s = ANY(member_ids)", third)
    primary, kept = pair.checker.primary(), pair.checker.backup(sorted(pair.tree(second) | pair.tree(third)))

    told = retention.forecast(pair.settings, "backup", Expiry(since="archived", days=30))
    expired = clean(pair, Expiry(since="archived", days=30), "backup")

    assert told.trees == expired.trees == 1
    assert differences(kept, pair.checker.backup()) == []
    assert differences(primary, pair.checker.primary()) == []
    assert not run(pair.settings, RESTORE, {"piids": [second]}).reports


def test_retention_by_end_spares_what_is_on_hold_or_not_alone(pair: Pair) -> None:
    trees = sorted((t for t in pair.written.forests[0].trees if t.obstacle is None), key=lambda t: len(t.members))
    deep, (held, young, old) = trees[-1], [tree.root for tree in trees[:3]]
    child = max(set(deep.members) - {deep.root})
    archive(pair, [child, held, young, old])
    age(pair, sorted(pair.tree(young)), YOUNG, "backup")
    holding.place(pair.settings.backup, "jbpm", "instance", str(held), reason="case 12", by="a lawyer")

    expired = clean(pair, Expiry(days=30), "backup")

    # The child's parent is still in the primary: what belongs together is not torn further.
    assert expired.stayed == {"in_primary": 1, "on_hold": 1}
    assert expired.trees == 1
    assert not pair.tree(old) & pair.pids("backup")
    assert {child, held, young} <= pair.pids("backup")


def test_every_archived_child_of_a_parent_that_is_still_there_stays(pair: Pair) -> None:
    safe = sorted(pair.written.safe_roots)
    parent, [first, second, *_] = pair.execute(
        "primary",
        "SELECT parentprocessinstanceid, array_agg(processinstanceid) FROM processinstancelog"
        " WHERE parentprocessinstanceid = ANY(%s) GROUP BY 1 HAVING count(*) > 1 LIMIT 1",
        safe,
    )[0]
    archive(pair, [first, second])

    expired = clean(pair, Expiry(days=30), "backup")

    assert (expired.trees, expired.stayed) == (0, {"in_primary": 2})
    archive(pair, [parent])
    # Now that the family is together it goes: in the archive again, as one tree.
    assert clean(pair, Expiry(days=30), "backup").trees == 1
    assert filled(pair.checker.backup()) == set()


def test_without_a_time_to_live_nothing_can_be_started(pair: Pair) -> None:
    for expiry in (Expiry(), Expiry(days_of={"invoice": None})):
        with pytest.raises(errors.ConfigurationError):
            clean(pair, expiry)
