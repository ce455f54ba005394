"""What stands at the destination already: equal content is archived, other content puts its tree into quarantine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from archival_pipeline.archival import operating, steps
from archival_pipeline.archival.direction import BACKUP
from archival_pipeline.archival.filters import parse_filters
from archival_pipeline.archival.options import parse_options
from archival_pipeline_tests.support import checker
from archival_pipeline_tests.support.moves import Engine, open_run, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from archival_pipeline_tests.support.moves import Pair

FULL = Engine(every_ended=3)


def _copy_without_a_record(pair: Pair, root: int) -> None:
    """Leave an equal copy of a tree in the backup that no ledger tells of."""
    move = open_run(pair.settings, filters={"piids": [str(root)]})
    try:
        [wave] = steps.fetch(move).waves
        steps.children(move, wave)
        steps.execute(move, wave)
    finally:
        move.close()
    pair.execute("backup", "UPDATE archival_batch SET state = 'failed'")


def _tree(pair: Pair) -> tuple[int, list[int]]:
    """The first tree of the second pair, so that it stands in the middle of a batch."""
    members = pair.written.ended[1]
    roots = set(pair.roots("primary"))
    second = next(place for place, pid in enumerate(members) if place and pid in roots)
    return members[0], list(members[:second])


def test_i6_the_same_content_counts_as_archived(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(FULL)
    rows = pair.checker.primary()
    root, members = _tree(pair)
    _copy_without_a_record(pair, root)
    copy = pair.checker.backup(members)
    assert checker.differences(pair.checker.primary(members), copy) == []

    ran = run(pair.settings)

    assert not ran.reports
    assert ran.totals.trees_moved == ran.plan.trees
    assert checker.filled(pair.checker.primary()) == set()
    assert checker.differences(rows, pair.checker.backup()) == []


@dataclass(frozen=True)
class Trouble:
    """Something in the backup that is in the way of a tree.

    Attributes:
        copied: whether an equal copy of the tree is there first.
        statement: what puts it there; ``%(root)s`` is the tree.
        says: what the report must name.
    """

    copied: bool
    statement: str
    says: tuple[str, ...]


# Copied from the primary by hand, because the tests' own sessions see one database each.
TROUBLES = {
    "other_content": Trouble(
        copied=True,
        statement="UPDATE nodeinstancelog SET nodename = 'other' WHERE processinstanceid = %(root)s",
        says=("nodeinstancelog", "other content", "processinstanceid"),
    ),
    "a_part": Trouble(
        copied=True,
        statement="DELETE FROM task_comment WHERE taskdata_comments_id IN"
        " (SELECT id FROM task WHERE processinstanceid = %(root)s)",
        says=("task_comment",),
    ),
    "key_of_another_instance": Trouble(
        copied=False,
        statement="INSERT INTO nodeinstancelog (id, processinstanceid, type, nodename)"
        " VALUES (%(node)s, 900000001, 0, 'of another')",
        says=("nodeinstancelog", "Key (id)="),
    ),
    "leftover_without_a_key": Trouble(
        copied=False,
        statement="INSERT INTO peopleassignments_bas (task_id, entity_id) VALUES (%(task)s, 'left over')",
        says=("peopleassignments_bas",),
    ),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_other_content_puts_the_tree_into_quarantine(pair_of: Callable[[Engine], Pair], name: str) -> None:
    trouble = TROUBLES[name]
    pair = pair_of(FULL)
    root, members = _tree(pair)
    if trouble.copied:
        _copy_without_a_record(pair, root)
    [(node, task)] = pair.execute(
        "primary",
        "SELECT (SELECT min(id) FROM nodeinstancelog WHERE processinstanceid = %(root)s),"
        " (SELECT min(id) FROM task WHERE processinstanceid = %(root)s)".replace("%(root)s", str(root)),
    )
    statement = trouble.statement
    for key, value in {"root": root, "node": node, "task": task}.items():
        statement = statement.replace(f"%({key})s", str(value))
    pair.execute("backup", statement)
    rows, there = pair.checker.primary(), pair.checker.backup()
    mine = pair.checker.primary(members)

    ran = run(pair.settings)

    [report] = ran.reports.values()
    assert (report.root_id, report.outcome, report.error_code) == (root, "quarantined", "23505")
    for said in (*trouble.says, "delete-bulk", "run the same job again"):
        assert said in (report.detail or "")
    # Nothing changed on either side for that tree, and every other tree moved.
    assert checker.differences(mine, pair.checker.primary()) == []
    moved = {table: found - mine[table] for table, found in rows.items()}
    assert checker.differences(checker.together(there, moved), pair.checker.backup()) == []
    assert ran.totals.trees_quarantined == 1
    assert ran.totals.trees_moved == ran.plan.trees - 1

    [(status, code, summary, details)] = pair.execute(
        "backup",
        "SELECT audit_status, error_code, error_summary, details FROM process_audit_logs WHERE audit_id = %s"
        " ORDER BY id DESC LIMIT 1",
        ran.audit_id,
    )
    assert (status, code) == ("completed", "23505")
    assert str(root) in summary
    assert [tree["root_id"] for tree in details["stayed"]] == [root]


def test_the_tree_moves_once_the_trouble_is_gone(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(FULL)
    rows = pair.checker.primary()
    root, _ = _tree(pair)
    [(task,)] = pair.execute("primary", "SELECT min(id) FROM task WHERE processinstanceid = %s", root)
    pair.execute("backup", "INSERT INTO peopleassignments_bas (task_id, entity_id) VALUES (%s, 'left over')", task)
    run(pair.settings)
    pair.execute("backup", "DELETE FROM peopleassignments_bas WHERE entity_id = 'left over'")

    ran = run(pair.settings)

    assert not ran.reports
    assert checker.differences(rows, pair.checker.backup()) == []


def test_programs_see_the_quarantined_trees(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(FULL)
    root, _ = _tree(pair)
    [(task,)] = pair.execute("primary", "SELECT min(id) FROM task WHERE processinstanceid = %s", root)
    pair.execute("backup", "INSERT INTO peopleassignments_bas (task_id, entity_id) VALUES (%s, 'left over')", task)
    options: dict[str, Any] = {"allowAll": True}

    outcome = operating.run(pair.settings, BACKUP, "programs", parse_filters({}), parse_options(options))

    assert [(tree.root_id, tree.error_code) for tree in outcome.stayed] == [(root, "23505")]


def test_a_value_that_can_be_read_two_ways_stays(pair_of: Callable[[Engine], Pair]) -> None:
    """An engine that changed how it stores texts leaves digits that may be a number or a text."""
    pair = pair_of(Engine(clobs="pointer", every_ended=2))
    root = pair.written.ended[0][0]
    pair.execute(
        "primary",
        "UPDATE task_comment SET text = 'a plain text' WHERE id = (SELECT max(c.id) FROM task_comment AS c"
        " JOIN task AS t ON t.id = c.taskdata_comments_id WHERE t.processinstanceid = %s)",
        root,
    )
    pair.settings.engine.__dict__["clob_mode"] = "auto"
    before = pair.checker.dumps()[0].rows["task_comment"]

    ran = run(pair.settings)

    assert {report.error_code for report in ran.reports.values()} == {"AMBIGUOUS_LARGE_OBJECT"}
    assert pair.checker.dump().rows["task_comment"] == before
