"""``make bench-rest``: what readers of the REST interface feel of a backup, and what the backup feels of them.

The same backup, started over REST, with and without readers, in turn, each on a fresh copy of the same data; Dagster's
webserver and daemon and the REST service are processes of their own. Prints the readers' p95 and the ratio of the
backup's throughput. The exit code says whether every request was answered and no row was lost, nothing about speed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from archival_pipeline.database.connections import connect
from archival_pipeline.local import dagster_home
from archival_pipeline.local.jbpm_schema import Variant
from archival_pipeline_tests.bench import jobs
from archival_pipeline_tests.bench.scene import Scene
from archival_pipeline_tests.support import dagster_runs, rest

if TYPE_CHECKING:
    from archival_pipeline_tests.bench.scene import Forest


@dataclass(frozen=True, slots=True)
class Round:
    """One backup.

    Attributes:
        rows_per_second: of the backup, by the ledger.
        served: how the readers were served.
        problems: rows that are not where they belong.
    """

    rows_per_second: float
    served: dict[str, Any]
    problems: tuple[str, ...]


@click.command()
@click.option("--trees", default=5_000, show_default=True, type=click.IntRange(100), help="Trees to move.")
@click.option("--readers", default=200, show_default=True, type=click.IntRange(2), help="Readers at the same time.")
@click.option("--every", default=5.0, show_default=True, type=click.FloatRange(0.1), help="Rest of a reader, seconds.")
@click.option("--repeats", default=2, show_default=True, type=click.IntRange(1), help="Backups of each kind.")
def main(trees: int, readers: int, every: float, repeats: int) -> None:
    """Measure readers beside a backup, and a backup beside readers."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="archival-bench-"))
    rounds: dict[bool, list[Round]] = {False: [], True: []}
    try:
        prepare = partial(jobs.prepare_storage, folder / "logs")
        with Scene(folder, Variant.STANDARD_OID, "kie_server", prepare) as scene:
            forest = scene.grow(trees)
            for number in range(repeats):
                for busy in (False, True) if number % 2 == 0 else (True, False):
                    home = folder / f"round-{number}-{busy}"
                    home.mkdir()
                    rounds[busy].append(_round(scene, forest, home, readers if busy else 1, every if busy else 1.0))
                    _say(f"readers={readers if busy else 1} {rounds[busy][-1]}")
    finally:
        shutil.rmtree(folder)
    sys.exit(_report(rounds, readers, every))


def _round(scene: Scene, forest: Forest, home: Path, readers: int, every: float) -> Round:
    with scene.pair(forest) as pair:
        environment = {"PATH": os.environ["PATH"], "DAGSTER_HOME": str(dagster_home.make(home)), **pair.environment()}
        with (
            dagster_runs.ui(environment, home) as ui,
            dagster_runs.daemon(environment, home),
            rest.service(environment, home, DAGSTER_WEBSERVER_URL=f"http://127.0.0.1:{ui.port}") as client,
        ):
            answer = client.post("/bpm/processes/backup", json={"options": {"allowAll": True}}).raise_for_status()
            audit_id = answer.json()["auditId"]
            command = [sys.executable, "-m", "archival_pipeline_tests.bench.polling", f"{client.base_url}bpm", audit_id]
            done = subprocess.run([*command, str(readers), str(every)], check=True, stdout=subprocess.PIPE, text=True)
        with connect(pair.backup, purpose="look") as session:
            row = session.execute(
                "SELECT sum(b.row_count) / extract(epoch FROM o.ended_at - o.started_at)"
                " FROM archival_operation AS o INNER JOIN archival_batch AS b ON o.audit_id = b.audit_id"
                " WHERE o.audit_id = %s AND o.status = 'completed' AND b.state = 'deleted'"
                " GROUP BY o.started_at, o.ended_at",
                [audit_id],
            ).fetchone()
        problems = pair.problems() if row else ("the backup did not complete",)
        return Round(float(row[0]) if row else 0.0, json.loads(done.stdout), problems)


def _report(rounds: dict[bool, list[Round]], readers: int, every: float) -> int:
    alone, beside = (statistics.median(each.rows_per_second for each in rounds[busy]) for busy in (False, True))
    served = [each.served for each in rounds[True]]
    print(f"{readers} readers, one request every {every} s each, beside a backup:")
    print(f"  requests                {sum(each['requests'] for each in served):,}")
    print(f"  requests per second     {statistics.mean(each['requests_per_second'] for each in served):.1f}")
    print(f"  errors                  {sum(sum(each['errors'].values()) for each in served)}")
    for name in ("p50", "p95", "max"):
        print(f"  {name}                     {statistics.median(each[f'{name}_ms'] for each in served):.0f} ms")
    print(f"  backup alone            {alone:,.0f} rows/s")
    print(f"  backup beside readers   {beside:,.0f} rows/s")
    print(f"  rest.backup_ratio       {beside / alone if alone else 0:.3f}")
    problems = [problem for each in (*rounds[False], *rounds[True]) for problem in each.problems]
    problems += [f"requests failed: {each['errors']}" for each in served if each["errors"]]
    for problem in problems:
        print(f"PROBLEM: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _say(text: str) -> None:
    print(f"# {text} (load {os.getloadavg()[0]:.1f})", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
