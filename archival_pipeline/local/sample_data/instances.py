"""The rows that every instance leaves: its logs, jobs, errors and case data.

Not here: tasks (``tasks``) and what only a running instance has (``running``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from archival_pipeline.local.sample_data import running, tasks, vocabulary
from archival_pipeline.local.sample_data.forest import ABORTED, CASE
from archival_pipeline.local.sample_data.tasks import WorkItems

if TYPE_CHECKING:
    from datetime import datetime

    from archival_pipeline.local.sample_data.forest import Instance
    from archival_pipeline.local.sample_data.scene import Scene
    from archival_pipeline.local.sample_data.tasks import Chances, Keep, LogPid

ENTER, EXIT, NODE_ABORTED = 0, 1, 2
_TASK_NODES = (3, 5)
_WAITING_AT = 5
_SETS_ENDED, _SETS_RUNNING = 14, 12
_STACK_TRACE = "java.lang.IllegalStateException: no answer\n\tat com.example.Registry.ask(Registry.java:42)"


@dataclass(frozen=True, slots=True)
class Extras:
    """What an instance has on top of the usual; None draws it with the usual chance."""

    job: bool | None = None
    error: bool | None = None
    timer: bool | None = None
    keep_tasks: Keep = "flavour"
    task_chances: Chances = tasks.USUAL
    task_log_pid: LogPid = "own"


USUAL = Extras()


def write_tree(scene: Scene, root: Instance, extras: Extras = USUAL) -> None:
    """Write every row of a tree."""
    if root.process_type == CASE:
        _case_rows(scene, root)
    for instance in root.walk():
        write_instance(scene, instance, extras)
    running.session_rows(scene, root)


def write_instance(scene: Scene, instance: Instance, extras: Extras = USUAL) -> tuple[int, ...]:
    """Write every row of one instance except its session.

    Returns:
        The ids of its tasks.
    """
    items = WorkItems.draw(scene.writer)
    process_log(scene, instance)
    node_log(scene, instance, items)
    variable_log(scene, instance)
    task_ids = tasks.write_tasks(
        scene, instance, items, keep=extras.keep_tasks, chances=extras.task_chances, log_pid=extras.task_log_pid
    )
    if scene.chance(0.25, said=extras.job):
        job(scene, instance, items)
    if scene.chance(0.02, said=extras.error):
        error(scene, instance, items.ask)
    if instance.running:
        running.state_rows(scene, instance, items, timer=scene.chance(0.10, said=extras.timer))
    else:
        _orphans(scene)
    return task_ids


def process_log(scene: Scene, instance: Instance) -> None:
    """Write the one row that makes the instance known."""
    rng, definition = scene.rng, instance.definition
    due = instance.start + timedelta(days=7) if scene.chance(0.05) else None
    scene.writer.add(
        "processinstancelog",
        id=scene.writer.next_id("processinstancelog"),
        correlationkey=instance.key,
        duration=None if instance.end is None else (instance.end - instance.start) // timedelta(milliseconds=1),
        end_date=instance.end,
        externalid=definition.deployment,
        user_identity=rng.choice(vocabulary.WORKERS),
        outcome="cancelled by user" if instance.status == ABORTED and scene.chance(0.5) else None,
        parentprocessinstanceid=instance.parent,
        processid=definition.process_id,
        processinstancedescription=definition.name if scene.chance(0.9) else vocabulary.text(rng),
        processinstanceid=instance.pid,
        processname=definition.name,
        processtype=instance.process_type,
        processversion=definition.version,
        sla_due_date=due,
        slacompliance=0 if due is None else 1 if instance.running else 2,
        start_date=instance.start,
        status=instance.status,
    )


def node_log(scene: Scene, instance: Instance, items: WorkItems, *, since: int = 0) -> None:
    """Write enter and exit of each node that was passed; a call of a child is a node of its own.

    Args:
        scene: the tools.
        instance: whose log.
        items: its work items.
        since: leave out the nodes before this one, as a cleanup by date does.
    """
    finished = not instance.running and instance.status != ABORTED
    passed = len(vocabulary.NODES) if finished else _WAITING_AT
    moments = scene.moments(instance, len(vocabulary.NODES) + 1)
    for position in range(since, passed):
        visit = _visit(instance, position, items)
        _node(scene, instance, visit, ENTER, moments[position])
        _node(scene, instance, visit, EXIT, moments[position + 1])
    if not finished:
        visit = _visit(instance, _WAITING_AT, items)
        _node(scene, instance, visit, ENTER, moments[_WAITING_AT])
        if instance.end is not None:
            _node(scene, instance, visit, NODE_ABORTED, instance.end)
    for position, child in enumerate(instance.children, start=len(vocabulary.NODES)):
        visit = _Visit(position, *vocabulary.SUB_PROCESS_NODE, child.definition.name, "_3", None, child.pid)
        _node(scene, instance, visit, ENTER, child.start)
        if child.end is not None:
            _node(scene, instance, visit, EXIT, child.end)


@dataclass(frozen=True, slots=True)
class _Visit:
    """One node of one instance."""

    position: int
    node: str
    kind: str
    name: str
    before: str | None
    work_item: int | None
    child: int | None = None


def _visit(instance: Instance, position: int, items: WorkItems) -> _Visit:
    node, title, kind = vocabulary.NODES[position]
    name = instance.definition.tasks[_TASK_NODES.index(position)] if position in _TASK_NODES else title
    before = vocabulary.NODES[position - 1][0] if position else None
    return _Visit(position, node, kind, name, before, items.of_node(node))


def _node(scene: Scene, instance: Instance, visit: _Visit, event: int, moment: datetime) -> None:
    scene.writer.add(
        "nodeinstancelog",
        id=scene.writer.next_id("nodeinstancelog"),
        connection=visit.before,
        log_date=moment,
        externalid=instance.definition.deployment,
        nodeid=visit.node,
        nodeinstanceid=str(visit.position),
        nodename=visit.name,
        nodetype=visit.kind,
        processid=instance.definition.process_id,
        processinstanceid=instance.pid,
        slacompliance=0,
        type=event,
        workitemid=visit.work_item,
        referenceid=visit.child,
    )


def variable_log(scene: Scene, instance: Instance) -> None:
    """Write one row per change: each variable once, then some of them again."""
    rng, count = scene.rng, _SETS_RUNNING if instance.running else _SETS_ENDED
    prefix = "caseFile_" if instance.process_type == CASE else "_11:" if scene.chance(0.03) else ""
    moments = scene.moments(instance, count)
    changed = [*vocabulary.VARIABLES, *rng.sample(vocabulary.VARIABLES, count - len(vocabulary.VARIABLES))]
    values: dict[str, str] = {}
    for moment, variable in zip(moments, changed, strict=True):
        new = vocabulary.value(rng, variable, 1 if variable in values else 0)
        scene.writer.add(
            "variableinstancelog",
            id=scene.writer.next_id("variableinstancelog"),
            log_date=moment,
            externalid=instance.definition.deployment,
            oldvalue=values.get(variable, ""),
            processid=instance.definition.process_id,
            processinstanceid=instance.pid,
            value=new,
            variableid=prefix + variable,
            variableinstanceid=prefix + variable,
        )
        values[variable] = new


def job(scene: Scene, instance: Instance, items: WorkItems, *, status: str | None = None) -> None:
    """Write one asynchronous job with its answer or its error."""
    rng, writer = scene.rng, scene.writer
    status = status or rng.choices(("DONE", "ERROR", "CANCELLED"), (90, 7, 3))[0]
    job_id = writer.next_id("requestinfo")
    answered = status == "DONE"
    writer.add(
        "requestinfo",
        id=job_id,
        commandname="com.example.command.AskRegistry",
        deploymentid=instance.definition.deployment,
        executions=1,
        businesskey=f"{instance.pid}:{items.ask}",
        message="Ready to execute" if not answered else None,
        owner=None,
        priority=5,
        processinstanceid=instance.pid,
        requestdata=scene.blob(),
        responsedata=scene.blob() if answered else None,
        retries=3,
        status=status,
        timestamp=scene.moments(instance, 4)[1],
    )
    if status == "ERROR":
        writer.add(
            "errorinfo",
            id=writer.next_id("errorinfo"),
            message="no answer from the registry",
            stacktrace=_STACK_TRACE,
            timestamp=scene.moments(instance, 4)[2],
            request_id=job_id,
        )


def error(scene: Scene, instance: Instance, work_item: int) -> None:
    """Write one error that somebody has acknowledged."""
    moment = scene.moments(instance, 3)[1]
    scene.writer.add(
        "executionerrorinfo",
        id=scene.writer.next_id("executionerrorinfo"),
        error_ack=1,
        error_ack_at=moment + timedelta(minutes=5),
        error_ack_by="Administrator",
        activity_id=4,
        activity_name="Ask registry",
        deployment_id=instance.definition.deployment,
        error_info=scene.writer.clob(f"{_STACK_TRACE}\n\twork item {work_item}"),
        error_date=moment,
        error_id=vocabulary.unique_text(scene.rng),
        error_msg="no answer",
        init_activity_id=4,
        process_id=instance.definition.process_id,
        process_inst_id=instance.pid,
        error_type="Process",
    )


def _case_rows(scene: Scene, root: Instance) -> None:
    writer, rng = scene.writer, scene.rng
    for role, entity, kind in (("owner", rng.choice(vocabulary.WORKERS), 1), ("helper", "clerks", 2)):
        writer.add(
            "caseroleassignmentlog",
            id=writer.next_id("caseroleassignmentlog"),
            caseid=root.case_id,
            entityid=entity,
            processinstanceid=root.pid,
            rolename=role,
            type=kind,
        )
    for item in ("customerId", "amount", "note"):
        writer.add(
            "casefiledatalog",
            id=writer.next_id("casefiledatalog"),
            casedefid=root.definition.process_id,
            caseid=root.case_id,
            itemname=item,
            itemtype="java.lang.String",
            itemvalue=vocabulary.value(rng, item, 0),
            lastmodified=root.start,
            lastmodifiedby=rng.choice(vocabulary.WORKERS),
        )


def _orphans(scene: Scene) -> None:
    """Leave the large objects that the engine's updates dropped: each update of a value writes a new one."""
    if scene.writer.uses_large_objects:
        for _ in range(scene.rng.randint(*scene.profile.orphans)):
            scene.writer.orphan(scene.content())
