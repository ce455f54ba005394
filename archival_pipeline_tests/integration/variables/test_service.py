"""Snapshots read from a database: values, refusals, a fixed number of queries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from archival_pipeline.database.connections import connect
from archival_pipeline.local import camunda_schema
from archival_pipeline.variables import failures, reading, service
from archival_pipeline.variables.cut import Boundary
from archival_pipeline.variables.failures import SnapshotError
from archival_pipeline.variables.history import Wait
from archival_pipeline.variables.listing import Criteria
from archival_pipeline.variables.service import Moment
from archival_pipeline_tests.integration.variables.conftest import NOW
from archival_pipeline_tests.support import camunda, camunda_golden

if TYPE_CHECKING:
    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline.settings_camunda import CamundaSettings

_S1 = next(line for line in camunda_golden.expected() if line["scenario"] == "s1" and line["activity_id"] == "A")


def _run(settings: DatabaseSettings, statement: str, *values: Any) -> None:
    with connect(settings, purpose="test", autocommit=True) as session:
        session.execute(statement.encode(), values)


def _moment(line: dict[str, Any]) -> Moment:
    return Moment(activity_instance_id=line["activity_instance_id"], boundary=Boundary(line["at"]))


def test_values_of_every_type_come_out_as_the_engine_saw_them(golden: CamundaSettings) -> None:
    for line in camunda_golden.expected():
        if line["history_only"] != "exact":
            continue
        shown = service.show(golden, _moment(line), now=NOW)
        for entry in shown.snapshot.visible:
            seen, value = line["visible"][entry.name], shown.value_of(entry)
            if line["at"] == "start" and seen["set_by_own_input_mapping"]:
                continue
            assert value is not None
            data = value.content.data if value.content else None
            got = (value.type, value.text, value.text2, value.long, value.double, data.hex() if data else None)
            assert got == (
                *(seen[name] for name in ("type", "text", "text2", "long", "double")),
                seen["bytes_hex"],
            )


def test_waits_for_jobs_are_read_from_the_job_log(golden_database: CamundaSettings) -> None:
    """The execution counts that the wait began on; a deleted job may have left its token behind."""
    instance = _S1["process_instance_id"]
    rows = [("j1", 2, "e-later", 1), ("j1", 0, "e1", 0), ("j2", 0, "e2", 0), ("j2", 3, "e2", 1), ("j3", 2, "e3", 1)]
    began = datetime(2026, 3, 1)  # noqa: DTZ001 - the engine writes wall clock times without a zone
    for number, (job, state, execution, second) in enumerate(rows):
        _run(
            golden_database,
            "INSERT INTO act_hi_job_log (id_, timestamp_, job_id_, job_state_, job_priority_, job_def_type_,"
            " job_def_configuration_, act_id_, execution_id_, process_instance_id_)"
            " VALUES (%s, %s, %s, %s, 0, 'async-continuation', 'async-after', 'A', %s, %s)",
            *(f"log-{number}", began + timedelta(seconds=second), job, state, execution, instance),
        )

    with reading.reading(golden_database) as reader:
        found = reading.history_of(reader, reading.process_of(reader, process_instance_id=instance)).waits

    done = began + timedelta(seconds=1)
    assert sorted(found, key=lambda wait: str(wait.execution_id)) == [
        Wait("e1", began, done),
        Wait("e2", began, None),
        Wait("e3", None, done),
    ]


def test_a_table_prefix_is_put_before_every_table(primary_database: DatabaseSettings) -> None:
    with connect(primary_database, purpose="test") as session:
        camunda_schema.create(session, "wf_")
        camunda_golden.load(session, "wf_")
    settings = camunda.camunda_settings(primary_database, table_prefix="WF_")

    shown = service.show(settings, _moment(_S1), now=NOW)

    assert {entry.name for entry in shown.snapshot.visible} == set(_S1["visible"])


def test_a_snapshot_takes_six_queries_whatever_its_size(
    golden: CamundaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    rows = reading.Reader.rows

    def counted(reader: reading.Reader, name: str, values: Any) -> Any:
        asked.append(name)
        return rows(reader, name, values)

    monkeypatch.setattr(reading.Reader, "rows", counted)

    service.show(golden, _moment(_S1), now=NOW)

    assert len(asked) == len(set(asked)) == 6


@pytest.mark.parametrize("level", ["0", "1", "2", "31"])
def test_below_full_there_is_no_snapshot(golden_database: CamundaSettings, level: str) -> None:
    _run(golden_database, "UPDATE act_ge_property SET value_ = %s WHERE name_ = 'historyLevel'", level)

    with pytest.raises(SnapshotError) as caught:
        service.show(golden_database, _moment(_S1), now=NOW)

    assert caught.value.code == failures.LEVEL


@pytest.mark.parametrize(
    "deletion",
    [
        "DELETE FROM act_hi_detail WHERE proc_inst_id_ = %s AND sequence_counter_ = 1 AND name_ = 'x'",
        "DELETE FROM act_hi_detail WHERE proc_inst_id_ = %s AND name_ = 'x'",
        "DELETE FROM act_hi_varinst WHERE proc_inst_id_ = %s AND name_ = 'x'",
        "DELETE FROM act_ge_bytearray WHERE root_proc_inst_id_ = %s",
    ],
    ids=["first change", "all changes", "variable", "bytes"],
)
def test_partly_cleaned_history_is_refused(golden_database: CamundaSettings, deletion: str) -> None:
    _run(golden_database, deletion, _S1["process_instance_id"])

    with pytest.raises(SnapshotError) as caught:
        service.show(golden_database, _moment(_S1), now=NOW)

    assert caught.value.code == failures.INCOMPLETE


def test_expired_history_is_said_and_refused_once_activity_instances_are_gone(
    golden_database: CamundaSettings,
) -> None:
    later = NOW + timedelta(days=30)
    assert service.show(golden_database, _moment(_S1), now=later).expired
    process = _S1["process_instance_id"]
    _run(golden_database, "DELETE FROM act_hi_actinst WHERE proc_inst_id_ = %s AND act_id_ = 'B'", process)

    with pytest.raises(SnapshotError) as caught:
        service.show(golden_database, _moment(_S1), now=later)

    assert caught.value.code == failures.INCOMPLETE


def test_unknown_ids_are_said(golden: CamundaSettings) -> None:
    for wanted in (Moment(activity_instance_id="A:none"), Moment(process_instance_id="none", at=NOW)):
        with pytest.raises(SnapshotError) as caught:
            service.show(golden, wanted, now=NOW)
        assert caught.value.code == failures.NOT_FOUND


def test_long_bytes_are_downloaded_and_not_shown(golden: CamundaSettings) -> None:
    shown = service.show(golden, _moment(_S1), now=NOW, inline_bytes=4)
    entry = next(entry for entry in shown.snapshot.visible if entry.name == "fi")
    value = shown.value_of(entry)
    assert value is not None
    assert value.as_json()["truncated"]
    assert entry.change is not None

    whole = service.content(golden, entry.change.id)

    assert whole.content is not None
    assert whole.content.data == b"hello"
    assert (whole.file_name, whole.media_type) == ("f.txt", "text/plain")


def test_a_moment_of_a_whole_instance(golden: CamundaSettings) -> None:
    process = _S1["process_instance_id"]
    ended = datetime(2026, 11, 20, 13, 28, 16, 704_000, tzinfo=UTC)

    shown = service.show(golden, Moment(process_instance_id=process, at=ended), now=NOW)

    assert shown.snapshot.visible
    before = service.show(golden, Moment(process_instance_id=process, at=ended - timedelta(hours=1)), now=NOW)
    assert before.snapshot.entries() == ()


def test_differences_between_two_activities(golden: CamundaSettings) -> None:
    lines = [line for line in camunda_golden.expected() if line["scenario"] == "s1" and line["at"] == "end"]
    first, last = _moment(lines[0]), _moment(lines[-1])

    _, _, found = service.diff(golden, first, last, now=NOW)

    names = {difference.name: difference.kind for difference in found}
    for name in lines[0]["visible"].keys() | lines[-1]["visible"].keys():
        old, new = lines[0]["visible"].get(name), lines[-1]["visible"].get(name)
        columns = ("type", "text", "long", "double", "bytes_hex")
        same = old and new and all(old[column] == new[column] for column in columns)
        assert (name not in names) == bool(same) or names[name] in {"uncertain", "moved"}


def test_inner_instances_are_listed_with_their_loop_index(golden: CamundaSettings) -> None:
    process = next(line for line in camunda_golden.expected() if line["scenario"] == "s5")["process_instance_id"]

    rows, total = service.activities(golden, process, Criteria(activity_id="M", page_size=2))

    assert total == 3
    assert [row.loop_index for row in rows] == [0, 1]
    rest, _ = service.activities(golden, process, Criteria(activity_id="M", page_size=2, page_number=2))
    assert [row.loop_index for row in rest] == [2]
