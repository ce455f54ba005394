# ruff: noqa: S608 - fixed statements, put together here
"""An engine at work in a process of its own while trees are moved and movers die: nothing it wrote is lost or torn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from archival_pipeline.database.connections import connect
from archival_pipeline_tests.faults import disturbances as them
from archival_pipeline_tests.faults.harness import Job
from archival_pipeline_tests.faults.points import Fault
from archival_pipeline_tests.faults.stage import COMPLETED, SMALL, new_audit
from archival_pipeline_tests.support.archive import environment_of
from archival_pipeline_tests.support.forks import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from archival_pipeline_tests.faults.stage import Sides, Stages

_JOB = Job("backup", COMPLETED, {"batchSize": 2})
_TABLES = ("processinstancelog", "nodeinstancelog", "variableinstancelog")
# Two batches and the wait between them are about this many points.
_ROUNDS = 6
_STEP = 330


@contextmanager
def _engine(sides: Sides, log: Path) -> Iterator[None]:
    """An engine at work; it must end well."""
    command = [sys.executable, "-m", "archival_pipeline_tests.support.live_writer", "--late", str(them.ROOT)]
    with log.open("w", encoding="utf-8") as output:
        writer = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=output, cwd=REPOSITORY, env=os.environ | environment_of(*sides)
        )
        try:
            yield
        finally:
            assert writer.stdin is not None
            writer.stdin.close()
            code = writer.wait(timeout=240)
    assert code == 0, "the engine met an error"


def _written(log: Path) -> tuple[dict[int, int], int]:
    """Rows of each instance that the engine has ended, and how many late rows it wrote."""
    said = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return {pid: rows for pid, rows in said if rows > 1}, sum(1 for _, rows in said if rows == 1)


@pytest.mark.timeout(900)
def test_f15_i1_i12_an_engine_at_work_loses_nothing_while_movers_die(stages: Stages, tmp_path: Path) -> None:
    stage = stages.stage(Job("backup", COMPLETED), SMALL)
    log = tmp_path / "engine"
    with stages.copy(stage.start) as sides:
        before = them.everything(sides)
        with _engine(sides, log):
            for number in range(1, _ROUNDS):
                stages.mover.run(sides, _JOB, new_audit(), Fault("kill9", number=number * _STEP))
            stages.run(sides, _JOB)
        stages.run(sides, _JOB)
        assert them.missing(before, them.everything(sides)) == []
        instances, late = _written(log)
        assert len(instances) > 1
        here, there = _rows(sides, "primary"), _rows(sides, "backup")
        assert {pid: here[pid] + there[pid] for pid in instances} == instances
        assert not here.keys() & there.keys(), "an instance stands in both databases"
        first = them.everything(sides)["nodeinstancelog"].total() - before["nodeinstancelog"].total()
        assert first == late + sum(min(3, rows - 1 - (rows > 3)) for rows in instances.values())


def _rows(sides: Sides, side: str) -> Counter[int]:
    query = " UNION ALL ".join(f"SELECT processinstanceid FROM {table}" for table in _TABLES)
    with connect(sides[0] if side == "primary" else sides[1], purpose="check") as session:
        return Counter(row[0] for row in session.execute(query))
