"""Stored snapshots: the same as the computed ones, by reference, and gone together with their history."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from archival_pipeline.catalogue.camunda_sql import share_snapshots
from archival_pipeline.database.connections import connect
from archival_pipeline.errors import ConfigurationError
from archival_pipeline.history.cleanup.orphans import remove_orphans
from archival_pipeline.history.cleanup.running import Outcome, Surroundings, clean
from archival_pipeline.variables import documents, failures, service, stored, storing
from archival_pipeline.variables.cut import Boundary
from archival_pipeline.variables.failures import SnapshotError
from archival_pipeline.variables.service import Moment
from archival_pipeline_tests.integration.variables.conftest import NOW
from archival_pipeline_tests.support import camunda, camunda_golden, stored_snapshots
from archival_pipeline_tests.support.camunda_cleanup import cleanup_settings

if TYPE_CHECKING:
    from archival_pipeline.settings_camunda import CamundaSettings

_ALL = stored_snapshots.ALL
_SINCE = datetime(2026, 11, 1, tzinfo=UTC)
_AFTER = datetime(2036, 1, 1, tzinfo=UTC)


def _store(settings: CamundaSettings, **given: Any) -> storing.Outcome:
    return storing.store(settings, _ALL, now=NOW, since=_SINCE, **given)


def _ask(settings: CamundaSettings, statement: str) -> list[tuple[Any, ...]]:
    with connect(settings, purpose="test", autocommit=True) as session:
        return session.execute(statement.encode()).fetchall()


def _clean(settings: CamundaSettings, *, mode: str = "hierarchical", **given: Any) -> Outcome:
    around = Surroundings(clock=lambda: _AFTER, sleep=lambda _: None)
    return clean(settings, cleanup_settings(**given), around, mode=mode)


def test_stored_snapshots_say_what_the_computed_ones_say(golden_database: CamundaSettings) -> None:
    storing.prepare(golden_database)
    outcome = _store(golden_database)
    rows, total = service.stored_page(golden_database, stored.Wanted(page_size=1000))
    lines = {(line["activity_instance_id"], line["at"]) for line in camunda_golden.expected()}
    assert outcome.stored == total == len(rows) >= len(lines)
    assert stored_snapshots.differing(golden_database) == []
    row = next(row for row in rows if row.variables)
    kept = service.show(golden_database, Moment(stored_id=row.id), now=NOW)
    wanted = Moment(row.activity_instance_id, Boundary(row.boundary))
    assert documents.snapshot(kept) == documents.snapshot(service.show(golden_database, wanted, now=NOW))


def test_nothing_is_stored_twice_and_nothing_is_missed_after_a_limit(golden_database: CamundaSettings) -> None:
    storing.prepare(golden_database)
    first = _store(golden_database, limit=20)
    assert first.more
    rest = _store(golden_database)
    assert not rest.more
    _, total = service.stored_page(golden_database, stored.Wanted())
    assert first.stored + rest.stored == total
    assert _store(golden_database).stored == 0


def test_only_what_is_wanted_is_stored(golden_database: CamundaSettings) -> None:
    storing.prepare(golden_database)
    line = camunda_golden.expected()[0]
    key = camunda_golden.history(line["process_instance_id"]).process.definition_key
    storing.store(golden_database, {key: [line["activity_id"]], "other": ["*"]}, now=NOW, since=_SINCE)
    rows, total = service.stored_page(golden_database, stored.Wanted(page_size=1000))
    assert total > 0
    assert {(row.process_definition_key, row.activity_id) for row in rows} == {(key, line["activity_id"])}
    found, few = service.stored_page(golden_database, stored.Wanted(key=key, boundary="start", page_size=1))
    assert (len(found), 2 * few) == (1, total)


def test_the_next_look_begins_where_the_last_one_ended(golden_database: CamundaSettings) -> None:
    storing.prepare(golden_database)
    late = NOW + timedelta(days=1)
    # The recorded activities are older than the overlap, so there is nothing new.
    assert storing.is_due(golden_database, _ALL, now=late), "a first sweep"
    assert storing.store(golden_database, _ALL, now=late).stored == 0
    assert not storing.is_due(golden_database, _ALL, now=late)
    with connect(golden_database, purpose="test", autocommit=True) as session:
        session.execute("UPDATE act_hi_actinst SET start_time_ = %s", (late.replace(tzinfo=None) - timedelta(hours=1),))
    assert storing.is_due(golden_database, _ALL, now=late), "committed late, within the overlap"


def test_what_has_only_just_happened_waits(golden_database: CamundaSettings) -> None:
    storing.prepare(golden_database)
    last = max(row["end_time_"] or row["start_time_"] or "" for row in camunda_golden.table("act_hi_actinst"))
    ended = datetime.fromisoformat(last).replace(tzinfo=UTC)
    early = storing.store(golden_database, _ALL, now=ended + timedelta(seconds=30), since=_SINCE)
    rest = storing.store(golden_database, _ALL, now=ended + storing.SETTLED + timedelta(seconds=1))
    assert rest.stored > 0
    assert early.stored + rest.stored == service.stored_page(golden_database, stored.Wanted())[1]
    assert _store(golden_database).stored == 0


def test_without_tables_it_says_what_to_do(golden: CamundaSettings) -> None:
    for call in (lambda: _store(golden), lambda: service.show(golden, Moment(stored_id=1), now=NOW)):
        with pytest.raises(ConfigurationError, match="tables"):
            call()


def test_an_unknown_one_is_not_found(golden_database: CamundaSettings) -> None:
    storing.prepare(golden_database)
    with pytest.raises(SnapshotError) as caught:
        service.show(golden_database, Moment(stored_id=7), now=NOW)
    assert caught.value.code == failures.NOT_FOUND


def test_history_that_cannot_answer_is_noted_once(golden_database: CamundaSettings) -> None:
    storing.prepare(golden_database)
    instance = camunda_golden.expected()[0]["process_instance_id"]
    with connect(golden_database, purpose="test", autocommit=True) as session:
        session.execute(
            "DELETE FROM act_hi_detail WHERE id_ = (SELECT min(id_) FROM act_hi_detail WHERE proc_inst_id_ = %s)",
            (instance,),
        )
    outcome = _store(golden_database)
    assert "not whole" in outcome.refused[instance]
    assert _store(golden_database).refused == {}
    rows, _ = service.stored_page(golden_database, stored.Wanted(process_instance_id=instance))
    assert all("not whole" in str(row.refusal) for row in rows)
    with pytest.raises(SnapshotError, match="not whole"):
        service.show(golden_database, Moment(stored_id=rows[0].id), now=NOW)


@pytest.mark.parametrize("mode", ["hierarchical", "compatible"])
def test_the_cleanup_takes_them_with_their_history(golden_database: CamundaSettings, mode: str) -> None:
    storing.prepare(golden_database)
    before = _store(golden_database).stored
    instances = sorted({line["process_instance_id"] for line in camunda_golden.expected()})
    with connect(golden_database, purpose="test", autocommit=True) as session:
        stored_snapshots.expire(session, instances[:2])
    ((due,),) = _ask(
        golden_database,
        "SELECT count(*) FROM public_snapshots.stored_snapshot AS s INNER JOIN act_hi_procinst AS p"
        " ON p.id_ = s.process_instance_id WHERE p.removal_time_ <= '2036-01-01'",
    )
    outcome = _clean(golden_database, mode=mode, historyCleanupBatchSize="10")
    assert outcome.removed.snapshots == due > 0
    assert _ask(golden_database, "SELECT count(*) FROM public_snapshots.stored_snapshot") == [(before - due,)]
    assert stored_snapshots.dangling(golden_database) == 0


def test_orphans_take_them_along(golden_database: CamundaSettings) -> None:
    storing.prepare(golden_database)
    _store(golden_database)
    instance = camunda_golden.expected()[0]["process_instance_id"]
    with connect(golden_database, purpose="test", autocommit=True) as session:
        session.execute("DELETE FROM act_hi_procinst WHERE id_ = %s", (instance,))
        session.execute("DELETE FROM act_ru_execution WHERE proc_inst_id_ = %s", (instance,))
    remove_orphans(golden_database, Surroundings(clock=lambda: _AFTER, sleep=lambda _: None))
    storing.sweep(golden_database, now=NOW)
    assert stored_snapshots.dangling(golden_database) == 0
    assert service.stored_page(golden_database, stored.Wanted(process_instance_id=instance))[1] == 0


def test_what_somebody_else_cleaned_is_refused_and_swept(golden_database: CamundaSettings) -> None:
    storing.prepare(golden_database)
    before = _store(golden_database).stored
    rows, _ = service.stored_page(golden_database, stored.Wanted(page_size=1000))
    chosen = next(row for row in rows if row.variables)
    with connect(golden_database, purpose="test", autocommit=True) as session:
        stored_snapshots.expire(session, [chosen.process_instance_id])
        session.execute("DELETE FROM act_hi_detail WHERE proc_inst_id_ = %s", (chosen.process_instance_id,))
    with pytest.raises(SnapshotError) as caught:
        service.show(golden_database, Moment(stored_id=chosen.id), now=NOW)
    assert caught.value.code == failures.INCOMPLETE
    swept = storing.sweep(golden_database, now=_AFTER)
    assert 0 < swept < before
    assert stored_snapshots.dangling(golden_database) == 0
    assert service.stored_page(golden_database, stored.Wanted())[1] == before - swept


def test_history_that_lost_rows_elsewhere_still_shows_what_is_stored(golden_database: CamundaSettings) -> None:
    storing.prepare(golden_database)
    _store(golden_database)
    rows, _ = service.stored_page(golden_database, stored.Wanted(page_size=1000))
    chosen = next(row for row in rows if row.variables and row.boundary == "start")
    kept = service.show(golden_database, Moment(stored_id=chosen.id), now=NOW)
    needed = [entry.change.id for entry in kept.snapshot.entries() if entry.change is not None]
    with connect(golden_database, purpose="test", autocommit=True) as session:
        gone = session.execute(
            "DELETE FROM act_hi_detail WHERE proc_inst_id_ = %s AND NOT id_ = ANY(%s)",
            (chosen.process_instance_id, needed),
        ).rowcount
    assert gone
    again = service.show(golden_database, Moment(stored_id=chosen.id), now=NOW)
    assert documents.snapshot(again) == documents.snapshot(kept)
    with pytest.raises(SnapshotError):
        service.show(golden_database, Moment(chosen.activity_instance_id), now=NOW)


def test_while_the_history_is_being_cleaned_nothing_is_stored_and_nothing_waits(
    golden_database: CamundaSettings,
) -> None:
    storing.prepare(golden_database)
    with connect(golden_database, purpose="test") as cleanup:
        share_snapshots(cleanup, golden_database)
        held = _store(golden_database)
    assert (held.stored, held.postponed, held.more) == (0, True, True)
    assert _store(golden_database).stored > 0


def _killed_at(statement: int, settings: CamundaSettings) -> int:
    program = "archival_pipeline_tests.support.stored_snapshots"
    return subprocess.run(
        [sys.executable, "-m", program, str(statement), NOW.isoformat(), _SINCE.isoformat()],
        check=False,
        env={"PATH": os.environ["PATH"], **camunda.variables(settings)},
        timeout=120,
    ).returncode


@pytest.mark.faults
@pytest.mark.parametrize("statement", [5, 12, 33])
def test_killed_while_storing(golden_database: CamundaSettings, statement: int) -> None:
    storing.prepare(golden_database)
    assert _killed_at(statement, golden_database) == -signal.SIGKILL
    _store(golden_database)
    assert stored_snapshots.dangling(golden_database) == 0
    assert stored_snapshots.differing(golden_database) == []
