"""Every boundary that the real engine recorded: equal where history tells, flagged where it does not."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from archival_pipeline.variables.cut import Boundary, Flag
from archival_pipeline.variables.history import History
from archival_pipeline.variables.keys import uuid_key
from archival_pipeline.variables.snapshot import of_activity
from archival_pipeline_tests.support import camunda_golden as golden

if TYPE_CHECKING:
    from collections.abc import Callable

    from archival_pipeline.variables.snapshot import Snapshot

_IDS = [f"{line['scenario']}-{line['activity_id']}-{line['at']}-{n}" for n, line in enumerate(golden.expected())]


def _differing(snapshot: Snapshot, line: dict[str, Any], old_id: Callable[[str], str] = str) -> set[str]:
    """Names whose visible variable is not the one that the engine saw."""
    at_start = line["at"] == "start"
    inputs = {name for name, seen in line["visible"].items() if at_start and seen["set_by_own_input_mapping"]}
    have = {entry.name: entry for entry in snapshot.visible}
    names = (have.keys() | line["visible"].keys()) - inputs
    return {name for name in names if not _same(have.get(name), line["visible"].get(name), old_id)}


def _same(entry: Any, seen: dict[str, Any] | None, old_id: Callable[[str], str]) -> bool:
    if entry is None or seen is None:
        return False
    row = golden.detail(old_id(entry.change.id))
    return (
        old_id(entry.variable_id) == seen["var_inst_id"]
        and (row["var_type_"], row["text_"], row["text2_"]) == (seen["type"], seen["text"], seen["text2"])
        and (row["long_"] is None) == (seen["long"] is None)
        and (row["long_"] is None or int(row["long_"]) == seen["long"])
        and (row["double_"] is None or float(row["double_"]) == seen["double"])
        and golden.content(row["bytearray_id_"]) == seen["bytes_hex"]
    )


def _doubted(snapshot: Snapshot, names: set[str]) -> set[str]:
    return {name for name in names if snapshot.flags_of(name) - {Flag.TECHNICAL}}


@pytest.mark.parametrize("line", golden.expected(), ids=_IDS)
def test_a_boundary_is_as_the_engine_saw_it_or_flagged(line: dict[str, Any]) -> None:
    history = golden.history(line["process_instance_id"])

    snapshot = of_activity(history, line["activity_instance_id"], Boundary(line["at"]))

    differing = _differing(snapshot, line)
    assert differing == _doubted(snapshot, differing)
    if line["history_only"] == "exact":
        assert not differing
    else:
        assert differing


@pytest.mark.parametrize("line", golden.expected(), ids=_IDS)
def test_own_inputs_are_apart(line: dict[str, Any]) -> None:
    snapshot = of_activity(
        golden.history(line["process_instance_id"]), line["activity_instance_id"], Boundary(line["at"])
    )

    inputs = {name for name, seen in line["visible"].items() if seen["set_by_own_input_mapping"]}
    found = {entry.name for entry in snapshot.own_inputs}
    assert found >= inputs or line["at"] == "end"
    assert all(Flag.TIE in entry.flags for entry in snapshot.own_inputs if entry.name not in inputs)


def test_counters_as_ids_give_the_same_answers() -> None:
    """The engine's own id generator counts, where others make UUIDs."""
    numbered: dict[str, str] = {}

    def number(part: str) -> str:
        if part not in numbered:
            key = uuid_key(part)
            assert key is not None
            numbered[part] = str(key)
        return numbered[part]

    _check_renamed(number, demand_exact=True)


def test_ids_without_an_order_never_give_a_wrong_value_without_a_flag() -> None:
    _check_renamed(lambda part: "x" + hashlib.sha256(part.encode()).hexdigest()[:30], demand_exact=False)


def _check_renamed(rename: Callable[[str], str], *, demand_exact: bool) -> None:
    old: dict[str, str] = {}

    def new(row_id: str | None) -> Any:
        if row_id is None:
            return None
        *front, part = row_id.rsplit(":", 1)
        made = ":".join([*front, rename(part)])
        old[made] = row_id
        return made

    for line in golden.expected():
        history = _renamed(golden.history(line["process_instance_id"]), new)
        assert history.keys.comparable is demand_exact

        snapshot = of_activity(history, new(line["activity_instance_id"]), Boundary(line["at"]))

        differing = _differing(snapshot, line, old.__getitem__)
        assert differing == _doubted(snapshot, differing), line["activity_instance_id"]
        if demand_exact and line["history_only"] == "exact":
            assert not differing


def _renamed(history: History, new: Callable[[str | None], Any]) -> History:
    return History(
        history.process._replace(id=new(history.process.id)),
        [
            row._replace(id=new(row.id), parent_id=new(row.parent_id), execution_id=new(row.execution_id))
            for row in history.activities.values()
        ],
        [
            row._replace(
                id=new(row.id),
                execution_id=new(row.execution_id),
                activity_instance_id=new(row.activity_instance_id),
            )
            for row in history.variables.values()
        ],
        [
            row._replace(
                id=new(row.id),
                variable_id=new(row.variable_id),
                source=new(row.source),
                execution_id=new(row.execution_id),
            )
            for group in history.changes.values()
            for row in group
        ],
        [row._replace(id=new(row.id), execution_id=new(row.execution_id)) for row in history.jobs],
    )
