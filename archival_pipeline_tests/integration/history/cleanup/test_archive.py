"""History that is archived before it is removed: every row stands on one side, and comes back as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archival_pipeline.database.connections import connect
from archival_pipeline.history.cleanup.archive.ledger import ARCHIVED, RESTORED
from archival_pipeline_tests.support.camunda_archive import Pair, only
from archival_pipeline_tests.support.camunda_cleanup import LEVELS, without

if TYPE_CHECKING:
    from archival_pipeline.local.camunda_data import Level
    from archival_pipeline.settings import DatabaseSettings


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name.lower())
def test_every_removed_row_stands_in_the_archive_and_comes_back_as_it_was(
    primary_database: DatabaseSettings, backup_database: DatabaseSettings, level: Level
) -> None:
    pair = Pair.make(primary_database, backup_database, level=level)
    before = pair.engine_content()
    outcome = pair.run(historyCleanupBatchSize="7")
    assert pair.engine_content() == without(before, pair.due)
    assert pair.archive_content() == only(before, pair.due)
    assert outcome.removed.roots == len(pair.scene.roots) + 3
    assert outcome.rows.total() == sum(map(len, pair.due.values()))
    assert (outcome.left, outcome.stopped, outcome.set_aside) == (0, False, {})
    assert pair.states() == {ARCHIVED}
    assert pair.run().rows.total() == 0
    returned = pair.restore(historyCleanupBatchSize="5")
    assert pair.engine_content() == before
    assert not any(pair.archive_content().values())
    assert (returned.hierarchies, returned.refused) == (outcome.removed.roots, {})
    assert returned.rows == {table: count for table, count in outcome.rows.items() if count}
    assert pair.states() == {RESTORED}


def test_a_prefix_and_lanes(primary_database: DatabaseSettings, backup_database: DatabaseSettings) -> None:
    elsewhere = primary_database.model_copy(update={"schema_name": "Engine Data"})
    with connect(elsewhere, purpose="test", autocommit=True) as session:
        session.execute('CREATE SCHEMA "Engine Data"')
    pair = Pair.make(elsewhere, backup_database, prefix="cam_", hierarchies=40)
    before = pair.engine_content()
    pair.run(historyCleanupDegreeOfParallelism="3", historyCleanupBatchSize="4")
    assert pair.engine_content() == without(before, pair.due)
    assert pair.archive_content() == only(before, pair.due)
    pair.restore()
    assert pair.engine_content() == before
