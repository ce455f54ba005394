"""The rows of human tasks: audit and events for every task, the task itself where the engine still keeps it.

Not here: what hangs below a deadline (``deadlines``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from archival_pipeline.local.sample_data import deadlines, parts, vocabulary
from archival_pipeline.local.sample_data.forest import ABORTED

if TYPE_CHECKING:
    from datetime import datetime

    from archival_pipeline.local.sample_data.forest import Instance
    from archival_pipeline.local.sample_data.scene import Scene
    from archival_pipeline.local.sample_data.writer import Writer

Keep = Literal["flavour", "always"]
# What events and variables of a task say as their instance.
LogPid = int | None | Literal["own"]
_INPUT, _OUTPUT = 0, 1
_PREVIOUS = {"Ready": 0, "Reserved": 1, "InProgress": 2, "Completed": 3, "Exited": 2}
_EVENTS = {
    "Completed": ("ADDED", "CLAIMED", "STARTED", "UPDATED", "COMPLETED"),
    "Exited": ("ADDED", "CLAIMED", "EXITED"),
    "InProgress": ("ADDED", "STARTED"),
    "Reserved": ("ADDED", "CLAIMED"),
    "Ready": ("ADDED", "RELEASED"),
}
_OPEN = ("Ready", "Reserved", "InProgress")
_OTHER_PEOPLE = (
    "delegation_delegates",
    "peopleassignments_exclowners",
    "peopleassignments_recipients",
    "peopleassignments_stakeholders",
)


@dataclass(frozen=True, slots=True)
class Chances:
    """How often a task has each addition."""

    comment: float = 0.20
    attachment: float = 0.05
    deadline: float = 0.10
    other_people: float = 0.03


USUAL = Chances()
ALWAYS = Chances(1.0, 1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class WorkItems:
    """Ids of the work items of one instance: its two tasks, the question and the message."""

    first_task: int
    second_task: int
    ask: int
    tell: int

    @classmethod
    def draw(cls, writer: Writer) -> WorkItems:
        """Take four ids."""
        return cls(*(writer.next_id("workiteminfo") for _ in range(4)))

    def of_node(self, node: str) -> int | None:
        """Return the work item of a node."""
        return {"_4": self.first_task, "_6": self.second_task, "_5": self.ask, "_9": self.tell}.get(node)


@dataclass(frozen=True, slots=True)
class Task:
    """One planned task. ``pid`` is -1 for a task that belongs to no process."""

    id: int
    name: str
    work_item: int
    created: datetime
    changed: datetime
    status: str
    owner: str
    pid: int
    process_id: str | None
    deployment: str | None
    session: int
    key: str | None

    @property
    def done(self) -> bool:
        """Whether it was completed, so that it has output."""
        return self.status == "Completed"


def write_tasks(
    scene: Scene,
    instance: Instance,
    items: WorkItems,
    *,
    keep: Keep = "flavour",
    chances: Chances = USUAL,
    log_pid: LogPid = "own",
) -> tuple[int, ...]:
    """Write the two tasks of an instance; return their ids."""
    kept = keep == "always" or scene.profile.flavour == "embedded" or instance.running
    moments = scene.moments(instance, len(vocabulary.NODES) + 1)
    ids = []
    for position, item in enumerate((items.first_task, items.second_task)):
        status = "Completed"
        if position == 1 and instance.running:
            status = scene.rng.choice(_OPEN)
        elif position == 1 and instance.status == ABORTED:
            status = "Exited"
        begin = 3 + 2 * position
        task = Task(
            id=scene.writer.next_id("task"),
            name=instance.definition.tasks[position],
            work_item=item,
            created=moments[begin],
            changed=moments[begin + 1],
            status=status,
            owner=scene.rng.choice(vocabulary.WORKERS),
            pid=instance.pid,
            process_id=instance.definition.process_id,
            deployment=instance.definition.deployment,
            session=instance.session or 0,
            key=instance.key,
        )
        write_logs(scene, task, pid=log_pid)
        if kept:
            write_task(scene, task, chances)
        ids.append(task.id)
    return tuple(ids)


def write_logs(scene: Scene, task: Task, *, pid: LogPid = "own") -> None:
    """Write audit, summary, events and variables of a task.

    Args:
        scene: the tools.
        task: whose rows.
        pid: what events and variables say as their instance; some engines write null.
    """
    writer, said = scene.writer, task.pid if pid == "own" else pid
    writer.add(
        "audittaskimpl",
        id=writer.next_id("audittaskimpl"),
        activationtime=task.created,
        actualowner=task.owner,
        createdby="Administrator",
        createdon=task.created,
        deploymentid=task.deployment,
        description=task.name,
        name=task.name,
        parentid=-1,
        priority=0,
        processid=task.process_id,
        processinstanceid=task.pid,
        processsessionid=task.session,
        status=task.status,
        taskid=task.id,
        workitemid=task.work_item,
        lastmodificationdate=task.changed,
    )
    if scene.profile.flavour == "kie_server":
        _summary(scene, task)
    _events(scene, task, said)
    _variables(scene, task, said)


def _summary(scene: Scene, task: Task) -> None:
    ended = None if task.status in _OPEN else task.changed
    scene.writer.add(
        "bamtasksummary",
        pk=scene.writer.next_id("bamtasksummary"),
        createddate=task.created,
        duration=None if ended is None else int((ended - task.created).total_seconds() * 1000),
        enddate=ended,
        processinstanceid=task.pid,
        startdate=task.created,
        status=task.status,
        taskid=task.id,
        taskname=task.name,
        userid=task.owner,
        optlock=2,
    )


def _events(scene: Scene, task: Task, pid: int | None) -> None:
    kinds = _EVENTS[task.status]
    step = (task.changed - task.created) / len(kinds)
    for position, kind in enumerate(kinds):
        scene.writer.add(
            "taskevent",
            id=scene.writer.next_id("taskevent"),
            logtime=task.created + step * position,
            message=None,
            processinstanceid=pid,
            taskid=task.id,
            type=kind,
            userid=task.owner if position else task.process_id,
            optlock=0,
            workitemid=task.work_item,
            correlationkey=task.key,
            processtype=1,
            currentowner=task.owner if position else None,
        )


def _variables(scene: Scene, task: Task, pid: int | None) -> None:
    writer, rng = scene.writer, scene.rng
    pairs = [(_INPUT, name, task.created) for name in vocabulary.TASK_INPUTS]
    if task.done:
        pairs += [(_OUTPUT, name, task.changed) for name in vocabulary.TASK_OUTPUTS]
    for kind, name, moment in pairs:
        writer.add(
            "taskvariableimpl",
            id=writer.next_id("taskvariableimpl"),
            modificationdate=moment,
            name=name,
            processid=task.process_id,
            processinstanceid=pid,
            taskid=task.id,
            type=kind,
            value=vocabulary.value(rng, name, 1),
        )


def write_task(scene: Scene, task: Task, chances: Chances = USUAL, **other: object) -> None:
    """Write the task itself with its texts, contents and people; ``other`` replaces single columns."""
    values = _contents(scene, task, other) | _task_values(scene, task) | other
    scene.writer.add("task", **values)
    for column in ("task_names_id", "task_subjects_id", "task_descriptions_id"):
        parts.write_text(scene, column, task.id, task.name)
    parts.write_person(scene, "peopleassignments_potowners", task.id, scene.rng.choice(vocabulary.GROUPS))
    parts.write_person(scene, "peopleassignments_bas", task.id, "Administrator")
    parts.write_person(scene, "peopleassignments_bas", task.id, "Administrators")
    if scene.chance(chances.comment):
        write_comment(scene, task, vocabulary.text(scene.rng))
    if scene.chance(chances.attachment):
        write_attachment(scene, task, parts.write_content(scene, scene.rng.randbytes(4_096)))
    for table in _OTHER_PEOPLE:
        if scene.chance(chances.other_people):
            parts.write_person(scene, table, task.id, scene.rng.choice(vocabulary.USERS))
    if scene.chance(chances.deadline):
        deadlines.write_deadlines(scene, task, complete=chances.deadline == 1.0)


def _contents(scene: Scene, task: Task, other: dict[str, object]) -> dict[str, object]:
    """Write input and output, unless the caller has its own idea of them; -1 and 0 both mean none."""
    values: dict[str, object] = {"faultcontentid": scene.rng.choice((-1, 0))}
    if "documentcontentid" not in other:
        values["documentcontentid"] = parts.write_content(scene)
    if "outputcontentid" not in other:
        values["outputcontentid"] = parts.write_content(scene) if task.done else scene.rng.choice((-1, 0))
    return values


def _task_values(scene: Scene, task: Task) -> dict[str, object]:
    rng = scene.rng
    return {
        "id": task.id,
        "archived": 0,
        "allowedtodelegate": None,
        "description": task.name,
        "formname": f"{task.name}-form",
        "name": task.name,
        "priority": rng.randrange(10),
        "subtaskstrategy": "NoAction",
        "subject": vocabulary.text(rng),
        "activationtime": task.created,
        "createdon": task.created,
        "deploymentid": task.deployment,
        "documentaccesstype": 0,
        "documenttype": "java.util.HashMap",
        "outputaccesstype": 0 if task.done else None,
        "outputtype": "java.util.HashMap" if task.done else None,
        "parentid": -1,
        "previousstatus": _PREVIOUS[task.status],
        "processid": task.process_id,
        "processinstanceid": task.pid,
        "processsessionid": task.session,
        "skipable": scene.chance(0.5),
        "status": task.status,
        "workitemid": task.work_item,
        "optlock": 3,
        "taskinitiator_id": None,
        "actualowner_id": None if task.status == "Ready" else task.owner,
        "createdby_id": "Administrator",
    }


def write_comment(scene: Scene, task: Task, text: str | None, *, stored: str | None = None) -> int:
    """Write one comment; return its id. ``stored`` replaces what the text column holds."""
    comment_id = scene.writer.next_id("task_comment")
    scene.writer.add(
        "task_comment",
        id=comment_id,
        addedat=task.changed,
        text=stored if stored is not None or text is None else scene.writer.clob(text),
        addedby_id=task.owner,
        taskdata_comments_id=task.id,
    )
    return comment_id


def write_attachment(scene: Scene, task: Task, content_id: int) -> None:
    """Write one attachment that points to a content."""
    scene.writer.add(
        "attachment",
        id=scene.writer.next_id("attachment"),
        accesstype=0,
        attachedat=task.changed,
        attachmentcontentid=content_id,
        contenttype="application/pdf",
        name="scan.pdf",
        attachment_size=4_096,
        attachedby_id=task.owner,
        taskdata_attachments_id=task.id,
    )
