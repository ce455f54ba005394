"""Measures what it costs to archive before removal, and the way back, beside a removal that keeps nothing.

``python -m archival_pipeline_tests.bench_cleanup.archiving``: copies of one database on one server, the archive on a
second, in the same run. Each contestant is checked: what was due is gone, or back.
"""

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
from archival_pipeline.history.cleanup.archive import opening, service
from archival_pipeline.history.cleanup.archive.opening import Target
from archival_pipeline.history.cleanup.running import Surroundings, clean
from archival_pipeline.local.postgres import EmbeddedPostgres
from archival_pipeline_tests.support.camunda import camunda_settings
from archival_pipeline_tests.support.camunda_cleanup import cleanup_settings, fill

if TYPE_CHECKING:
    from archival_pipeline.local.camunda_data import Scene
    from archival_pipeline.settings import DatabaseSettings

_COUNT = "SELECT count(*) FROM act_hi_detail WHERE root_proc_inst_id_ = ANY(%s)"


def _around(scene: Scene) -> Surroundings:
    moment = scene.now.replace(tzinfo=UTC)
    return Surroundings(clock=lambda: moment, sleep=time.sleep)


def _details(engine: DatabaseSettings, scene: Scene) -> int:
    with connect(engine, purpose="bench", autocommit=True) as session:
        row = session.execute(_COUNT, (list(scene.roots),)).fetchone()
    return int(row[0]) if row else 0


def _removal(engine: DatabaseSettings, scene: Scene, lanes: int, backup: DatabaseSettings | None) -> float:
    """Seconds of a cleanup, with or without an archive."""
    settings = camunda_settings(engine)
    if backup is not None:
        opening.migrate(settings, backup)
    started = time.perf_counter()
    outcome = clean(
        settings,
        cleanup_settings(historyCleanupDegreeOfParallelism=str(lanes)),
        _around(scene),
        target=Target(backup, "bench") if backup else None,
    )
    seconds = time.perf_counter() - started
    assert (outcome.left, outcome.set_aside, _details(engine, scene)) == (0, {}, 0)
    return seconds


def _restore(engine: DatabaseSettings, scene: Scene, backup: DatabaseSettings, expected: int) -> float:
    """Seconds of bringing everything back."""
    wanted = service.Wanted(everything=True)
    started = time.perf_counter()
    returned = service.restore(camunda_settings(engine), cleanup_settings(), _around(scene), Target(backup, ""), wanted)
    seconds = time.perf_counter() - started
    assert (returned.refused, _details(engine, scene)) == ({}, expected)
    return seconds


def _measure(primary: EmbeddedPostgres, other: EmbeddedPostgres, scene: Scene, expected: int) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for lanes in (1, 2):
        engine = primary.create_database(f"plain_{lanes}", "template")
        seconds[f"removed, lanes: {lanes}"] = _removal(engine, scene, lanes, None)
        primary.drop_database(engine.database)
        engine, backup = primary.create_database(f"kept_{lanes}", "template"), other.create_database(f"kept_{lanes}")
        seconds[f"archived, lanes: {lanes}"] = _removal(engine, scene, lanes, backup)
        if lanes == 1:
            seconds["restored"] = _restore(engine, scene, backup, expected)
        primary.drop_database(engine.database)
        other.drop_database(backup.database)
    return seconds


def main() -> int:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--hierarchies", type=int, default=4000)
    given = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="archival-bench-cleanup-"))
    try:
        with EmbeddedPostgres(folder / "camunda") as primary, EmbeddedPostgres(folder / "backup") as other:
            template = primary.create_database("template")
            scene = fill(template, hierarchies=given.hierarchies, with_traps=False)
            with connect(template, purpose="bench", limits=Limits(statement_timeout=0), autocommit=True) as session:
                session.execute("VACUUM ANALYZE")
                session.execute("CHECKPOINT")
            seconds = _measure(primary, other, scene, _details(template, scene))
    finally:
        shutil.rmtree(folder)
    rows = sum(map(len, scene.due.values()))
    print(f"{datetime.now(UTC):%Y-%m-%d} due: {len(scene.roots)} hierarchies, {rows} rows")
    print(f"{'':20}{'seconds':>9}{'hierarchies/s':>15}{'rows/s':>10}{'ratio to removed, one lane':>28}")
    for name, taken in seconds.items():
        ratio = seconds["removed, lanes: 1"] / taken
        print(f"{name:20}{taken:9.2f}{len(scene.roots) / taken:15.0f}{rows / taken:10.0f}{ratio:28.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
