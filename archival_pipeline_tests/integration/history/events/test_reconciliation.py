"""The history held against the engine, and mended from it."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from archival_pipeline.database.connections import connect
from archival_pipeline.history.reconciliation import reconcile
from archival_pipeline.history.store.erasure import erase_user
from archival_pipeline.history.store.writing import write
from archival_pipeline_tests.support import camunda_history
from archival_pipeline_tests.support.camunda import camunda_settings
from archival_pipeline_tests.support.camunda_history import AT, Engine
from archival_pipeline_tests.support.history import columns, process_event, rows

if TYPE_CHECKING:
    from archival_pipeline.history.reconciliation import Reconciliation
    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline_tests.conftest import DatabaseFactory

RANGE = (AT - timedelta(days=1), AT + timedelta(days=1))


@pytest.fixture
def engine_database(database_from_template: DatabaseFactory) -> DatabaseSettings:
    """An engine with two processes, a task and a result."""
    database = database_from_template("engine's history", camunda_history.create)
    with connect(database, purpose="engine") as session:
        engine = Engine(session)
        engine.start(1)
        engine.start(2)
        engine.create_task(1)
        engine.set_variable(1, "sys-var-process-completion-result", "Approved")
        engine.set_state(2, "COMPLETED")
    return database


def _reconcile(engine: DatabaseSettings, history: DatabaseSettings, *, repair: bool, **range_: Any) -> Reconciliation:
    return reconcile(camunda_settings(engine), history, range_.get("started", RANGE), repair=repair)


def test_what_is_missing_is_told_and_made(
    engine_database: DatabaseSettings, history_database: DatabaseSettings
) -> None:
    told = _reconcile(engine_database, history_database, repair=False)
    assert (told.checked, told.missing, told.repaired, told.is_clean) == (4, 4, 0, False)
    assert rows(history_database)["bpm_history_process"] == []

    made = _reconcile(engine_database, history_database, repair=True)
    assert made.repaired == 4
    assert columns(history_database, "bpm_history_process", "p1")["completion_result"] == "Approved"
    assert _reconcile(engine_database, history_database, repair=True).is_clean


def test_what_differs_is_told_by_field_and_mended(
    engine_database: DatabaseSettings, history_database: DatabaseSettings
) -> None:
    _reconcile(engine_database, history_database, repair=True)
    with connect(engine_database, purpose="engine") as session:
        engine = Engine(session)
        engine.set_state(1, "EXTERNALLY_TERMINATED")
        engine.assign(1, None)
    found = _reconcile(engine_database, history_database, repair=True)
    assert (found.missing, found.different, found.repaired) == (0, 2, 2)
    assert found.examples == ["process p1: endTime, state", "task sign:1: assignee"]
    assert columns(history_database, "bpm_history_task", "sign:1")["assignee"] is None


def test_a_process_whose_end_was_never_heard_of_is_pointed_out(
    engine_database: DatabaseSettings, history_database: DatabaseSettings
) -> None:
    with connect(history_database, purpose="test") as session:
        write(session, [process_event(9, 1)])
    found = _reconcile(engine_database, history_database, repair=True)
    assert (found.unknown_to_engine, found.is_clean) == (1, False)


def test_only_the_range_is_looked_at(engine_database: DatabaseSettings, history_database: DatabaseSettings) -> None:
    earlier = (RANGE[0] - timedelta(days=2), RANGE[1] - timedelta(days=2))
    assert _reconcile(engine_database, history_database, repair=True, started=earlier).checked == 0


def test_an_erased_user_is_not_brought_back(
    engine_database: DatabaseSettings, history_database: DatabaseSettings
) -> None:
    _reconcile(engine_database, history_database, repair=True)
    with closing(connect(history_database, purpose="test", autocommit=True)) as session:
        with session.transaction():
            erase_user(session, "olena", AT + timedelta(days=1))
        assert _reconcile(engine_database, history_database, repair=True).is_clean
        assert session.execute("SELECT count(*) FROM bpm_history_process").fetchone() == (0,)
