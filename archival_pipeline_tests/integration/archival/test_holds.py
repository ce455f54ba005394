"""What is on legal hold is never removed for good, however it is asked for and whenever the hold came."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from archival_pipeline import errors
from archival_pipeline.archival import holding, service
from archival_pipeline.archival.direction import BACKUP, DELETE_BACKUP, DELETE_PRIMARY, Direction
from archival_pipeline.catalogue.holds import HoldBook
from archival_pipeline.cli import cli
from archival_pipeline.commands import output
from archival_pipeline.database.connections import connect
from archival_pipeline_tests.support.archive import environment_of
from archival_pipeline_tests.support.checker import differences
from archival_pipeline_tests.support.moves import Engine, run
from archival_pipeline_tests.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from archival_pipeline.archival.holding import Placed
    from archival_pipeline.catalogue.holds import Kind
    from archival_pipeline.local.sample_data import TreeFact
    from archival_pipeline_tests.support.moves import Pair, Ran

FOREST = Engine(trees=24, flavours=("embedded",))


@pytest.fixture
def pair(pair_of: Callable[[Engine], Pair]) -> Pair:
    return pair_of(FOREST)


def place(pair: Pair, kind: Kind, value: object) -> Placed:
    return holding.place(pair.settings.backup, "jbpm", kind, str(value), reason="case 12", by="a lawyer")


def delete(pair: Pair, *ids: int, direction: Direction = DELETE_PRIMARY, **options: Any) -> Ran:
    return run(pair.settings, direction, {"piids": list(ids)}, database=direction.origin, **options)


def family(pair: Pair) -> TreeFact:
    """A tree with several members, all of them over."""
    trees = pair.written.forests[0].trees
    return max((t for t in trees if t.obstacle is None and t.kind == "ordinary"), key=lambda tree: len(tree.members))


def value_of(pair: Pair, column: str, instance: int) -> str:
    query = f"SELECT {column} FROM processinstancelog WHERE processinstanceid = %s"  # noqa: S608 - own column names
    found: str = pair.execute("primary", query, instance)[0][0]
    return found


@pytest.mark.parametrize("force", [False, True])
def test_a_hold_of_any_member_keeps_the_whole_tree(pair: Pair, force: bool) -> None:  # noqa: FBT001
    tree, before = family(pair), pair.checker.primary()
    assert len(tree.members) > 1
    place(pair, "instance", max(set(tree.members) - {tree.root}))

    ran = delete(pair, tree.root, force=force)

    assert {root: report.reason for root, report in ran.reports.items()} == {tree.root: "on_hold"}
    assert differences(before, pair.checker.primary()) == []


def test_a_descendant_of_a_held_instance_stays_when_it_is_picked_alone(pair: Pair) -> None:
    tree = family(pair)
    place(pair, "instance", tree.root)

    ran = delete(pair, max(set(tree.members) - {tree.root}))

    assert [report.reason for report in ran.reports.values()] == ["on_hold"]
    assert set(tree.members) <= pair.pids("primary")


@pytest.mark.parametrize(("kind", "column"), [("definition", "processid"), ("definition", "processname")])
def test_a_definition_on_hold_keeps_its_trees_and_no_others(pair: Pair, kind: Kind, column: str) -> None:
    tree, roots = family(pair), sorted(pair.written.safe_roots)
    place(pair, kind, value_of(pair, column, tree.root))
    wanted = value_of(pair, column, tree.root)
    held = {pid for pid in pair.pids("primary") if value_of(pair, column, pid) == wanted}

    ran = delete(pair, *roots)

    kept = {root for root in roots if pair.tree(root) & held}
    assert set(ran.reports) == kept
    assert tree.root in kept
    assert kept < set(roots)
    assert pair.pids("primary") & set(roots) == kept


def test_a_business_key_on_hold_keeps_what_its_case_started(pair: Pair) -> None:
    first, second, third = sorted(pair.written.safe_roots)[:3]
    for instance, key in ((first, "CASE-7"), (second, "CASE-7:lane"), (third, "CASE-77")):
        pair.execute(
            "primary", "UPDATE processinstancelog SET correlationkey = %s WHERE processinstanceid = %s", key, instance
        )
    place(pair, "business_key", "CASE-7")

    ran = delete(pair, first, second, third)

    assert set(ran.reports) == {first, second}


def test_a_hold_placed_after_the_trees_were_judged_counts(pair: Pair) -> None:
    tree, other = family(pair), next(root for root in sorted(pair.written.safe_roots) if root != family(pair).root)

    ran = run(
        pair.settings,
        DELETE_PRIMARY,
        {"piids": [tree.root, other]},
        between=lambda: place(pair, "instance", tree.root),
    )

    assert {root: report.reason for root, report in ran.reports.items()} == {tree.root: "on_hold"}
    assert set(tree.members) <= pair.pids("primary")
    assert other not in pair.pids("primary")


def test_an_archived_tree_on_hold_stays_in_the_backup(pair: Pair) -> None:
    tree = family(pair)
    place(pair, "instance", tree.root)
    # Moving it keeps every row, so it may be archived.
    assert not run(pair.settings, BACKUP, {"piids": [tree.root]}).reports
    archived = pair.checker.backup()

    ran = delete(pair, tree.root, direction=DELETE_BACKUP)

    assert [report.reason for report in ran.reports.values()] == ["on_hold"]
    assert differences(archived, pair.checker.backup()) == []


def test_relatives_are_found_across_both_databases(pair: Pair) -> None:
    tree = family(pair)
    child = max(set(tree.members) - {tree.root})
    assert not run(pair.settings, BACKUP, {"piids": [child]}).reports
    place(pair, "definition", value_of(pair, "processid", tree.root))

    ran = delete(pair, child, direction=DELETE_BACKUP)

    assert [report.reason for report in ran.reports.values()] == ["on_hold"]
    assert child in pair.pids("backup")


def test_a_released_hold_holds_nothing_and_another_one_still_does(pair: Pair) -> None:
    tree = family(pair)
    first, second = place(pair, "instance", tree.root).hold, place(pair, "instance", tree.root).hold
    holding.release(pair.settings.backup, first.hold_id, reason="over", by="a lawyer")
    assert delete(pair, tree.root).reports

    holding.release(pair.settings.backup, second.hold_id, reason="over", by="a lawyer")
    assert not delete(pair, tree.root).reports
    assert not set(tree.members) & pair.pids("primary")


def test_a_dry_run_says_what_is_on_hold(pair: Pair) -> None:
    tree = family(pair)
    place(pair, "instance", tree.root)
    assert [r.reason for r in delete(pair, tree.root, dryRun=True).reports.values()] == ["on_hold"]


def test_whoever_places_a_hold_waits_for_the_batch_that_did_not_see_it(pair: Pair) -> None:
    backup = pair.settings.backup
    answers: list[Placed] = []
    waiting = (
        "SELECT count(*) FROM pg_locks AS l INNER JOIN pg_database AS d ON l.database = d.oid"
        " WHERE l.locktype = 'advisory' AND NOT l.granted AND d.datname = current_database()"
    )
    with connect(backup, purpose="a removal", autocommit=True) as session:
        book = HoldBook(session, "jbpm")
        worker = threading.Thread(target=lambda: answers.append(place(pair, "instance", 1)))
        with book.removal():
            assert not book.active().any
            worker.start()
            wait_until(lambda: pair.execute("backup", waiting) == [(1,)], "the hold waits")
            # It stands already, for every removal that begins now.
            assert book.active().instances == {"1"}
            assert not answers
        worker.join()
    assert [placed.settled for placed in answers] == [True]


def test_a_removal_whose_session_was_lost_does_not_reach_its_commit(pair: Pair) -> None:
    def removal(session: psycopg.Connection[Any]) -> None:
        book = HoldBook(session, "jbpm")
        with book.removal():
            book.require()
            pair.execute("backup", "SELECT pg_terminate_backend(%s)", session.info.backend_pid)
            # Nobody waits for it any more.
            assert place(pair, "instance", 1).settled
            book.require()

    with connect(pair.settings.backup, purpose="a removal", autocommit=True) as lost:
        with pytest.raises(errors.DatabaseError):
            removal(lost)
        assert lost.closed


def test_placing_and_releasing_stand_in_the_audit(pair: Pair) -> None:
    hold = place(pair, "instance", 7).hold
    holding.release(pair.settings.backup, hold.hold_id, reason="over", by="a judge")

    rows, total = service.audit_timeline(pair.settings, f"hold-{hold.hold_id}", page_size=10)

    assert total == 2
    assert [(row["audit_type"], row["audit_status"], row["details"]["hold"]) for row in rows] == [
        ("hold", "completed", "placed"),
        ("hold", "completed", "released"),
    ]
    assert rows[0]["details"]["placed_by"] == "a lawyer"
    assert rows[1]["details"]["released_by"] == "a judge"


def test_a_hold_cannot_be_deleted_or_rewritten(pair: Pair) -> None:
    hold = place(pair, "instance", 7).hold
    for statement in (
        "DELETE FROM archival_hold",
        "TRUNCATE archival_hold",
        "UPDATE archival_hold SET value = '8'",
        "UPDATE archival_hold SET value = '8', release_reason = 'x', released_by = 'x', released_at = now()",
    ):
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
            pair.execute("backup", statement)
    assert holding.listed(pair.settings.backup) == [hold]


@pytest.mark.parametrize(("kind", "value"), [("instance", "abc"), ("instance", "0"), ("definition", " ")])
def test_a_value_that_can_hold_nothing_is_refused(pair: Pair, kind: Kind, value: str) -> None:
    with pytest.raises(errors.RequestError):
        place(pair, kind, value)
    assert holding.listed(pair.settings.backup) == []


def test_the_commands_place_list_and_release(
    pair: Pair, clean_environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in environment_of(pair.settings.primary, pair.settings.backup).items():
        clean_environment.setenv(name, value)

    def call(*arguments: str) -> tuple[int, dict[str, Any]]:
        code = output.run(cli, ["hold", *arguments, "--json"])
        said = capsys.readouterr()
        return code, json.loads(said.out or said.err)

    code, placed = call("add", "business-key", "ORDER-1", "--reason", "case 12", "--by", "a lawyer")
    assert (code, placed["kind"], placed["settled"]) == (0, "business_key", True)
    # It names nothing, which may be a mistake.
    assert placed["matches"] == {"primary": 0, "backup": 0}
    instance = str(min(pair.written.safe_roots))
    code, other = call("add", "instance", instance, "--reason", "case 12", "--by", "a lawyer")
    assert other["matches"] == {"primary": 1, "backup": 0}
    assert call("release", str(other["holdId"]), "--reason", "over", "--by", "a judge")[0] == 0
    assert [one["holdId"] for one in call("list")[1]["holds"]] == [placed["holdId"]]
    assert call("release", str(placed["holdId"]), "--reason", "over", "--by", "a judge")[0] == 0
    assert call("list")[1]["totalCount"] == 0
    assert call("list", "--all")[1]["totalCount"] == 2
    assert call("list", "--all")[1]["holds"][0]["releasedBy"] == "a judge"
    code, refused = call("release", str(placed["holdId"]), "--reason", "over", "--by", "a judge")
    assert (code, refused["errorCode"]) == (2, "NOT_FOUND")
