"""F21, F39, F41: rights that are taken away during the run, an audit that cannot be written, few descriptors.

What preflight refuses before the first write is tested beside preflight.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from archival_pipeline.database.connections import connect
from archival_pipeline_tests.faults import disturbances as them
from archival_pipeline_tests.faults.points import Fault
from archival_pipeline_tests.faults.roles import lend
from archival_pipeline_tests.faults.stage import BACKUP, RESTORE, SMALL, new_audit
from archival_pipeline_tests.support.archive import environment_of
from archival_pipeline_tests.support.forks import REPOSITORY

if TYPE_CHECKING:
    from archival_pipeline_tests.faults.harness import Job
    from archival_pipeline_tests.faults.stage import Sides, Stages

_OBJECTS_TO_POSTGRES = """
DO $$DECLARE o record; BEGIN
    FOR o IN SELECT oid FROM pg_largeobject_metadata
    LOOP EXECUTE format('ALTER LARGE OBJECT %s OWNER TO postgres', o.oid); END LOOP;
END$$
"""
_REVOCATIONS = {
    "DELETE at the primary": (
        BACKUP,
        "primary",
        them.DELETE_BEGINS,
        "REVOKE DELETE ON nodeinstancelog FROM fault_role",
    ),
    "INSERT at the backup": (BACKUP, "backup", them.COPY_BEGINS, "REVOKE INSERT ON nodeinstancelog FROM fault_role"),
    "large objects at the primary": (
        BACKUP,
        "primary",
        them.DELETE_BEGINS,
        _OBJECTS_TO_POSTGRES,
    ),
    "INSERT at the primary": (RESTORE, "primary", 'before primary COPY "', "REVOKE INSERT ON task FROM fault_role"),
}


@pytest.mark.parametrize("name", _REVOCATIONS)
def test_f21_i2_a_right_revoked_in_mid_run_rolls_the_batch_back(name: str, stages: Stages) -> None:
    job, side, match, statement = _REVOCATIONS[name]
    stage = stages.stage(job, SMALL)
    with stages.copy(stage.start) as sides:
        lent = lend(sides[0]), lend(sides[1])
        fault = Fault("sql", match=match, side=side, statement=statement)  # type: ignore[arg-type]
        ended = stages.mover.run(lent, job, new_audit(), fault)
        assert ended.code == "42501", ended.document
        assert stage.oracle.judge(*sides).problems == []
        stages.run((lend(sides[0]), lend(sides[1])), job)
        assert stage.oracle.judge_end(*sides, stage.end) == []


@pytest.mark.parametrize("job", [BACKUP, RESTORE], ids=["backup", "restore"])
def test_f39_i10_without_an_audit_nothing_is_deleted(job: Job, stages: Stages) -> None:
    stage = stages.stage(job, SMALL)
    gone = "ALTER TABLE process_audit_logs RENAME TO elsewhere"
    with stages.copy(stage.start) as sides:
        fault = Fault("sql", match='COPY "', side="backup", statement=gone)
        ended = stages.mover.run(sides, job, new_audit(), fault)
        assert ended.exit != 0
        judged = stage.oracle.judge(*sides)
        assert (judged.problems, judged.origin) == ([], "whole")
        with connect(sides[1], purpose="repair", autocommit=True) as session:
            session.execute("ALTER TABLE elsewhere RENAME TO process_audit_logs")
        stages.run(sides, job)
        assert stage.oracle.judge_end(*sides, stage.end) == []


def _with_few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def test_f41_few_file_descriptors_are_enough(stages: Stages) -> None:
    stage = stages.stage(BACKUP, SMALL)
    with stages.copy(stage.start) as sides:
        _run_limited(sides)
        assert stage.oracle.judge_end(*sides, stage.end) == []


def _run_limited(sides: Sides) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "archival_pipeline_tests.support.worker", *BACKUP.arguments(new_audit())],
        check=True,
        capture_output=True,
        cwd=REPOSITORY,
        env=os.environ | environment_of(*sides),
        preexec_fn=_with_few_descriptors,
    )
    assert json.loads(done.stdout)["code"] == ""
