"""After a run: which tables are worth a vacuum, and a command that does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from archival_pipeline.archival.direction import BACKUP, RESTORE
from archival_pipeline.archival.vacuum_advice import advise
from archival_pipeline_tests.support.moves import Engine, open_run, run
from archival_pipeline_tests.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from archival_pipeline_tests.support.moves import Pair

COMPLETED = {"processStatus": "COMPLETED"}


@pytest.fixture
def pair(pair_of: Callable[[Engine], Pair]) -> Pair:
    return pair_of(Engine(trees=30))


def told(pair: Pair, audit_id: str) -> dict[str, Any]:
    """The advice in the last audit row of an operation."""
    [(details,)] = pair.execute(
        "backup",
        "SELECT details FROM process_audit_logs WHERE audit_id = %s AND audit_status = 'completed'",
        audit_id,
    )
    advice: dict[str, Any] = details["vacuum"]
    return advice


def advice_now(pair: Pair) -> dict[str, Any]:
    """What an operation that has moved nothing yet would say."""
    move = open_run(pair.settings, BACKUP, COMPLETED, dryRun=True)
    try:
        return advise(move)
    finally:
        move.close()


def dead(advice: dict[str, Any]) -> dict[str, int]:
    return {row["table"]: row["deadRows"] for row in advice["tables"]}


def test_backup_names_the_tables_that_it_emptied_and_the_command_works(pair: Pair) -> None:
    ran = run(pair.settings, BACKUP, COMPLETED)
    moved: dict[str, int] = {}
    for result in ran.deleted:
        for table, rows in result.rows.items():
            moved[table] = moved.get(table, 0) + rows
    moved = {table: rows for table, rows in moved.items() if rows}
    advice = told(pair, ran.audit_id)
    found = dead(advice)
    assert moved.keys() <= found.keys()
    assert {table for table, rows in moved.items() if found[table] < rows} == set()
    sizes = [row["reclaimableBytes"] for row in advice["tables"]]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 0

    command: str = advice["command"]
    assert command.startswith("VACUUM (ANALYZE) ")
    assert all(f'"{table}"' in command for table in moved)
    pair.execute("primary", command)
    wait_until(lambda: not any(dead(advice_now(pair))[table] for table in moved), "the server counts no dead rows")


def test_large_objects_are_counted_and_named(pair: Pair) -> None:
    [(objects,)] = pair.execute("primary", "SELECT count(*) FROM pg_largeobject_metadata")
    run(pair.settings, BACKUP, COMPLETED)
    [(left,)] = pair.execute("primary", "SELECT count(*) FROM pg_largeobject_metadata")
    assert left < objects
    # The counters of the server come in when the sessions that deleted have ended.
    wait_until(lambda: dead(advice_now(pair))["pg_largeobject"] >= objects - left, "the server counts dead pages")
    assert '"pg_largeobject"' in advice_now(pair)["command"]


def test_run_that_moved_nothing_advises_nothing(pair: Pair) -> None:
    ran = run(pair.settings, BACKUP, {"processName": "no such process"})
    assert told(pair, ran.audit_id)["command"] == ""


def test_restore_advises_on_the_backup(pair: Pair) -> None:
    run(pair.settings, BACKUP, COMPLETED)
    ran = run(pair.settings, RESTORE)
    advice = told(pair, ran.audit_id)
    assert dead(advice)["processinstancelog"] >= ran.totals.instances_moved > 0
    pair.execute("backup", advice["command"])
