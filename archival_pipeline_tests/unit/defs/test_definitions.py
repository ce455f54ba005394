"""The code location as Dagster sees it: it loads anywhere, and everything in it is described."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from dagster import Field, JobDefinition, validate_run_config
from dagster._config import Shape

from archival_pipeline.archival.filters import Filters
from archival_pipeline.archival.options import Options
from archival_pipeline.local import dagster_home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydantic import BaseModel

with warnings.catch_warnings():
    # Dagster looks for the fields of a resource that has none by a name that pydantic has deprecated.
    warnings.filterwarnings("ignore", "The `__fields__` attribute is deprecated")
    from archival_pipeline.definitions import defs
    from archival_pipeline.defs import archive_checks, jobs

ALL_JOBS = [job for job in defs.resolve_all_job_defs() if not job.name.startswith("__")]
# The jobs that move trees; those of other rooms have tests of their own.
JOBS = [job for job in ALL_JOBS if hasattr(jobs, job.name)]
AGAIN = re.compile(r"\*\*(Safe|Not safe) to run again\b")
PAGE = (dagster_home.REPOSITORY / "docs" / "operating-dagster.md").read_text(encoding="utf-8")
CHECKS = {key.name for check in archive_checks.ASSET_CHECKS for key in check.check_keys}
STEPS = {"fetch", "children", "generate_sql", "execute", "delete", "complete"}


def bare_environment(home: Path) -> dict[str, str]:
    """No setting of the product at all, and a Dagster home without a storage."""
    (home / "dagster.yaml").touch()
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | {"DAGSTER_HOME": str(home)}


def test_loads_in_a_fresh_interpreter_without_any_setting(tmp_path: Path) -> None:
    program = (
        "from archival_pipeline.definitions import defs; print(*sorted(j.name for j in defs.resolve_all_job_defs()))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:archival_pipeline", "-c", program],
        check=False,
        capture_output=True,
        text=True,
        env=bare_environment(tmp_path),
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "process_backup" in done.stdout.split()


def test_dagster_validates_the_workspace(tmp_path: Path) -> None:
    done = subprocess.run(
        [dagster_home.program("dagster"), "definitions", "validate", "-w", "workspace.yaml"],
        check=False,
        capture_output=True,
        text=True,
        env=bare_environment(tmp_path),
        cwd=dagster_home.REPOSITORY,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_exports() -> None:
    assert {job.name for job in JOBS} == {
        name for name, value in vars(jobs).items() if isinstance(value, JobDefinition)
    }
    assert "process_backup" in {job.name for job in JOBS}


@pytest.mark.parametrize("job", ALL_JOBS, ids=lambda job: job.name)
def test_every_job_says_what_it_locks_and_whether_it_may_run_again(job: JobDefinition) -> None:
    assert job.description
    assert "**Locks**" in job.description
    assert AGAIN.search(job.description)
    assert job.executor_def.name == "in_process"


def test_every_job_schedule_sensor_asset_and_check_is_in_the_operators_page() -> None:
    names = {job.name for job in ALL_JOBS}
    names |= {one.name for one in (*(defs.schedules or ()), *(defs.sensors or ()))}
    names |= {key.name for check in defs.asset_checks or () for key in check.check_keys}
    names |= {key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()}
    assert [name for name in sorted(names) if f"`{name}`" not in PAGE] == []


def test_every_field_of_every_launchpad_form_is_described_and_has_a_default_or_must_be_given() -> None:
    forms = [(job.name, node) for job in ALL_JOBS for node in job.nodes if not hasattr(jobs, job.name)]
    fields = [
        (job, name, field)
        for job, node in forms
        for name, field in getattr(getattr(node.definition.config_schema, "config_type", None), "fields", {}).items()
    ]
    assert len(fields) > 20
    assert [(job, name) for job, name, field in fields if not field.description] == []
    assert [(job, name) for job, name, field in fields if not (field.default_provided or field.is_required)] == []


def test_checks_of_the_archive_are_all_in_one_job() -> None:
    [job] = [job for job in ALL_JOBS if job.name == "check_archive"]
    assert len(CHECKS) == 5
    assert {key.name for key in job.asset_layer.asset_graph.asset_check_keys} == CHECKS


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_job_is_described_exclusive_and_runs_in_one_process(job: JobDefinition) -> None:
    assert job.description
    assert "archival/exclusive" in job.tags
    assert job.executor_def.name == "in_process"


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_every_op_says_what_it_does_and_waves_end_before_the_next_begins(job: JobDefinition) -> None:
    ops = {node.name: node.definition for node in job.nodes}
    assert ops.keys() >= STEPS
    assert all(op.description for op in ops.values())
    chain = ["fetch", "children", "generate_sql", "execute", "delete"]
    priorities = [int(ops[name].tags["dagster/priority"]) for name in chain]
    assert priorities == sorted(set(priorities))


def fields_of(shape: Any, path: str = "") -> Iterator[tuple[str, Field]]:
    for name, field in shape.fields.items():
        yield f"{path}{name}", field
        if isinstance(field.config_type, Shape):
            yield from fields_of(field.config_type, f"{path}{name}.")


def test_form_of_the_backup_is_flat_and_every_field_described() -> None:
    schema = jobs.process_backup.run_config_schema.config_type
    found = dict(fields_of(schema))
    sections: dict[str, type[BaseModel]] = {"filters": Filters, "options": Options}
    expected = {
        f"{section}.{info.alias}" for section, model in sections.items() for info in model.model_fields.values()
    }
    assert found.keys() == sections.keys() | expected
    assert [name for name in expected if not found[name].description] == []
    assert [name for name, field in found.items() if field.is_required] == []
    defaults = {name: field.default_value for name, field in found.items() if field.default_provided and "." in name}
    assert defaults["options.batchSize"] == 100
    assert defaults["options.includeRunning"] is defaults["options.dryRun"] is defaults["options.allowAll"] is False


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"filters": {"processStatus": "COMPLETED", "beforeNoOfDays": 90}, "options": {"dryRun": True}},
        {"filters": {"piids": [1, "9007199254740993"], "processVariables": [{"name": "a", "value": ""}]}},
    ],
)
def test_form_takes_what_the_rest_interface_takes(config: dict[str, Any]) -> None:
    validate_run_config(jobs.process_backup, config)


@pytest.mark.parametrize(
    "config", [{"filter": {}}, {"filters": {"procesName": "a"}}, {"options": {"batchSize": "many"}}]
)
def test_form_refuses_what_it_does_not_know(config: dict[str, Any]) -> None:
    with pytest.raises(Exception, match="Error"):
        validate_run_config(jobs.process_backup, config)
