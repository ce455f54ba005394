"""A dry run shows what would move and changes nothing on either side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from archival_pipeline.archival.direction import BACKUP, DELETE_BACKUP, DELETE_PRIMARY, RESTORE, Direction
from archival_pipeline_tests.support.moves import Engine, open_run, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from archival_pipeline.archival.direction import Side
    from archival_pipeline_tests.support.moves import Pair

FOREST = Engine(trees=10, flavours=("embedded",), traps=True)


@pytest.mark.parametrize(
    ("direction", "options"),
    [(BACKUP, {}), (RESTORE, {}), (DELETE_PRIMARY, {"force": True}), (DELETE_BACKUP, {"database": "backup"})],
    ids=["backup", "restore", "delete_primary", "delete_backup"],
)
def test_i5_both_databases_are_as_they_were(
    pair_of: Callable[[Engine], Pair], direction: Direction, options: dict[str, Any]
) -> None:
    pair = pair_of(FOREST)
    if direction.origin == "backup":
        run(pair.settings)
    before = pair.checker.dumps()

    ran = run(pair.settings, direction, dryRun=True, **options)

    assert pair.checker.dumps() == before
    assert ran.plan.trees > 0
    assert sum(result.trees for result in ran.executed) > 0
    assert sum(result.row_count for result in ran.executed) > 0
    assert ran.totals.trees_moved == 0


def test_a_dry_run_tells_what_the_run_does(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(FOREST)

    shown = run(pair.settings, dryRun=True)
    done = run(pair.settings)

    assert [result.rows for result in shown.executed] == [result.rows for result in done.executed]
    assert sum(result.trees for result in shown.executed) == done.totals.trees_moved
    assert shown.reports == done.reports


@pytest.mark.parametrize("side", ["primary", "backup"])
def test_the_servers_refuse_every_write(pair_of: Callable[[Engine], Pair], side: Side) -> None:
    pair = pair_of(FOREST)
    move = open_run(pair.settings, dryRun=True)
    try:
        for lane in (move.control, *move.lanes._lanes):
            session = lane.session(side)
            for statement in ("DELETE FROM task", "CREATE TABLE x (y integer)", "SELECT lo_create(0)"):
                with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), session.transaction():
                    session.execute(statement)
        with pytest.raises(RuntimeError, match="must not write"):
            move.books()
    finally:
        move.close()
