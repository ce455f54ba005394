"""The checks of the archive: quiet when all is well, and each finds what it is there for."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

import pytest

from archival_pipeline.archival import health, operating, steps
from archival_pipeline.archival.direction import BACKUP, RESTORE
from archival_pipeline.database.locks import OperationLock
from archival_pipeline.settings import NightlySettings
from archival_pipeline_tests.support.moves import Engine, open_run, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from archival_pipeline.archival.health import Finding
    from archival_pipeline.settings import Settings
    from archival_pipeline_tests.support.moves import Pair

COMPLETED = {"processStatus": "COMPLETED"}
QUESTIONS = [
    health.ledger_is_settled,
    health.nothing_is_in_both,
    health.nothing_is_missing,
    health.audit_tells_every_end,
]


@pytest.fixture
def pair(pair_of: Callable[[Engine], Pair]) -> Pair:
    return pair_of(Engine(trees=12))


def dead_after_copy(pair: Pair) -> None:
    """Leave a batch in both databases, as a process does that is killed before it deletes."""
    move = open_run(pair.settings, BACKUP, COMPLETED, batchSize=6)
    try:
        steps.count(move)
        wave = steps.fetch(move).waves[0]
        steps.children(move, wave)
        steps.execute(move, wave)
    finally:
        move.close()


def numbers(finding: Finding) -> list[str]:
    return [row["process instance"] for row in finding.rows]


def test_all_is_well_before_and_after_a_round_trip(pair: Pair) -> None:
    for direction in (None, BACKUP, RESTORE, BACKUP):
        if direction is not None:
            run(pair.settings, direction, COMPLETED)
        for question in QUESTIONS:
            finding = question(pair.settings)
            assert finding.passed, (direction, finding)


def test_batch_that_a_dead_run_left_open_is_found_and_no_instance_of_it_counts_as_double(pair: Pair) -> None:
    dead_after_copy(pair)
    finding = health.ledger_is_settled(pair.settings)
    assert not finding.passed
    assert finding.numbers == {"open batches": 2}
    assert "reconcile --repair" in finding.next_step
    assert pair.pids("primary") & pair.pids("backup")
    assert health.nothing_is_in_both(pair.settings).passed
    assert not health.audit_tells_every_end(pair.settings).passed
    operating.reconcile(pair.settings)
    assert health.ledger_is_settled(pair.settings).passed


def test_operation_at_work_may_have_open_batches(pair: Pair) -> None:
    dead_after_copy(pair)
    [(audit_id,)] = pair.execute("backup", "SELECT audit_id FROM archival_operation")
    lock = OperationLock.acquire(pair.settings.backup, audit_id)
    try:
        assert health.ledger_is_settled(pair.settings).passed
        assert health.audit_tells_every_end(pair.settings).passed
    finally:
        lock.release()


def test_instance_in_both_databases_is_found(pair: Pair) -> None:
    run(pair.settings, BACKUP, COMPLETED)
    back = min(pair.pids("backup"))
    pair.execute(
        "primary",
        "INSERT INTO processinstancelog (id, processinstanceid, status, parentprocessinstanceid)"
        " VALUES (-1, %s, 2, -1)",
        back,
    )
    finding = health.nothing_is_in_both(pair.settings)
    assert not finding.passed
    assert numbers(finding) == [str(back)]


def test_instance_that_somebody_deleted_from_the_archive_is_missed(pair: Pair) -> None:
    run(pair.settings, BACKUP, COMPLETED)
    gone = max(pair.pids("backup"))
    pair.execute("backup", "DELETE FROM processinstancelog WHERE processinstanceid = %s", gone)
    finding = health.nothing_is_missing(pair.settings)
    assert not finding.passed
    assert [row["process_instance_id"] for row in finding.rows] == [str(gone)]


def nightly(settings: Settings, *, enabled: bool) -> Settings:
    settings.nightly = NightlySettings.model_construct(enabled=enabled, opens=time(20), closes=time(22))
    return settings


def test_backup_that_is_old_or_never_was_matters_only_where_one_is_to_run(pair: Pair) -> None:
    now = datetime.now(UTC)
    assert health.backup_is_fresh(nightly(pair.settings, enabled=False), now).passed
    on = nightly(pair.settings, enabled=True)
    assert not health.backup_is_fresh(on, now).passed
    run(pair.settings, BACKUP, COMPLETED)
    assert health.backup_is_fresh(on, datetime.now(UTC)).passed
    assert not health.backup_is_fresh(on, datetime.now(UTC) + timedelta(hours=27)).passed
