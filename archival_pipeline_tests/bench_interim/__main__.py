"""``make bench-interim``: keys a second of a whole cleanup, beside a plain ``SCAN`` + ``DEL`` loop over the same data.

Keys are counted by Redis itself, before and after, on both sides: index sets that vanish count, keyspace sets that the
loop leaves wrong do not. Prints, besides the ratio: whether exactly the right keys are gone, whether the others are
unchanged, the longest wait of another client of Redis meanwhile, and the memory of this process. It fails if a key is
wrong, never for a time.
"""

from __future__ import annotations

import argparse
import gc
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import psutil

from archival_pipeline_tests.bench_interim.bystander import Bystander
from archival_pipeline_tests.bench_interim.scene import Scene, build
from archival_pipeline_tests.support.interim import FORMS, PAYLOADS

_MEBIBYTE = 1 << 20


def processor_seconds(scene: Scene) -> float:
    """What this process and the Redis server have used of the processors so far: no neighbour adds to it."""
    server = scene.redis_server.process
    assert server is not None
    spent = [psutil.Process(pid).cpu_times() for pid in (None, server.pid)]
    return sum(times.user + times.system for times in spent)


def settled() -> None:
    """Take the scene, which is large, out of the collector's rounds: neither way should pay for it."""
    gc.collect()
    gc.freeze()


def plain_loop(scene: Scene) -> tuple[int, float]:
    """What anybody would write first: look at every key, and delete those of processes that are over, one by one.

    It knows beforehand which processes are over and which keys their variables name; nobody asks the engine.
    """
    over = {process.process_id for process in scene.processes if process.over}
    starts = {f"{s}:{k}" for p in scene.processes if p.over for s, k in p.keys if "process/" not in k[:8]}
    client = scene.stage.data.redis
    deleted = 0
    began = time.perf_counter()
    for space in (FORMS, PAYLOADS):
        for key in client.scan_iter(match=f"{space}:*"):
            owner = key.split("/")[1] if key.startswith(f"{FORMS}:process/") else key.rpartition(":")[2]
            if owner in over or key in starts:
                deleted += client.delete(key)
    return deleted, time.perf_counter() - began


def measured(folder: Path, amount: int, seed: int) -> tuple[str, list[str]]:
    """Build the scene twice and measure both ways."""
    scene = build(folder / "plain", amount, seed)
    with scene.stack, Bystander(scene.redis_server.port) as plain_bystander:
        settled()
        plain_used = processor_seconds(scene)
        plain, plain_seconds = plain_loop(scene)
        plain_used = processor_seconds(scene) - plain_used
    scene = build(folder / "ours", amount, seed)
    faults: list[str] = []
    with scene.stack:
        data = scene.stage.data
        gone = scene.expected_gone()
        over = {f"{FORMS}:process-instance-id:{process.process_id}" for process in scene.processes if process.over}
        kept = data.names() - gone - over - {FORMS, PAYLOADS}
        before = data.digests(kept)
        settled()
        memory, there = psutil.Process().memory_info().rss, data.redis.dbsize()
        with Bystander(scene.redis_server.port) as bystander:
            used = processor_seconds(scene)
            began = time.perf_counter()
            reports = scene.stage.clean(page=2_000)
            seconds = time.perf_counter() - began
            used = processor_seconds(scene) - used
        grown = psutil.Process().memory_info().rss - memory
        removed = sum(reports["redis"].removed.values())
        left = data.names()
        vanished = there - data.redis.dbsize()
        if left & (gone | over) or removed != len(gone):
            faults.append(f"{len(left & (gone | over))} keys of finished processes are still there; {removed} removed")
        if data.digests(kept) != before:
            faults.append("keys of running processes changed")
        if data.redis.scard(FORMS) != sum(1 for key in kept if key.startswith(f"{FORMS}:") and "-id:" not in key):
            faults.append("the keyspace set does not list what is there")
    rates = vanished / seconds, plain / plain_seconds
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    lines = [
        f"processes              {amount:,}, half of them over",
        f"plain SCAN + DEL       {plain:,} keys in {plain_seconds:.1f} s: {rates[1]:,.0f} keys/s",
        f"cleanup                {vanished:,} keys in {seconds:.1f} s: {rates[0]:,.0f} keys/s",
        (
            f"ratio                  {rates[0] / rates[1]:.1f} by the clock, "
            f"{(vanished / used) / (plain / plain_used):.1f} by processor time of client and Redis"
        ),
        f"bystander, plain loop  {plain_bystander}",
        f"bystander, cleanup     {bystander}",
        f"memory                 {grown / _MEBIBYTE:+.0f} MiB during the cleanup, {peak:.0f} MiB with the scene",
        f"exactly those gone     {'no: ' + '; '.join(faults) if faults else 'yes, and the rest unchanged'}",
    ]
    return "\n".join(lines), faults


def main() -> int:
    """Measure, print, and say by the exit code whether the keys are right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-interim-"))
    try:
        text, faults = measured(folder, arguments.processes, arguments.seed)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(text)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
