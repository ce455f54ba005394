"""``make bench``: the command line, the order of the lines, the exit code.

The lines of one size run in turn, forwards and backwards, so that a machine that grows slower or faster is unfair to
none of them. The exit code says whether every line ran and no row was lost; it says nothing about speed.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from archival_pipeline.local.jbpm_schema import Variant
from archival_pipeline.local.sample_data import Flavour
from archival_pipeline_tests.bench import inserts, jobs, raw, report
from archival_pipeline_tests.bench.results import SizeResult
from archival_pipeline_tests.bench.scene import Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from archival_pipeline_tests.bench.results import Measurement
    from archival_pipeline_tests.bench.scene import Forest, Pair

    Task = Callable[[Pair], Iterable[Measurement]]

_SIZE = 5_000
_LARGE = (5_000, 50_000)
# One size alone says nothing about memory: a tenth of it is run once, with our line only.
_SMALL_PART = 10


def _sizes(context: click.Context, parameter: click.Parameter, text: str) -> tuple[int, ...]:
    del context, parameter
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        message = f"{text!r} is not a list of numbers such as 5000,50000"
        raise click.BadParameter(message) from None


@click.command()
@click.option("--sizes", envvar="BENCH_SIZES", callback=_sizes, default=str(_SIZE), show_default=True, help="Trees.")
@click.option("--large", is_flag=True, help=f"The same as --sizes {','.join(map(str, _LARGE))}.")
@click.option(
    "--repeats", default=3, show_default=True, type=click.IntRange(1), help="Of the first size; others run once."
)
@click.option("--flavour", default="kie_server", show_default=True, type=click.Choice(get_args(Flavour)))
@click.option("--variant", default="standard_oid", show_default=True, type=click.Choice([v.value for v in Variant]))
@click.option("--insert-batches", default=10, show_default=True, help="Batches of 100 for the INSERT script.")
@click.option(
    "--output", default="build/bench.json", show_default=True, type=click.Path(path_type=Path, dir_okay=False)
)
def main(
    *,
    sizes: tuple[int, ...],
    large: bool,
    repeats: int,
    flavour: Flavour,
    variant: str,
    insert_batches: int,
    output: Path,
) -> None:
    """Measure the move against the raw pipe and the INSERT script, on the same data, in one run."""
    # End like Ctrl-C when told to stop, as by a time limit of CI: the servers must not outlive the benchmark.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sizes = _LARGE if large else sizes
    there = jobs.present()
    # Not below the checkout: the servers' system user must reach it, and a deep path is not wanted in their logs.
    folder = Path(tempfile.mkdtemp(prefix="archival-bench-"))
    home = output.resolve().parent / "bench-logs"
    shutil.rmtree(home, ignore_errors=True)
    try:
        with Scene(folder, Variant(variant), flavour, partial(jobs.prepare_storage, home)) as scene:
            plan = _tasks(home, there, insert_batches)
            results = []
            if len(sizes) == 1 and sizes[0] >= _SMALL_PART:
                ours = partial(jobs.measure, home=home, restore=False)
                results.append(_run(scene, sizes[0] // _SMALL_PART, [ours], 1))
            results += [_run(scene, size, plan, repeats if size == sizes[0] else 1) for size in sizes]
            context = {**report.machine(), **scene.facts(), "variant": variant, "flavour": flavour}
    finally:
        shutil.rmtree(folder)
    document = report.document(context, results, main_size=sizes[0])
    report.write(document, output)
    print(report.table(document))
    problems = [problem for result in results for problem in result.problems]
    for problem in problems:
        print(f"PROBLEM: {problem}", file=sys.stderr)
    sys.exit(1 if problems else 0)


def _tasks(home: Path, there: frozenset[str], insert_batches: int) -> list[Task]:
    """What to measure at one size. Restore and bulk deletion come in with their jobs."""
    restore = jobs.RESTORE.job in there
    tasks: list[Task] = [partial(raw.measure, pump=pump, restore=restore) for pump in raw.PUMPS]
    tasks.append(lambda pair: [inserts.measure(pair, insert_batches)])
    tasks.append(partial(jobs.measure, home=home, restore=restore))
    if jobs.DELETE.job in there:
        tasks.append(lambda pair: [jobs.measure_delete(pair, home)])
    return tasks


def _run(scene: Scene, size: int, tasks: Sequence[Task], repeats: int) -> SizeResult:
    _say(f"{size} trees: making the data")
    forest = scene.grow(size)
    taken: list[Measurement] = []
    for number in range(repeats):
        for task in tasks if number % 2 == 0 else reversed(tasks):
            taken += _measure(scene, forest, task)
    return SizeResult(forest.facts, tuple(taken))


def _measure(scene: Scene, forest: Forest, task: Task) -> list[Measurement]:
    with scene.pair(forest) as pair:
        taken = []
        for measurement in task(pair):
            _say(f"{forest.size} trees: {measurement.line} took {measurement.seconds:.2f} s")
            taken.append(measurement)
        return taken


def _say(text: str) -> None:
    print(f"# {text} (load {os.getloadavg()[0]:.1f})", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
