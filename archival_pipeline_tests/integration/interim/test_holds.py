"""What is on legal hold: its interim data stays, until the hold is released."""

from __future__ import annotations

import base64
import json
import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from dagster import DagsterInstance

from archival_pipeline.archival import holding
from archival_pipeline.catalogue.holds import HoldBook
from archival_pipeline.database.connections import connect
from archival_pipeline.defs.interim import interim_data_cleanup
from archival_pipeline.interim import metrics, service
from archival_pipeline_tests.integration.interim.conftest import build_books, build_jbpm
from archival_pipeline_tests.support.interim import FORMS, START_FORM, START_PAYLOAD
from archival_pipeline_tests.support.processes import wait_until

if TYPE_CHECKING:
    from archival_pipeline.archival.holding import Placed
    from archival_pipeline.catalogue.holds import EngineName, Kind
    from archival_pipeline.interim.books import Backlog
    from archival_pipeline_tests.support.databases import TestDatabases
    from archival_pipeline_tests.support.interim import Stage

BOTH = pytest.mark.parametrize("stage", ["jbpm", "camunda"], indirect=True)
DAY = timedelta(days=1)


def place(stage: Stage, kind: Kind, value: str) -> Placed:
    return holding.place(stage.places.backup, stage.engine.name, kind, value, reason="case 12", by="a lawyer")


def release(stage: Stage, placed: Placed) -> None:
    holding.release(stage.places.backup, placed.hold.hold_id, reason="case closed", by="a lawyer")


def about(stage: Stage, process: str, *, business_key: str = "", definition: str = "p") -> None:
    """Write down the business key and the definition of a process."""
    statements = {
        "jbpm": "UPDATE processinstancelog SET correlationkey = %s, processid = %s WHERE processinstanceid::text = %s",
        "camunda": "UPDATE act_hi_procinst SET business_key_ = %s, proc_def_key_ = %s WHERE proc_inst_id_ = %s",
    }
    stage.engine.session.execute(statements[stage.engine.name], (business_key, definition, process))


def filled(stage: Stage, process: str, parent: str | None = None) -> None:
    """A process with every kind of data."""
    stage.engine.start(process, parent)
    stage.data.task_form(process)
    stage.data.signature(parent or process, process)
    stage.data.batch_signature(parent or process, process, 0)
    stage.data.file(process)
    stage.engine.variable(process, START_FORM, stage.data.start_form())
    stage.engine.variable(process, START_PAYLOAD, stage.data.payload())


def backlog(stage: Stage) -> list[Backlog]:
    with stage.books() as books:
        return books.backlog()


def everything_gone(stage: Stage) -> bool:
    return (stage.data.names(), stage.data.files()) == (set(), set())


@BOTH
@pytest.mark.parametrize(
    ("kind", "value"), [("instance", "1"), ("business_key", "ORDER-17"), ("definition", "invoice")]
)
def test_i13_data_of_a_process_on_hold_stays_until_it_is_released(stage: Stage, kind: Kind, value: str) -> None:
    filled(stage, "1")
    about(stage, "1", business_key="ORDER-17", definition="invoice")
    before = stage.data.contents()
    filled(stage, "2")
    about(stage, "2", business_key="ORDER-18", definition="invoices")
    placed = place(stage, kind, value)
    for process in ("1", "2"):
        stage.engine.end(process)

    reports = stage.clean()

    left = stage.data.contents()
    assert {name: left[name] for name in before if name not in {FORMS, "bpm-message-payloads"}} == {
        name: content for name, content in before.items() if name not in {FORMS, "bpm-message-payloads"}
    }
    assert left.keys() == before.keys()
    for report in reports.values():
        assert (set(report.on_hold), report.failed, report.down, report.processes) == ({"1"}, {}, None, 1)
        assert report.on_hold["1"].startswith("on legal hold: instance 1 ")
    assert [(one.processes, one.oldest_seconds, one.last_error, one.on_hold) for one in backlog(stage)] == [
        (0, 0, None, 1)
    ] * 2
    stage.retry_now()
    stage.clean()
    assert stage.data.contents() == left

    release(stage, placed)
    stage.retry_now()
    reports = stage.clean()
    assert everything_gone(stage)
    assert [(report.processes, report.on_hold) for report in reports.values()] == [(1, {}), (1, {})]
    assert backlog(stage) == []


