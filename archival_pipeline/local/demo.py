"""``make demo``: a whole backup on real servers, from nothing, and an account of it that does not trust it.

Two embedded PostgreSQL servers, a jBPM database with made-up history on one of them, the job ``process_backup`` as a
process of its own, and a comparison of every row before and after by other means than the job's (``snapshot.py``).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from archival_pipeline.archival import service
from archival_pipeline.catalogue.jbpm import JBPM
from archival_pipeline.database.connections import connect
from archival_pipeline.local import dagster_home, jbpm_schema, snapshot
from archival_pipeline.local.jbpm_schema import Variant
from archival_pipeline.local.sample_data import Profile, generate
from archival_pipeline.local.servers import BACKUP, DEFAULT_FOLDER, PRIMARY, LocalStack
from archival_pipeline.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from archival_pipeline.local.sample_data import Summary
    from archival_pipeline.local.snapshot import Snapshot
    from archival_pipeline.settings import Settings

_DATABASES = {PRIMARY: "demo_bpm", BACKUP: "demo_bpm_backup"}
_CONFIG = "filters:\n  processStatus: COMPLETED\n  beforeNoOfDays: 30\n"
_VARIANT = Variant.STANDARD_OID
_LAST_LINES = 40


@dataclass(frozen=True, slots=True)
class Result:
    """What the run left behind, read with plain SQL.

    Attributes:
        seconds: from the operation's begin to its end, by the ledger.
        trees: trees that moved, by the ledger.
        instances: instances in them.
        reasons: why other trees stay -> how many.
        archived: ids of all instances that stand in the backup.
    """

    seconds: float
    trees: int
    instances: int
    reasons: dict[str, int]
    archived: frozenset[int]


@click.command()
@click.option("--trees", type=click.IntRange(1), default=1_500, show_default=True, help="Trees to make up.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed makes up the same trees.")
@click.option("--folder", type=click.Path(path_type=Path), default=DEFAULT_FOLDER, help="Home of the servers.")
def main(trees: int, seed: int, folder: Path) -> None:
    """Show a whole backup on embedded servers with sample data; fail if anything does not add up."""
    # A time limit, or a shell that starts this in the background, must not leave the servers behind either.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    console = Console(highlight=False)
    # Only the names of the databases: a demo recreates them, so it never works on servers of your own.
    stack = LocalStack(folder, environ={side.name: name for side, name in _DATABASES.items()})
    console.print("Starting two PostgreSQL servers ...")
    with stack:
        sys.exit(_run(console, stack, folder, Profile(seed=seed, trees=trees, now=datetime.now(UTC))))


def _run(console: Console, stack: LocalStack, folder: Path, profile: Profile) -> int:
    settings = _fresh_databases(stack, folder)
    console.print(f"Making up a jBPM database with {profile.trees} trees and one of every oddity ...")
    with connect(settings.primary, purpose="sample data") as session:
        jbpm_schema.create(session, _VARIANT)
        made = generate(session, profile, _VARIANT)
    service.migrate(settings)
    before = _look_at_primary(settings)
    console.print("Running the Dagster job process_backup ...")
    began = time.monotonic()
    _run_job(folder)
    process_seconds = time.monotonic() - began
    console.print("Comparing every row with what there was before ...")
    after = _look_at_primary(settings)
    with connect(settings.backup, purpose="look") as session:
        moved = snapshot.of_backup(session, before)
        result = _read_result(session)
    problems = [*snapshot.lost_or_new(before, after, moved), *_wrong_trees(made, result)]
    console.print(_rows_table(before, after, moved))
    console.print(_reasons_table(result))
    _conclude(console, result, moved, process_seconds, problems)
    return 1 if problems else 0


def _fresh_databases(stack: LocalStack, folder: Path) -> Settings:
    for side, name in _DATABASES.items():
        stack.clusters[side].drop_database(name)
        stack.clusters[side].create_database(name)
    # From here on this process has the settings that the job's process gets.
    environment = dagster_home.environment(stack, folder)
    os.environ.clear()
    os.environ.update(environment)
    return load_settings()


def _look_at_primary(settings: Settings) -> Snapshot:
    with connect(settings.primary, purpose="look") as session:
        return snapshot.of_primary(session, (table.name for table in JBPM.owned))


def _run_job(folder: Path) -> None:
    """Run the job as its own process, as an operator does from a shell.

    Raises:
        ClickException: it failed; the end of its log is in the message.
    """
    workplace = folder.resolve() / "demo"
    workplace.mkdir(exist_ok=True)
    config, log = workplace / "process_backup.yaml", workplace / "process_backup.log"
    config.write_text(_CONFIG, encoding="utf-8")
    with log.open("w", encoding="utf-8") as output:
        done = subprocess.run(  # noqa: S603 - our own program
            dagster_home.execute_job("process_backup", config),
            check=False,
            stdout=output,
            stderr=output,
            cwd=dagster_home.REPOSITORY,
        )
    if done.returncode != 0:
        end = "\n".join(log.read_text(encoding="utf-8").splitlines()[-_LAST_LINES:])
        message = f"the job failed (exit code {done.returncode}); the end of {log}:\n{end}"
        raise click.ClickException(message)


def _read_result(backup: psycopg.Connection[Any]) -> Result:
    instances = backup.execute("SELECT processinstanceid FROM processinstancelog").fetchall()
    reasons = backup.execute("SELECT reason, count(*) FROM archival_tree GROUP BY reason ORDER BY reason").fetchall()
    row = backup.execute(
        "SELECT extract(epoch FROM o.ended_at - o.started_at)::float8,"
        " (SELECT count(DISTINCT m.root) FROM archival_batch AS b, unnest(b.member_roots) AS m (root)"
        "  WHERE b.state = 'deleted'),"
        " (SELECT count(*) FROM archival_batch AS b, unnest(b.member_ids) WHERE b.state = 'deleted')"
        " FROM archival_operation AS o WHERE o.status = 'completed'"
    ).fetchone()
    if row is None:
        message = "the ledger knows of no completed operation"
        raise click.ClickException(message)
    return Result(row[0], row[1], row[2], dict(reasons), frozenset(number for (number,) in instances))


def _wrong_trees(made: Summary, result: Result) -> Iterator[str]:
    """Hold what moved against what the generator knows about its own trees."""
    if result.instances != len(result.archived):
        yield f"the ledger says {result.instances} instances moved, the backup has {len(result.archived)}"
    for root, obstacle in made.unsafe_roots.items():
        if root in result.archived:
            yield f"tree {root} moved although {obstacle}"
    for tree in made.trees:
        if tree.root in result.archived and not result.archived.issuperset(tree.members):
            yield f"tree {tree.root} was torn apart"


def _rows_table(before: Snapshot, after: Snapshot, moved: Snapshot) -> Table:
    table = Table(title="Rows per table", title_justify="left")
    for name in ("table", "before", "moved", "left", "digests"):
        table.add_column(name, justify="left" if name in ("table", "digests") else "right")
    totals = [0, 0, 0]
    for name, rows in sorted(before.rows.items()):
        numbers = [rows.total(), moved.rows[name].total(), after.rows[name].total()]
        if any(numbers):
            equal = after.rows[name] + moved.rows[name] == rows
            table.add_row(name, *(f"{number:,}" for number in numbers), "equal" if equal else "DIFFERENT")
            totals = [total + number for total, number in zip(totals, numbers, strict=True)]
    table.add_section()
    table.add_row("rows", *(f"{number:,}" for number in totals))
    objects = [len(before.objects), len(before.objects.keys() - after.objects.keys()), len(after.objects)]
    table.add_row("large objects, orphans too", *(f"{number:,}" for number in objects))
    return table


def _reasons_table(result: Result) -> Table:
    table = Table(title="Selected trees", title_justify="left")
    table.add_column("what became of them")
    table.add_column("trees", justify="right")
    table.add_row("moved", f"{result.trees:,}")
    for reason, number in result.reasons.items():
        table.add_row(f"stayed: {reason}", f"{number:,}")
    return table


def _conclude(console: Console, result: Result, moved: Snapshot, process_seconds: float, problems: list[str]) -> None:
    rows = sum(table.total() for table in moved.rows.values())
    console.print(
        f"Moved {result.trees:,} trees with {result.instances:,} instances and {rows:,} rows in {result.seconds:.1f} s,"
        f" {rows / result.seconds:,.0f} rows per second (the Dagster process took {process_seconds:.1f} s in all).",
        soft_wrap=True,
    )
    for problem in problems:
        console.print(f"WRONG: {problem}", markup=False, soft_wrap=True)
    if not problems:
        console.print("Every row and large object is in exactly one database, unchanged. Next: make dev")


if __name__ == "__main__":
    main()
