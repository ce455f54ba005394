"""P1: any forest, any batch size, any crash: no row is lost, none new, no tree torn, and the next run finishes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archival_pipeline.local.jbpm_schema import Variant
from archival_pipeline.local.sample_data import Profile
from archival_pipeline_tests.faults import disturbances as them
from archival_pipeline_tests.faults.harness import Job
from archival_pipeline_tests.faults.points import Fault
from archival_pipeline_tests.faults.stage import new_audit
from archival_pipeline_tests.support.archive import NOW, prepare

if TYPE_CHECKING:
    from archival_pipeline_tests.faults.harness import Mover
    from archival_pipeline_tests.support.databases import TestDatabases

_CASES = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 10**6),
        "trees": st.integers(1, 6),
        "flavour": st.sampled_from(["kie_server", "embedded"]),
        "batch_size": st.integers(1, 5),
        "lanes": st.integers(1, 3),
        "older_than": st.integers(1, 380),
        "roots_only": st.booleans(),
        "restore": st.booleans(),
        "crash": st.integers(120, 2_500),
    }
)
_QUIETLY = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=4, deadline=None, derandomize=True, database=None, suppress_health_check=_QUIETLY)
@given(case=_CASES)
def test_p1_i1_i2_any_forest_any_crash(
    case: dict[str, object], mover: Mover, primary_databases: TestDatabases, backup_databases: TestDatabases
) -> None:
    _conserves(case, mover, primary_databases, backup_databases)


@pytest.mark.faults
@pytest.mark.timeout(4 * 3600)
@settings(
    max_examples=int(os.environ.get("FAULT_EXAMPLES", "300")),
    deadline=None,
    print_blob=True,
    suppress_health_check=_QUIETLY,
)
@given(case=_CASES)
def test_p1_i1_i2_any_forest_any_crash_many_times(
    case: dict[str, object], mover: Mover, primary_databases: TestDatabases, backup_databases: TestDatabases
) -> None:
    _conserves(case, mover, primary_databases, backup_databases)


def _conserves(
    case: dict[str, object], mover: Mover, primary_databases: TestDatabases, backup_databases: TestDatabases
) -> None:
    sides = primary_databases.fresh(), backup_databases.fresh()
    try:
        profile = Profile(seed=case["seed"], trees=case["trees"], now=NOW, flavour=case["flavour"], traps=False)  # type: ignore[arg-type]
        prepare(*sides, Variant.STANDARD_OID, profile)
        before = them.everything(sides)
        filters = {"processStatus": "COMPLETED", "beforeNoOfDays": case["older_than"]}
        options = {"batchSize": case["batch_size"], "lanes": case["lanes"]}
        backup = Job("backup", filters, {**options, "rootsOnly": case["roots_only"]})
        if case["restore"]:
            mover.run(sides, backup, new_audit()).require_done()
        job = Job("restore", {}, {**options, "allowAll": True}) if case["restore"] else backup
        mover.run(sides, job, new_audit(), Fault("kill9", number=case["crash"]))  # type: ignore[arg-type]
        assert them.missing(before, them.everything(sides)) == []
        mover.run(sides, job, new_audit()).require_done()
        assert them.lost(before, them.everything(sides)) == []
        # Filters pick instances: without that option a child goes whose parent they leave, as one that was aborted.
        if case["roots_only"] or case["restore"]:
            assert them.torn(sides) == []
    finally:
        primary_databases.drop(sides[0])
        backup_databases.drop(sides[1])
