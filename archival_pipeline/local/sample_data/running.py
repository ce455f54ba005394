"""The rows that only a running instance has: its state, keys, work item, timers and session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archival_pipeline.local.sample_data import vocabulary

if TYPE_CHECKING:
    from archival_pipeline.local.sample_data.forest import Instance
    from archival_pipeline.local.sample_data.scene import Scene
    from archival_pipeline.local.sample_data.tasks import WorkItems


def state_rows(scene: Scene, instance: Instance, items: WorkItems, *, timer: bool) -> None:
    """Write what the engine needs to go on with an instance that waits at its second task."""
    process_state(scene, instance)
    for child in instance.children:
        if child.running:
            event(scene, instance.pid, f"processInstanceCompleted:{child.pid}")
    if scene.chance(0.3):
        event(scene, instance.pid, "Message-customerReplied")
    if timer:
        event(scene, instance.pid, "timer")
    if timer and instance.session is not None:
        timer_mapping(scene, instance.pid, instance.session)
    correlation(scene, instance.pid, instance.key)
    work_item(scene, instance, items.second_task)
    if instance.session is not None:
        _mapping(scene, str(instance.pid), instance.session, instance.definition.deployment)


def session_rows(scene: Scene, root: Instance) -> None:
    """Write the session of a tree, and for a case the mapping of its case id."""
    holder = next((instance for instance in root.walk() if instance.session is not None), None)
    if holder is None or holder.session is None:
        return
    session(scene, holder.session, holder)
    if root.case_id is not None:
        _mapping(scene, root.case_id, holder.session, root.definition.deployment)


def process_state(scene: Scene, instance: Instance) -> None:
    """Write the row that holds the live state."""
    scene.writer.add(
        "processinstanceinfo",
        instanceid=instance.pid,
        lastmodificationdate=scene.moments(instance, 3)[1],
        lastreaddate=scene.moments(instance, 3)[1],
        processid=instance.definition.process_id,
        processinstancebytearray=scene.blob(),
        startdate=instance.start,
        state=1,
        optlock=4,
    )


def event(scene: Scene, pid: int, element: str) -> None:
    """Write one thing that an instance waits for."""
    scene.writer.add("eventtypes", instanceid=pid, element=element)


def correlation(scene: Scene, pid: int, key: str) -> None:
    """Write the key under which an instance is found, and its one property."""
    key_id = scene.writer.next_id("correlationkeyinfo")
    scene.writer.add("correlationkeyinfo", keyid=key_id, name=key, processinstanceid=pid, optlock=0)
    scene.writer.add(
        "correlationpropertyinfo",
        propertyid=scene.writer.next_id("correlationpropertyinfo"),
        name=None,
        value=key,
        optlock=0,
        correlationkey_keyid=key_id,
    )


def work_item(scene: Scene, instance: Instance, item: int) -> None:
    """Write one pending work item."""
    scene.writer.add(
        "workiteminfo",
        workitemid=item,
        creationdate=scene.moments(instance, 3)[1],
        name="Human Task",
        processinstanceid=instance.pid,
        state=0,
        optlock=1,
        workitembytearray=scene.blob(),
    )


def timer_mapping(scene: Scene, pid: int | None, session_id: int) -> None:
    """Write the link from a session's timer to the scheduler; rows of older engines have no instance."""
    timer_id = scene.writer.next_id("timermappinginfo")
    scene.writer.add(
        "timermappinginfo",
        id=timer_id,
        externaltimerid=f"timer-{timer_id}",
        kiesessionid=session_id,
        processinstanceid=pid,
        timerid=1,
        uuid=vocabulary.unique_text(scene.rng),
        info=scene.blob(),
    )


def session(scene: Scene, session_id: int, instance: Instance) -> None:
    """Write one engine session."""
    scene.writer.add(
        "sessioninfo",
        id=session_id,
        lastmodificationdate=scene.moments(instance, 3)[1],
        rulesbytearray=scene.blob(),
        startdate=instance.start,
        optlock=2,
    )


def _mapping(scene: Scene, context: str, session_id: int, deployment: str) -> None:
    scene.writer.add(
        "contextmappinginfo",
        mappingid=scene.writer.next_id("contextmappinginfo"),
        context_id=context,
        ksession_id=session_id,
        owner_id=deployment,
        optlock=0,
    )
