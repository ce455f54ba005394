"""Two trees that together have a row in every table that moves with an instance."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from archival_pipeline.local.sample_data import instances, running, tasks, vocabulary
from archival_pipeline.local.sample_data.forest import ACTIVE, COMPLETED

if TYPE_CHECKING:
    from archival_pipeline.local.sample_data.forest import Instance, Planner
    from archival_pipeline.local.sample_data.scene import Scene

LIVE_ONLY = ("processinstanceinfo", "eventtypes", "workiteminfo", "contextmappinginfo", "sessioninfo")
"""Tables of which an ended tree can have no row: either one of them shows that the engine still holds it."""

_EXTRAS = instances.Extras(job=True, error=True, timer=True, keep_tasks="always", task_chances=tasks.ALWAYS)


def write(scene: Scene, planner: Planner, *, ended: bool) -> tuple[int, ...]:
    """Collect a process tree with a child and a case; return the ids of all members."""
    pids: list[int] = []
    for definition in (vocabulary.ROOTS[0], vocabulary.CASE):
        root = planner.tree(
            definition,
            status=COMPLETED if ended else ACTIVE,
            end=scene.now - timedelta(days=120),
            depth=1,
        )
        instances.write_tree(scene, root, _EXTRAS)
        instances.job(scene, root, tasks.WorkItems.draw(scene.writer), status="ERROR")
        if ended:
            _leftovers(scene, root)
        else:
            _add_waiting(scene, root)
        pids += [instance.pid for instance in root.walk()]
    return tuple(pids)


def _leftovers(scene: Scene, root: Instance) -> None:
    """Rows that the engine would have removed, but that show no life: keys, and the link of a timer."""
    running.correlation(scene, root.pid, root.key)
    running.timer_mapping(scene, root.pid, scene.writer.next_id("sessioninfo"))


def _add_waiting(scene: Scene, root: Instance) -> None:
    """A job that is still to run, and two equal events, which the table without a key allows."""
    instances.job(scene, root, tasks.WorkItems.draw(scene.writer), status="QUEUED")
    for _ in range(2):
        running.event(scene, root.pid, "Message-paymentArrived")
