"""``make bench-long``: what an operator has of the Dagster UI while a run moves 50,000 trees.

Launches a backup in the UI, opens the page of runs and the run's own page again and again until it has ended, then
launches the restore of everything and terminates it. Prints how long the pages took, how many events the run left, what
it said about the time left, and how long the termination took. The exit code says whether the backup completed, the
restore was cancelled, and every row is in one of the two databases; nothing about speed.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from time import monotonic
from typing import TYPE_CHECKING

import click
from dagster import DagsterInstance, DagsterRunStatus

from archival_pipeline.local import dagster_home
from archival_pipeline.local.jbpm_schema import Variant
from archival_pipeline_tests.bench import jobs
from archival_pipeline_tests.bench.scene import Scene
from archival_pipeline_tests.support import dagster_runs
from archival_pipeline_tests.support.processes import wait_until

if TYPE_CHECKING:
    from archival_pipeline_tests.bench.scene import Pair
    from archival_pipeline_tests.support.dagster_runs import Ui

_EVERYTHING = {"filters": {}, "options": {"allowAll": True}}
# Between two looks of an operator who watches closely.
_REST_SECONDS = 0.5
_LONGEST_RUN = 3_600.0


@dataclass(slots=True)
class Watching:
    """What the pages did while the run was at work.

    Attributes:
        runs: seconds of each request for the page of runs.
        events: seconds until every event of the run's page had come.
        said: the run's own lines about its progress.
    """

    runs: list[float] = field(default_factory=list)
    events: list[float] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


@click.command()
@click.option("--trees", default=50_000, show_default=True, type=click.IntRange(100), help="Trees of the primary.")
def main(trees: int) -> None:
    """Watch a long run, and terminate another one."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="archival-bench-"))
    try:
        prepare = partial(jobs.prepare_storage, folder / "logs")
        with Scene(folder, Variant.STANDARD_OID, "kie_server", prepare) as scene:
            forest = scene.grow(trees)
            with scene.pair(forest) as pair:
                problems = _round(pair, folder)
    finally:
        shutil.rmtree(folder)
    for problem in problems:
        print(f"PROBLEM: {problem}", file=sys.stderr)
    sys.exit(1 if problems else 0)


def _round(pair: Pair, folder: Path) -> list[str]:
    home = folder / "home"
    home.mkdir()
    environment = {"PATH": os.environ["PATH"], "DAGSTER_HOME": str(dagster_home.make(home)), **pair.environment()}
    with dagster_runs.at_work(environment, home) as (books, ui):
        began = monotonic()
        run_id = ui.launch("process_backup", _EVERYTHING)
        watching = _watch(books, ui, run_id)
        ended = dagster_runs.record(books, run_id).dagster_run.status
        _print(pair, ui, run_id, watching, monotonic() - began)
        problems = [] if ended is DagsterRunStatus.SUCCESS else [f"the backup ended as {ended.value}"]
        problems += _terminate(books, ui)
    return problems + list(pair.problems())


def _watch(books: DagsterInstance, ui: Ui, run_id: str) -> Watching:
    watching = Watching()
    rest = threading.Event()
    until = monotonic() + _LONGEST_RUN
    while not dagster_runs.record(books, run_id).dagster_run.is_finished and monotonic() < until:
        started = monotonic()
        ui.runs()
        watching.runs.append(monotonic() - started)
        started = monotonic()
        events = ui.events(run_id)
        watching.events.append(monotonic() - started)
        watching.said = [event["message"] for event in events if "seconds_left=" in event.get("message", "")]
        rest.wait(_REST_SECONDS)
    return watching


def _terminate(books: DagsterInstance, ui: Ui) -> list[str]:
    """Launch a restore of everything, wait until it copies, terminate it."""
    run_id = ui.launch("process_restore", _EVERYTHING)
    wait_until(lambda: _is_copying(ui, run_id), "the restore copies", 600)
    asked = monotonic()
    ui.terminate(run_id)
    ended = dagster_runs.wait_for_the_end(books, run_id, 120)
    print(f"  terminated in           {monotonic() - asked:.1f} s, in the middle of a wave of a restore")
    return [] if ended is DagsterRunStatus.CANCELED else [f"the terminated restore ended as {ended.value}"]


def _is_copying(ui: Ui, run_id: str) -> bool:
    started = (event["stepKey"] for event in ui.events(run_id) if event["__typename"] == "ExecutionStepStartEvent")
    return any(re.match(r"execute\[", step or "") for step in started)


def _print(pair: Pair, ui: Ui, run_id: str, watching: Watching, seconds: float) -> None:
    events = ui.events(run_id)
    size = sum(len(event.get("message") or "") for event in events)
    print(f"{len(pair.forest.movable):,} trees in one run, {seconds:.0f} s from the launch to the end:")
    for name, measured in (("page of runs", watching.runs), ("the run's page", watching.events)):
        p95 = quantiles(measured, n=20)[-1] if len(measured) > 1 else measured[0]
        print(f"  {name:<23} p50 {median(measured) * 1_000:.0f} ms, p95 {p95 * 1_000:.0f} ms, {len(measured)} looks")
    print(f"  events of the run       {len(events)}, {size / 1_000:.0f} kB of messages")
    for line in (watching.said[0], watching.said[len(watching.said) // 2]) if watching.said else ():
        print(f"  it said                 {line}")


if __name__ == "__main__":
    main()
