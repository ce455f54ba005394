"""Runs one job as a child process and prints, as one line of JSON, what it took.

A process of its own because of memory: the kernel counts the memory of the process that starts a child towards the
child's peak. This one is small when it starts the job, and imports Dagster only afterwards, to read the run's record.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


def main(job: str, config: str, log: str) -> dict[str, Any]:
    """Run the job with the configuration in that file; what it prints goes to the log."""
    command = [sys.executable, "-m", "dagster", "job", "execute", "-m", "archival_pipeline.definitions"]
    started = perf_counter()
    with Path(log).open("wb") as output:
        child = subprocess.Popen([*command, "-j", job, "--config", config], stdout=output, stderr=output)
        _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return {
        "exit": child.returncode,
        "wall_seconds": perf_counter() - started,
        "peak_bytes": usage.ru_maxrss * _MAXRSS_UNIT,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        **_record(job),
    }


def _record(job: str) -> dict[str, Any]:
    """What Dagster's storage says about the last run of the job."""
    from dagster import DagsterInstance, RunsFilter

    with DagsterInstance.get() as instance:
        records = instance.get_run_records(RunsFilter(job_name=job), limit=1)
        if not records:
            return {"status": "NOT STARTED", "run_seconds": None, "steps": {}}
        run = records[0]
        steps: dict[str, float] = {}
        for step in instance.get_run_step_stats(run.dagster_run.run_id):
            if step.start_time is not None and step.end_time is not None:
                name = step.step_key.partition("[")[0]
                steps[name] = steps.get(name, 0.0) + step.end_time - step.start_time
        finished = run.start_time is not None and run.end_time is not None
        return {
            "status": run.dagster_run.status.value,
            "run_seconds": run.end_time - run.start_time if finished else None,  # type: ignore[operator]
            "steps": steps,
        }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
