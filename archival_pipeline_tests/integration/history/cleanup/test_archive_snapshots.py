"""Stored variable snapshots of history that is archived: they go in the transaction that removes it from the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archival_pipeline.database.connections import connect
from archival_pipeline.history.cleanup.archive.copying import copy_hierarchies
from archival_pipeline_tests.support import stored_snapshots
from archival_pipeline_tests.support.camunda_archive import Pair

if TYPE_CHECKING:
    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline.settings_camunda import CamundaSettings

_COUNTS = "SELECT (SELECT count(*) FROM public_snapshots.stored_snapshot), (SELECT count(*) FROM act_hi_procinst)"


def _counts(settings: CamundaSettings) -> tuple[int, int]:
    with connect(settings, purpose="test", autocommit=True) as session:
        row = session.execute(_COUNTS).fetchone()
    assert row is not None
    return row[0], row[1]


def test_archived_history_takes_them_along(
    primary_database: DatabaseSettings, backup_database: DatabaseSettings
) -> None:
    pair = Pair.make(primary_database, backup_database)
    stored_snapshots.refer_to_everything(pair.engine)
    before, _ = _counts(pair.engine)
    outcome = pair.run(historyCleanupBatchSize="5")
    stored, instances = _counts(pair.engine)
    assert 0 < stored == instances < before
    assert outcome.removed.snapshots == before - stored
    assert stored_snapshots.dangling(pair.engine) == 0


def test_what_changed_after_its_copy_takes_them_along_too(
    primary_database: DatabaseSettings, backup_database: DatabaseSettings
) -> None:
    pair = Pair.make(primary_database, backup_database, with_traps=False)
    stored_snapshots.refer_to_everything(pair.engine)
    roots = list(pair.scene.roots)
    with pair.sessions() as at:
        copy_hierarchies(at.engine, at.backup, at.archive, at.due, roots[:3])
    with connect(pair.engine, purpose="test", autocommit=True) as session:
        session.execute("DELETE FROM act_hi_comment WHERE root_proc_inst_id_ = %s", (roots[0],))
        session.execute("DELETE FROM act_hi_actinst WHERE root_proc_inst_id_ = %s", (roots[1],))
    pair.run()
    stored, instances = _counts(pair.engine)
    assert stored == instances
    assert stored_snapshots.dangling(pair.engine) == 0
