"""Batches that are copied together: as exact as one by one, and apart as soon as one of them stands in the way."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from archival_pipeline.archival import pace, steps, together
from archival_pipeline.archival.direction import BACKUP, RESTORE
from archival_pipeline.errors import VerificationError
from archival_pipeline_tests.support import checker
from archival_pipeline_tests.support.moves import Engine, open_run, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from archival_pipeline.archival.direction import Direction
    from archival_pipeline.archival.move import Move
    from archival_pipeline_tests.support.moves import Pair

FULL = Engine(trees=10, every_ended=2)
# A tree each, one after the other, so that whatever can be copied together is.
SINGLE: dict[str, Any] = {"batchSize": 1, "lanes": 1}


def copied(move: Move) -> None:
    """Take a move up to the point where everything is copied and nothing deleted."""
    for wave in steps.fetch(move).waves:
        steps.children(move, wave)
        steps.execute(move, wave)


def groups(pair: Pair, audit_id: str) -> set[tuple[int, ...]]:
    """Numbers of the batches that were copied together, as the audit tells them."""
    rows = pair.execute(
        "backup",
        "SELECT details -> 'copiedTogether' FROM process_audit_logs WHERE audit_id = %s AND step = 'execute'",
        audit_id,
    )
    return {tuple(numbers) for (numbers,) in rows if numbers}


@pytest.mark.parametrize("direction", [BACKUP, RESTORE], ids=["backup", "restore"])
def test_i7_each_batch_knows_its_own_rows(direction: Direction, pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(FULL)
    before = pair.checker.primary()
    if direction == RESTORE:
        run(pair.settings, **SINGLE)
    with closing(open_run(pair.settings, direction, **SINGLE)) as move:
        copied(move)
        there = pair.checker.backup if direction == BACKUP else pair.checker.primary
        batches = [batch for batch in move.ledger.batches() if batch.member_ids]
        assert {batch.state for batch in batches} == {"copied"}
        for batch in batches:
            expected = {name: rows.total() for name, rows in there(batch.member_ids).items() if rows}
            assert batch.table_rows == expected, batch.batch
        assert any(len(numbers) == pace._TOGETHER for numbers in groups(pair, move.audit_id))
        for wave in steps.fetch(move).waves:
            steps.delete(move, wave)
        totals = steps.complete(move)
    assert totals.trees_moved == len(batches)
    whole = pair.checker.primary() if direction == RESTORE else pair.checker.backup()
    moved = {member for batch in batches for member in batch.member_ids}
    mine = pair.checker.primary(moved) if direction == RESTORE else pair.checker.backup(moved)
    assert moved
    assert checker.differences(mine, whole if direction == BACKUP else mine) == []
    if direction == RESTORE:
        assert checker.differences(before, pair.checker.primary()) == []


def test_a_tree_that_cannot_be_copied_keeps_no_other_back(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(FULL)
    # Its key is taken in the backup, by an instance that is not there.
    bad = sorted(pair.written.safe_roots)[4]
    [(key,)] = pair.execute("primary", "SELECT min(id) FROM nodeinstancelog WHERE processinstanceid = %s", bad)
    pair.execute(
        "backup",
        "INSERT INTO nodeinstancelog (id, processinstanceid, type) VALUES (%s, 999999999, 0)",
        key,
    )
    ran = run(pair.settings, **SINGLE)
    assert {root: report.outcome for root, report in ran.reports.items() if report.outcome == "quarantined"} == {
        bad: "quarantined"
    }
    assert ran.totals.trees_moved == ran.plan.trees - len(ran.reports)
    [(alone,)] = pair.execute(
        "backup", "SELECT batch FROM archival_batch WHERE audit_id = %s AND %s = ANY(root_ids)", ran.audit_id, bad
    )
    apart = groups(pair, ran.audit_id)
    assert apart
    assert all(alone not in numbers for numbers in apart)


def test_i3_rows_that_no_batch_accounts_for_roll_all_of_them_back(
    pair_of: Callable[[Engine], Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = pair_of(FULL)
    with closing(open_run(pair.settings, **SINGLE)) as move:
        [wave] = steps.fetch(move).waves
        steps.children(move, wave)
        batches = [batch for batch in move.ledger.batches() if batch.member_ids][:3]
        move.scan(batches)
        count = together._rows

        def one_less(*given: Any) -> dict[str, int]:
            return count(*given) | {"processinstancelog": 0}

        monkeypatch.setattr(together, "_rows", one_less)
        with pytest.raises(VerificationError, match="processinstancelog"):
            together.copy(move.control, move, batches, thorough=False)
        assert checker.filled(pair.checker.backup()) == set()
        assert {batch.state for batch in move.ledger.batches() if batch.member_ids} == {"planned"}