@BOTH
@pytest.mark.parametrize("held", ["1", "2", "3"])
def test_i13_hold_of_any_relative_keeps_data_of_the_whole_tree(stage: Stage, held: str) -> None:
    filled(stage, "1")
    filled(stage, "2", parent="1")
    filled(stage, "3", parent="1")
    placed = place(stage, "instance", held)
    for process in ("2", "3", "1"):
        stage.engine.end(process)
    before = stage.data.contents()
    reports = stage.clean()
    assert stage.data.contents() == before
    assert (set(reports["redis"].on_hold), set(reports["files"].on_hold)) == ({"1", "2", "3"}, {"1"})
    release(stage, placed)
    stage.retry_now()
    stage.clean()
    assert stage.data.names() == set()


@BOTH
def test_i13_sweep_leaves_what_is_on_hold_and_remembers_it(stage: Stage) -> None:
    stage.engine.start("9")
    filled(stage, "1")
    filled(stage, "2", parent="1")
    stage.data.form("a-free-key", index="1")
    for process in ("2", "1"):
        stage.engine.end(process)
    placed = place(stage, "instance", "2")
    before = stage.data.contents()
    stage.sweep()
    report = stage.sweep()
    assert stage.data.contents() == before
    # Of each process: form, two signatures, index set, start form, payload, file.
    assert (sum(report.removed.values()), report.failed, report.on_hold) == (0, {}, 14)
    with stage.books() as books:
        assert sum(row[2] for row in books.orphans()) == 14
    release(stage, placed)
    assert stage.sweep().on_hold == 0
    assert everything_gone(stage)
    with stage.books() as books:
        assert books.orphans() == []


@BOTH
def test_hold_by_id_counts_when_the_history_is_gone(stage: Stage) -> None:
    stage.engine.start("9")
    for process in ("1", "2"):
        filled(stage, process)
        stage.engine.end(process)
    place(stage, "instance", "1")
    for process in ("1", "2"):
        stage.engine.forget(process)
    stage.sweep()
    assert {f"{FORMS}:process/1/task/sign", f"{FORMS}:process-instance-id:1"} <= stage.data.names()
    assert f"{FORMS}:process/2/task/sign" not in stage.data.names()
    assert [name.rpartition("/")[0] for name in stage.data.files()] == ["process/1"]


@BOTH
def test_start_form_that_a_process_on_hold_names_stays(stage: Stage) -> None:
    key = stage.data.start_form()
    for process in ("1", "2"):
        stage.engine.start(process)
        stage.engine.variable(process, START_FORM, key)
    placed = place(stage, "instance", "2")
    stage.engine.end("1")
    stage.engine.end("2")
    assert set(stage.clean()["redis"].on_hold) == {"1", "2"}
    assert f"{FORMS}:{key}" in stage.data.names()
    release(stage, placed)
    stage.retry_now()
    stage.clean()
    assert stage.data.names() == set()


