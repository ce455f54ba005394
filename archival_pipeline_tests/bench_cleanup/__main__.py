"""Fills a database, copies it for each contestant, measures, prints a table, and looks for orphans at every commit."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from archival_pipeline.database.connections import Limits, connect
from archival_pipeline.history.cleanup.orphans import find_orphans
from archival_pipeline.history.cleanup.running import Surroundings, clean
from archival_pipeline.local.postgres import EmbeddedPostgres
from archival_pipeline_tests.bench_cleanup import engines_own
from archival_pipeline_tests.support.camunda import camunda_settings
from archival_pipeline_tests.support.camunda_cleanup import cleanup_settings, fill

if TYPE_CHECKING:
    from collections.abc import Callable

    from archival_pipeline.local.camunda_data import Scene
    from archival_pipeline.settings_camunda import CamundaSettings

_UNLIMITED = Limits(statement_timeout=0)


def _theirs(settings: CamundaSettings, scene: Scene, committed: Callable[[], None]) -> None:
    with connect(settings, purpose="bench", limits=_UNLIMITED, autocommit=True) as session:
        engines_own.clean(session, scene.now, 500, committed)


def _ours(lanes: int) -> Callable[[CamundaSettings, Scene, Callable[[], None]], None]:
    def run(settings: CamundaSettings, scene: Scene, committed: Callable[[], None]) -> None:
        moment = scene.now.replace(tzinfo=UTC)
        around = Surroundings(clock=lambda: moment, sleep=time.sleep, progress=lambda _: committed())
        outcome = clean(settings, cleanup_settings(historyCleanupDegreeOfParallelism=str(lanes)), around)
        assert outcome.left == 0

    return run


CONTESTANTS = {"engine's own rule": _theirs, "ours, 1 lane": _ours(1), "ours, 2 lanes": _ours(2)}


def _template(cluster: EmbeddedPostgres, name: str, hierarchies: int) -> Scene:
    settings = cluster.create_database(name)
    scene = fill(settings, hierarchies=hierarchies, with_traps=False)
    with connect(settings, purpose="bench", limits=_UNLIMITED, autocommit=True) as session:
        session.execute("VACUUM ANALYZE")
        session.execute("CHECKPOINT")
    return scene


def _measure(cluster: EmbeddedPostgres, scene: Scene, template: str, repeats: int) -> dict[str, float]:
    best: dict[str, float] = {}
    for turn in range(repeats):
        for number, (name, contestant) in enumerate(CONTESTANTS.items()):
            settings = camunda_settings(cluster.create_database(f"speed_{turn}_{number}", template))
            started = time.perf_counter()
            contestant(settings, scene, lambda: None)
            seconds = time.perf_counter() - started
            best[name] = min(seconds, best.get(name, seconds))
            with connect(settings, purpose="bench", autocommit=True) as session:
                left = session.execute(
                    "SELECT count(*) FROM act_hi_detail WHERE root_proc_inst_id_ = ANY(%s)", (list(scene.roots),)
                ).fetchone()
            assert left == (0,), f"{name} left {left} rows of due hierarchies"
            cluster.drop_database(settings.database)
    return best


def _most_orphans(cluster: EmbeddedPostgres, scene: Scene, template: str) -> dict[str, int]:
    most: dict[str, int] = {}
    for number, (name, contestant) in enumerate(CONTESTANTS.items()):
        settings = camunda_settings(cluster.create_database(f"orphans_{number}", template))
        seen: list[int] = []
        contestant(settings, scene, lambda settings=settings, seen=seen: seen.append(find_orphans(settings).total))  # type: ignore[misc]
        most[name] = max(seen)
    return most


def main() -> int:
    """Measure and print; exit code 1 if the product left an orphan at a commit."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--hierarchies", type=int, default=4000)
    arguments.add_argument("--repeats", type=int, default=2)
    given = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="archival-bench-cleanup-"))
    try:
        with EmbeddedPostgres(folder / "camunda") as cluster:
            scene = _template(cluster, "big", given.hierarchies)
            seconds = _measure(cluster, scene, "big", given.repeats)
            small = _template(cluster, "small", max(300, given.hierarchies // 4))
            orphans = _most_orphans(cluster, small, "small")
    finally:
        shutil.rmtree(folder)
    rows = sum(map(len, scene.due.values()))
    print(
        f"{datetime.now(UTC):%Y-%m-%d} due: {len(scene.roots)} hierarchies, {rows} rows of {sum(scene.rows.values())}"
    )
    print(f"{'':20}{'seconds':>9}{'hierarchies/s':>15}{'rows/s':>10}{'ratio':>7}{'most orphans at a commit':>26}")
    base = seconds["engine's own rule"]
    for name, taken in seconds.items():
        rate, per_row = len(scene.roots) / taken, rows / taken
        print(f"{name:20}{taken:9.2f}{rate:15.0f}{per_row:10.0f}{base / taken:7.2f}{orphans[name]:26d}")
    return int(any(count for name, count in orphans.items() if name.startswith("ours")))


if __name__ == "__main__":
    sys.exit(main())
