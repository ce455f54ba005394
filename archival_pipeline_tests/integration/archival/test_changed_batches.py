"""What changes between copy and delete is noticed: nothing is deleted that was not read back, equal.

Two moves are run once for the whole module, with one pair of trees for each change, and looked at by many tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from archival_pipeline.archival import steps
from archival_pipeline.database.connections import connect
from archival_pipeline_tests.support import checker
from archival_pipeline_tests.support.moves import Engine, open_run, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from archival_pipeline_tests.support.moves import Pair, Pairs, Ran, Session

NEW = 900_000_000
KEYS = {
    "bamtasksummary": "pk",
    "contextmappinginfo": "mappingid",
    "correlationkeyinfo": "keyid",
    "correlationpropertyinfo": "propertyid",
    "workiteminfo": "workitemid",
}
KEYLESS = {
    "eventtypes",
    "delegation_delegates",
    "peopleassignments_bas",
    "peopleassignments_exclowners",
    "peopleassignments_potowners",
    "peopleassignments_recipients",
    "peopleassignments_stakeholders",
    "notification_bas",
    "notification_recipients",
    "reassignment_potentialowners",
}

Late = tuple[tuple[str, dict[str, Any]], ...]


def _late(table: str, number: int) -> Late:
    """The rows that come late into a table of a tree: clones of one of its rows, with other keys."""
    new = NEW + number
    with_others: dict[str, Late] = {
        "content": (("content", {"id": new}), ("attachment", {"id": new, "attachmentcontentid": new})),
        "correlationkeyinfo": (("correlationkeyinfo", {"keyid": new, "name": f"late {number}"}),),
        "email_header": (
            ("email_header", {"id": new}),
            ("notification_email_header", {"emailheaders_id": new, "mapkey": "late"}),
        ),
        "sessioninfo": (
            ("sessioninfo", {"id": new}),
            ("contextmappinginfo", {"mappingid": new, "ksession_id": new}),
        ),
        "timermappinginfo": (("timermappinginfo", {"id": new, "uuid": f"late {number}"}),),
    }
    with_others["notification_email_header"] = with_others["email_header"]
    if table in with_others:
        return with_others[table]
    return ((table, {} if table in KEYLESS else {KEYS.get(table, "id"): new}),)


def _clone(session: Session, table: str, changes: dict[str, Any], pids: list[int]) -> None:
    # Always from the first row, so that a clone is not cloned.
    statement = sql.SQL(
        "INSERT INTO {table} SELECT (jsonb_populate_record(t, %(changes)s)).* FROM {table} AS t WHERE {mine} LIMIT 1"
    ).format(table=sql.Identifier(table), mine=sql.SQL(checker.OWNED[table]))
    assert session.execute(statement, {"changes": Jsonb(changes), "pids": pids}).rowcount == 1, table


@dataclass(frozen=True)
class Observed:
    """A finished move and what was there before.

    Attributes:
        pair: the databases.
        ran: the move.
        trees: for each change the members of the tree that it was made to.
        before: rows of these trees before the move, by change.
        changed: the same after the change and before the deletion.
        archived: the copy of these trees then.
    """

    pair: Pair
    ran: Ran
    trees: dict[str, list[int]]
    before: dict[str, checker.Rows]
    changed: dict[str, checker.Rows]
    archived: dict[str, checker.Rows]


def _observe(pair: Pair, trees: dict[str, list[int]], change: Callable[[], object], **options: Any) -> Observed:
    before = {name: pair.checker.primary(members) for name, members in trees.items()}
    changed: dict[str, checker.Rows] = {}
    archived: dict[str, checker.Rows] = {}

    def between() -> None:
        change()
        for name, members in trees.items():
            changed[name] = pair.checker.primary(members)
            archived[name] = pair.checker.backup(members)

    ran = run(pair.settings, between=between, batchSize=2, batchesPerWave=1_000, **options)
    return Observed(pair, ran, trees, before, changed, archived)


def _split(pair: Pair, members: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """The two trees of a pair that fills every table: a process and a case."""
    roots = set(pair.roots("primary"))
    second = next(place for place, pid in enumerate(members) if place and pid in roots)
    return list(members[:second]), list(members[second:])


# --- late rows ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def late(pairs: Pairs) -> Iterator[Observed]:
    """A move of running trees in which each of the 41 tables got a late row in a tree of its own."""
    pair = pairs.make(Engine(every_running=len(checker.OWNED)))
    trees: dict[str, list[int]] = {}
    for table, members in zip(checker.OWNED, pair.written.running, strict=True):
        trees[table] = next(some for some in _split(pair, members) if pair.checker.primary(some)[table])
    idle = _make_room_for_a_state(pair, trees["processinstanceinfo"])

    def add_late_rows() -> None:
        with connect(pair.settings.primary, purpose="engine") as session:
            for number, (table, members) in enumerate(trees.items()):
                for target, changes in _late(table, number):
                    _clone(
                        session, target, {"instanceid": idle} if table == "processinstanceinfo" else changes, members
                    )
            session.commit()

    yield _observe(pair, trees, add_late_rows, includeRunning=True)
    pairs.drop(pair)


def _make_room_for_a_state(pair: Pair, members: list[int]) -> int:
    """Take the state from the last member, so that it can come late."""
    pid = members[-1]
    assert pid != members[0]
    pair.execute("primary", "DELETE FROM eventtypes WHERE instanceid = %s", pid)
    pair.execute("primary", "DELETE FROM processinstanceinfo WHERE instanceid = %s", pid)
    return pid


@pytest.mark.parametrize("table", checker.OWNED)
def test_i3_a_late_row_keeps_its_tree(late: Observed, table: str) -> None:
    members = late.trees[table]
    report = late.ran.reports[members[0]]

    assert late.changed[table] != late.before[table]
    assert (report.outcome, report.reason) == ("skipped", "changed_during_run")
    # Whole in the primary, and its copy is taken back.
    assert checker.differences(late.changed[table], late.pair.checker.primary(members)) == []
    assert checker.filled(late.pair.checker.backup(members)) == set()


def test_i2_only_changed_trees_stay(late: Observed) -> None:
    roots = {members[0] for members in late.trees.values()}

    assert set(late.pair.roots("primary")) == roots == set(late.ran.reports)
    assert late.ran.totals.trees_moved == late.ran.plan.trees - len(roots)
    assert late.ran.totals.open == 0


# --- other changes by the engine, and faults of the copy --------------------------------------------------------------


def _stays(**statements: str) -> dict[str, tuple[str, ...]]:
    return {name: tuple(part.strip() for part in text.split(";")) for name, text in statements.items()}


BY_THE_ENGINE = _stays(
    value_changed="UPDATE variableinstancelog SET value = value || ' ' WHERE processinstanceid = %(root)s",
    large_object_changed=(
        "SELECT lo_put(c.content, 0, '\\x00') FROM content AS c JOIN task AS t ON c.id = t.documentcontentid"
        " WHERE t.processinstanceid = %(root)s"
    ),
    null_became_empty="UPDATE processinstancelog SET outcome = '' WHERE processinstanceid = %(root)s",
    active_again="UPDATE processinstancelog SET status = 1, end_date = NULL WHERE processinstanceid = %(root)s",
    state_again=("INSERT INTO processinstanceinfo (instanceid, state, optlock) VALUES (%(root)s, 1, 0)"),
    task_reopened="UPDATE task SET status = 'Ready' WHERE processinstanceid = %(root)s",
    job_queued="UPDATE requestinfo SET status = 'QUEUED' WHERE processinstanceid = %(root)s",
    new_child=(
        "INSERT INTO processinstancelog (id, processinstanceid, parentprocessinstanceid, status)"
        " VALUES (900000001, 900000001, %(root)s, 1)"
    ),
)
OF_THE_COPY = _stays(
    byte_flipped=(
        "UPDATE content SET content = set_byte(content, 0, get_byte(content, 0) # 1) WHERE id IN"
        " (SELECT documentcontentid FROM task WHERE processinstanceid = %(root)s)"
    ),
    made_null="UPDATE nodeinstancelog SET nodename = NULL WHERE processinstanceid = %(root)s",
    row_deleted=(
        "DELETE FROM nodeinstancelog WHERE id ="
        " (SELECT min(id) FROM nodeinstancelog WHERE processinstanceid = %(root)s)"
    ),
    row_added="INSERT INTO nodeinstancelog (id, processinstanceid, type) VALUES (900000001, %(root)s, 0)",
    values_swapped=(
        "UPDATE variableinstancelog AS a SET value = b.value FROM variableinstancelog AS b, (SELECT min(id) AS low,"
        " max(id) AS high FROM variableinstancelog WHERE processinstanceid = %(root)s) AS r"
        " WHERE (a.id, b.id) IN ((r.low, r.high), (r.high, r.low))"
    ),
)
CLEANED = _stays(
    logs_cleaned=(
        "DELETE FROM nodeinstancelog WHERE processinstanceid = %(root)s AND id % 2 = 0;"
        "DELETE FROM variableinstancelog WHERE processinstanceid = %(root)s"
    ),
)
VANISHED = _stays(
    cleaned_and_changed=(
        "DELETE FROM nodeinstancelog WHERE processinstanceid = %(root)s;"
        "UPDATE processinstancelog SET outcome = 'x' WHERE processinstanceid = %(root)s"
    ),
)


@pytest.fixture(scope="module")
def changed(pairs: Pairs) -> Iterator[Observed]:
    """A move of ended trees, each changed in another way while it stood in both databases."""
    every = BY_THE_ENGINE | OF_THE_COPY | CLEANED | VANISHED
    pair = pairs.make(Engine(every_ended=len(every)))
    trees = {name: _split(pair, members)[0] for name, members in zip(every, pair.written.ended, strict=True)}

    def change() -> None:
        for name, members in trees.items():
            side = pair.settings.backup if name in OF_THE_COPY else pair.settings.primary
            with connect(side, purpose="somebody") as session:
                for statement in every[name]:
                    text = statement.replace("% 2", "%% 2")
                    assert session.execute(text, {"root": members[0]}).rowcount, name
                session.commit()

    yield _observe(pair, trees, change)
    pairs.drop(pair)


@pytest.mark.parametrize("name", BY_THE_ENGINE)
def test_i8_a_tree_that_lives_again_stays_whole(changed: Observed, name: str) -> None:
    members = changed.trees[name]

    assert changed.ran.reports[members[0]].outcome == "skipped"
    assert checker.differences(changed.changed[name], changed.pair.checker.primary(members)) == []
    assert checker.filled(changed.pair.checker.backup(members)) == set()


@pytest.mark.parametrize("name", OF_THE_COPY)
def test_nothing_is_deleted_that_was_not_read_back_equal(changed: Observed, name: str) -> None:
    members = changed.trees[name]

    assert changed.archived[name] != changed.changed[name]
    assert members[0] in changed.ran.reports
    assert checker.differences(changed.before[name], changed.pair.checker.primary(members)) == []


def test_what_the_engine_cleaned_up_meanwhile_is_kept_by_the_archive(changed: Observed) -> None:
    members = changed.trees["logs_cleaned"]

    assert members[0] not in changed.ran.reports
    assert checker.filled(changed.pair.checker.primary(members)) == set()
    assert checker.differences(changed.before["logs_cleaned"], changed.pair.checker.backup(members)) == []


def test_i3_a_tree_of_which_rows_vanished_stays_in_both_and_is_named(changed: Observed) -> None:
    members = changed.trees["cleaned_and_changed"]
    report = changed.ran.reports[members[0]]

    assert (report.outcome, report.error_code) == ("quarantined", "DIGEST_MISMATCH")
    primary, backup = changed.pair.checker.primary(members), changed.pair.checker.backup(members)
    assert checker.differences(changed.changed["cleaned_and_changed"], primary) == []
    assert checker.differences(changed.before["cleaned_and_changed"], backup) == []


def test_i2_the_neighbours_of_changed_trees_moved(changed: Observed) -> None:
    neighbours = {pid for members in changed.pair.written.ended for pid in _rest(changed, members)}

    assert neighbours <= changed.pair.pids("backup")
    assert not neighbours & changed.pair.pids("primary")


def _rest(changed: Observed, members: tuple[int, ...]) -> set[int]:
    return set(members) - {pid for some in changed.trees.values() for pid in some}


def test_i6_the_next_run_finishes_what_stayed(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(Engine(every_ended=2))
    root = pair.written.ended[0][0]

    def change() -> None:
        pair.execute("primary", "UPDATE processinstancelog SET outcome = 'x' WHERE processinstanceid = %s", root)

    first = run(pair.settings, between=change)
    rows = checker.together(pair.checker.primary(), pair.checker.backup())
    second = run(pair.settings)

    assert set(first.reports) == {root}
    assert not second.reports
    assert checker.filled(pair.checker.primary()) == set()
    assert checker.differences(rows, pair.checker.backup()) == []


def test_a_trigger_that_changes_a_value_puts_the_tree_into_quarantine(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(Engine(every_ended=2))
    root = pair.written.ended[0][0]
    before = pair.checker.primary()
    move = open_run(pair.settings)
    try:
        pair.execute(
            "backup",
            "CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN NEW.outcome := 'meddled'; RETURN NEW; END $$",
        )
        pair.execute(
            "backup",
            "CREATE TRIGGER meddle BEFORE INSERT ON processinstancelog FOR EACH ROW"
            f" WHEN (NEW.processinstanceid = {root}) EXECUTE FUNCTION meddle()",
        )
        for wave in steps.fetch(move).waves:
            steps.children(move, wave)
            steps.execute(move, wave)
            steps.delete(move, wave)
        totals = steps.complete(move)
        [report] = move.ledger.reports()
    finally:
        move.close()

    assert (report.root_id, report.outcome, report.error_code) == (root, "quarantined", "DIGEST_MISMATCH")
    assert "processinstancelog" in (report.detail or "")
    assert totals.trees_quarantined == 1
    assert checker.differences(before, checker.together(pair.checker.primary(), pair.checker.backup())) == []
    assert root not in pair.pids("backup")