@BOTH
def test_i13_whoever_places_a_hold_waits_for_the_removal_at_work(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.engine.start("1")
    stage.data.task_form("1")
    stage.engine.end("1")
    answers: list[Placed] = []
    worker = threading.Thread(target=lambda: answers.append(place(stage, "instance", "1")))
    waiting = (
        "SELECT count(*) FROM pg_locks AS l INNER JOIN pg_database AS d ON l.database = d.oid"
        " WHERE l.locktype = 'advisory' AND NOT l.granted AND d.datname = current_database()"
    )
    with stage.opened() as everything, connect(stage.places.backup, purpose="look", autocommit=True) as look:
        assert everything.redis is not None
        remove = everything.redis.remove

        def placed_meanwhile(keys: Any) -> Any:
            worker.start()
            wait_until(lambda: look.execute(waiting).fetchone() == (1,), "the hold waits")
            assert not answers
            return remove(keys)

        monkeypatch.setattr(everything.redis, "remove", placed_meanwhile)
        cleanup = everything.cleanup(lambda: False)
        cleanup.read_ended(10)
        assert cleanup.clean("redis").removed == {FORMS: 1}
    worker.join()
    assert [answer.settled for answer in answers] == [True]


@BOTH
def test_without_a_hold_nobody_asks_for_relatives(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(stage, "1")
    stage.engine.end("1")
    with connect(stage.places.backup, purpose="holds", autocommit=True) as session:
        other: EngineName = "camunda" if stage.engine.name == "jbpm" else "jbpm"
        holding.place(stage.places.backup, other, "instance", "1", reason="case 12", by="a lawyer")
        assert not HoldBook(session, stage.engine.name).active().any

    def asked(*_: object) -> None:
        pytest.fail("nobody is on hold")

    for question in ("relatives", "named_by"):
        monkeypatch.setattr(f"archival_pipeline.interim.engines.EngineReader.{question}", asked)
    stage.clean()
    assert everything_gone(stage)


def test_archived_tree_is_known_to_the_backup(stage: Stage, backup_databases: TestDatabases) -> None:
    backup = backup_databases.fresh()
    build_books(backup)
    build_jbpm(backup)
    stage = replace(stage, places=replace(stage.places, backup=backup))
    stage.engine.start("9")
    with connect(backup, purpose="archive", autocommit=True) as session:
        archive = stage.engine.on(session)
        archive.start("1")
        archive.start("2", parent="1")
        key = stage.data.start_form()
        archive.variable("2", START_FORM, key)
        about(replace(stage, engine=archive), "2", business_key="ORDER-17")
    file, other = stage.data.file("1"), stage.data.file("3")
    placed = place(stage, "business_key", "ORDER-17")
    stage.sweep()
    assert stage.data.files() == {file}
    assert f"{FORMS}:{key}" in stage.data.names()
    assert other not in stage.data.files()
    release(stage, placed)
    stage.sweep()
    assert everything_gone(stage)
    backup_databases.drop(backup)


def test_what_is_on_hold_waits_together(stage: Stage) -> None:
    place(stage, "definition", "p")
    for number in range(1, 8):
        stage.engine.start(str(number))
        stage.data.task_form(str(number))
        stage.engine.end(str(number))
        stage.clean()
    with stage.books() as books:
        pieces = books.session.execute(
            "SELECT store, item_count, jsonb_array_length(items) FROM interim_work WHERE finished_at IS NULL"
            " AND last_error = 'on legal hold' ORDER BY store"
        ).fetchall()
    assert pieces == [("redis", 7, 7)]


def test_what_fails_besides_is_tried_as_ever(stage: Stage) -> None:
    for process in ("1", "2", "3"):
        stage.engine.start(process)
        stage.data.task_form(process)
        stage.engine.end(process)
    stage.data.redis.delete(f"{FORMS}:process-instance-id:2")
    stage.data.redis.set(f"{FORMS}:process-instance-id:2", "no set")
    place(stage, "instance", "1")
    report = stage.clean()["redis"]
    assert (set(report.on_hold), set(report.failed), report.processes) == ({"1"}, {"2"}, 1)
    (waiting,) = (one for one in backlog(stage) if one.store == "redis")
    assert (waiting.processes, waiting.attempts, waiting.on_hold) == (1, 1, 1)
    assert "WRONGTYPE" in str(waiting.last_error)


def test_tokens_of_what_is_on_hold_are_left_alone(stage: Stage) -> None:
    expires = base64.urlsafe_b64encode(json.dumps({"exp": 1_000_000_000}).encode()).decode().rstrip("=")
    stage.engine.start("9")
    for process in ("1", "2"):
        stage.data.task_form(process, token=f"e30.{expires}.c2ln")
    placed = place(stage, "instance", "1")

    def scrubbed() -> tuple[int, dict[str, int]]:
        with stage.opened() as everything:
            keeper = everything.tokens(lambda: False)
            assert keeper is not None
            report = keeper.look(time.time(), scrub=True, running_after_days=0)
        return report.scrubbed, report.tokens

    assert scrubbed() == (1, {"held": 1, "over": 1})
    release(stage, placed)
    assert scrubbed() == (1, {"over": 1})


def test_run_succeeds_and_tells_what_is_on_hold(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "load_places", lambda: stage.places)
    stage.engine.start("1")
    stage.data.task_form("1")
    stage.engine.end("1")
    place(stage, "instance", "1")
    with DagsterInstance.ephemeral() as instance:
        result = interim_data_cleanup.execute_in_process(instance=instance)
        assert result.success
        (metadata,) = (
            event.event_specific_data.metadata  # type: ignore[union-attr]
            for event in result.events_for_node("clean_redis")
            if event.event_type_value == "STEP_OUTPUT"
        )
    told = {name: metadata[name].value for name in ("on hold", "backlog on hold", "backlog", "processes")}
    assert told == {"on hold": 1, "backlog on hold": 1, "backlog": 0, "processes": 0}
    with stage.books() as books:
        text = metrics.exposition(books)
    assert 'archival_interim_last_run_on_hold{what="redis"} 1.0' in text
    assert 'archival_interim_last_run_failed{what="redis"} 0.0' in text
    assert 'archival_interim_backlog_on_hold{store="redis"} 1.0' in text
    assert 'archival_interim_backlog_processes{store="redis"} 0.0' in text
