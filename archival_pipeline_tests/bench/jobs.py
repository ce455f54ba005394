"""Our jobs, as an operator runs them: ``dagster job execute`` in a process of its own, on a PostgreSQL storage.

A job that this code location does not have is left out. Not here: what the process reports (``execute.py``).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archival_pipeline_tests.bench.results import Measurement
from archival_pipeline_tests.bench.scene import settle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline_tests.bench.scene import Pair

_ROOT = Path(__file__).resolve().parents[2]
_SETTINGS = ("DB_", "BPM_", "DAGSTER_")
_EVERY_TREE = {"filters": {}, "options": {"allowAll": True}}


@dataclass(frozen=True, slots=True)
class Line:
    """One job to measure.

    Attributes:
        key: of its results.
        job: its name in the code location.
        after: the line that has to run on the same databases before, if any.
        config: its run configuration.
    """

    key: str
    job: str
    after: str | None = None
    config: dict[str, Any] = field(default_factory=lambda: _EVERY_TREE)


BACKUP = Line("backup", "process_backup")
RESTORE = Line("restore", "process_restore", after="backup")
DELETE = Line("delete", "process_delete_bulk")


def present() -> frozenset[str]:
    """Names of the jobs that the code location has."""
    code = (
        "import json; from archival_pipeline.definitions import defs; "
        "print(json.dumps([job.name for job in defs.jobs or []]))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True)
    return frozenset(json.loads(done.stdout.splitlines()[-1]))


def prepare_storage(home: Path, variables: dict[str, str]) -> None:
    """Make the tables of Dagster's storage, as the first start of a real one does."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").write_text((_ROOT / "dagster.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    command = [sys.executable, "-m", "dagster", "run", "list"]
    subprocess.run(command, check=True, env=_environment(home, variables), capture_output=True)


def measure(pair: Pair, home: Path, *, restore: bool) -> Iterator[Measurement]:
    """Back everything up that may move; then, if wanted, restore it into the same primary."""
    yield _run(pair, home, BACKUP)
    if restore:
        settle(pair.primary, pair.backup)
        yield _run(pair, home, RESTORE)


def measure_delete(pair: Pair, home: Path) -> Measurement:
    """Delete everything in bulk."""
    return _run(pair, home, DELETE)


def _run(pair: Pair, home: Path, line: Line) -> Measurement:
    rows, before = sum(pair.rows()[0].values()), pair.cost()
    said = _execute(pair, home, line)
    cost = replace(pair.cost() - before, client_cpu_seconds=said["cpu_seconds"])
    return Measurement(
        line=line.key,
        seconds=said["run_seconds"] or said["wall_seconds"],
        rows=abs(sum(pair.rows()[0].values()) - rows),
        trees=len(pair.forest.movable),
        cost=cost,
        parts=said["steps"],
        wall_seconds=said["wall_seconds"],
        peak_bytes=said["peak_bytes"],
        problems=_problems(pair, line, said),
    )


def _execute(pair: Pair, home: Path, line: Line) -> dict[str, Any]:
    log = home / f"{line.key}-{pair.primary.database}.log"
    config = log.with_suffix(".yaml")
    # JSON is YAML, and the command takes its configuration from a file.
    config.write_text(json.dumps(line.config), encoding="utf-8")
    command = [sys.executable, "-m", "archival_pipeline_tests.bench.execute", line.job, str(config), str(log)]
    environment = _environment(home, pair.environment())
    done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True)
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said | {"log": str(log)}


def _problems(pair: Pair, line: Line, said: dict[str, Any]) -> tuple[str, ...]:
    found = [] if line is DELETE else list(pair.problems())
    if said["status"] != "SUCCESS":
        found.append(f"the run of {line.job} ended as {said['status']}; see {said['log']}")
    there = pair.rows()[1 if line is BACKUP else 0]["processinstancelog"]
    every = pair.forest.rows["processinstancelog"]
    wanted = {"backup": pair.forest.instances, "restore": every, "delete": every - pair.forest.instances}[line.key]
    if there != wanted:
        found.append(f"{there} instances stand where {wanted} were expected")
    return tuple(found)


def _environment(home: Path, variables: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}
    return kept | variables | {"DAGSTER_HOME": str(home)}
