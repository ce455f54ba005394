"""The oddities of real engine databases, one tree or row each.

A trap with a sound parent chain is also one of the ``facts``; every trap is listed under its name, with the process
instance ids that show it (task ids where there is no instance).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from archival_pipeline.local.sample_data import instances, parts, running, tasks, vocabulary
from archival_pipeline.local.sample_data.forest import ACTIVE, COMPLETED, Instance, Planner, fact
from archival_pipeline.local.sample_data.instances import Extras
from archival_pipeline.local.sample_data.profile import Obstacle, TreeFact
from archival_pipeline.local.sample_data.tasks import Task, WorkItems

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from archival_pipeline.local.sample_data.scene import Scene

_KEPT = Extras(job=False, error=False, keep_tasks="always")
_ORDER = vocabulary.ROOTS[0]


class Traps:
    """Writes the traps of one forest.

    Attributes:
        facts: the trees among them.
        named: name of the trap -> process instance ids.
    """

    def __init__(self, scene: Scene, planner: Planner) -> None:
        self._scene = scene
        self._planner = planner
        self._writer = scene.writer
        days = (scene.profile.oldest_days + scene.profile.newest_days) / 2
        self._end = scene.now - timedelta(hours=int(days * 24))
        self.facts: list[TreeFact] = []
        self.named: dict[str, tuple[int, ...]] = {}

    def write_all(self, connection: psycopg.Connection[Any]) -> None:
        """Collect every trap that the mode of the schema allows."""
        for trap in self._all():
            trap()
        taken = {row[0] for row in connection.execute("SELECT id FROM content WHERE id IN (-1, 0)")}
        for content_id in sorted({-1, 0} - taken):
            # Rows that a join over «no content» would take along.
            self._writer.add("content", id=content_id, content=self._scene.blob())

    def _all(self) -> tuple[Callable[[], None], ...]:
        return (
            self._roots_without_parent,
            self._parent_cycles,
            self._null_task_pids,
            self._standalone_tasks,
            self._no_contents,
            self._odd_task_values,
            self._reused_key,
            self._empty_values,
            self._missing_large_objects,
            self._numeric_comments,
            self._duplicate_events,
            self._log_gone,
            self._logs_half_deleted,
            self._awkward_texts,
            self._obstacles,
            self._running_below,
            self._case_open,
            self._rows_without_pid,
            self._shared_session,
            self._orphaned_content,
        )

    # -- plans ---------------------------------------------------------------------------------------------------

    def _plan(self, status: int = COMPLETED, **other: Any) -> Instance:
        return self._planner.tree(other.pop("definition", _ORDER), status=status, end=self._end, **other)

    def _write(
        self, name: str, root: Instance, extras: Extras = _KEPT, *, obstacle: Obstacle | None = None
    ) -> Instance:
        """Write a planned tree, remember it as a tree and under the name of its trap."""
        instances.write_tree(self._scene, root, extras)
        self.facts.append(fact(root, kind=name, obstacle=obstacle))
        self._name(name, root.pid)
        return root

    def _name(self, name: str, *ids: int) -> None:
        self.named[name] = self.named.get(name, ()) + ids

    def _task(self, root: Instance | None, status: str = "Completed") -> Task:
        """Plan one more task; without an instance it is a standalone one."""
        moments = self._scene.moments(root, 4) if root else [self._end, self._end + timedelta(hours=2)]
        return Task(
            id=self._writer.next_id("task"),
            name="Odd task",
            work_item=self._writer.next_id("workiteminfo") if root else -1,
            created=moments[0],
            changed=moments[1],
            status=status,
            owner="mary",
            pid=root.pid if root else -1,
            process_id=root.definition.process_id if root else None,
            deployment=root.definition.deployment if root else None,
            session=0,
            key=root.key if root else None,
        )

    def _add_task(self, root: Instance, status: str = "Completed", **other: object) -> Task:
        task = self._task(root, status)
        tasks.write_logs(self._scene, task)
        tasks.write_task(self._scene, task, tasks.USUAL, **other)
        return task

    # -- parents -------------------------------------------------------------------------------------------------

    def _roots_without_parent(self) -> None:
        """Four ways to say «no parent»; the last names an instance that is long gone."""
        gone = self._writer.next_id("processinstanceinfo")
        ways = {"parent_null": None, "parent_zero": 0, "parent_minus_one": -1, "parent_gone": gone}
        for name, parent in ways.items():
            root = self._plan(depth=1)
            root.parent, root.process_type = parent, None
            self._write(name, root)

    def _parent_cycles(self) -> None:
        """Broken chains without a root: two instances that call each other their parent, and one that calls itself."""
        first, second, own = self._plan(), self._plan(), self._plan()
        first.parent, second.parent, own.parent = second.pid, first.pid, own.pid
        for instance in (first, second, own):
            instances.write_instance(self._scene, instance, _KEPT)
        self._name("parent_cycle", first.pid, second.pid)
        self._name("parent_self", own.pid)

    # -- tasks ---------------------------------------------------------------------------------------------------

    def _null_task_pids(self) -> None:
        """Events and variables that only their task leads to; once with the task, once with the audit row alone."""
        for kept in (_KEPT, replace(_KEPT, keep_tasks="flavour")):
            self._write("task_log_pid_null", self._plan(), replace(kept, task_log_pid=None))

    def _standalone_tasks(self) -> None:
        for status, pid in (("Completed", -1), ("Ready", -1), ("Completed", None)):
            task = self._task(None, status)
            tasks.write_logs(self._scene, task, pid=pid)
            tasks.write_task(self._scene, task, tasks.ALWAYS)
            self._name("standalone_task", task.id)

    def _no_contents(self) -> None:
        root = self._write("content_none", self._plan())
        for none, other in ((0, -1), (-1, 0)):
            self._add_task(root, documentcontentid=none, outputcontentid=other, faultcontentid=none)

    def _odd_task_values(self) -> None:
        """Null wherever the column allows it; and the widest values."""
        root = self._write("task_odd_values", self._plan())
        nulls = ["archived", "description", "formname", "name", "subtaskstrategy", "subject", "activationtime"]
        nulls += [
            "createdon",
            "deploymentid",
            "processid",
            "previousstatus",
            "optlock",
            "createdby_id",
            "actualowner_id",
        ]
        self._add_task(root, "Completed", **dict.fromkeys(nulls))
        self._add_task(root, archived=1, priority=-(2**31), optlock=2**31 - 1, parentid=2**62, subject="Ї" * 255)

    def _awkward_texts(self) -> None:
        root = self._write("awkward_texts", self._plan())
        task = self._add_task(root, description=vocabulary.AWKWARD_TEXTS[3], name="", formname=" ")
        for number, text in enumerate(vocabulary.AWKWARD_TEXTS):
            tasks.write_comment(self._scene, task, text)
            self._writer.add(
                "variableinstancelog",
                id=self._writer.next_id("variableinstancelog"),
                log_date=root.end,
                externalid=root.definition.deployment,
                oldvalue=None,
                processid=root.definition.process_id,
                processinstanceid=root.pid,
                value=text,
                variableid=f"odd{number}",
                variableinstanceid=f"odd{number}",
            )

    # -- values and large objects --------------------------------------------------------------------------------

    def _empty_values(self) -> None:
        """An empty text or content is a value, with a large object of no pages; a null is none."""
        root = self._write("empty_values", self._plan())
        task = self._add_task(root, documentcontentid=parts.write_content(self._scene, b""))
        tasks.write_comment(self._scene, task, "")
        tasks.write_comment(self._scene, task, None)

    def _missing_large_objects(self) -> None:
        if not self._writer.uses_large_objects:
            return
        root = self._write("large_object_missing", self._plan())
        task = self._add_task(root)
        if self._writer.binary_numbers:
            content_id = self._writer.next_id("content")
            self._writer.add("content", id=content_id, content=self._writer.missing_number())
            tasks.write_attachment(self._scene, task, content_id)
        if self._writer.text_numbers:
            tasks.write_comment(self._scene, task, "", stored=str(self._writer.missing_number()))

    def _numeric_comments(self) -> None:
        """Plain texts of digits: one number is nobody's, the other is by chance that of a large object."""
        if self._writer.text_numbers:
            return
        root = self._write("numeric_comment", self._plan())
        task = self._add_task(root)
        tasks.write_comment(self._scene, task, "4711")
        tasks.write_comment(self._scene, task, str(self._writer.orphan(b"nothing to do with the comment")))

    # -- keys, events, logs --------------------------------------------------------------------------------------

    def _reused_key(self) -> None:
        key = f"reused-{self._writer.next_id('correlationkeyinfo')}"
        for status in (COMPLETED, COMPLETED, ACTIVE):
            self._write("reused_key", self._plan(status, key=key))

    def _duplicate_events(self) -> None:
        root = self._write("duplicate_events", self._plan(ACTIVE))
        for _ in range(2):
            running.event(self._scene, root.pid, "Message-customerReplied")

    def _log_gone(self) -> None:
        """The engine's cleanup took the instance's own row and left the others."""
        instance, items = self._plan(), WorkItems.draw(self._writer)
        instances.node_log(self._scene, instance, items)
        instances.variable_log(self._scene, instance)
        tasks.write_tasks(self._scene, instance, items)
        self._name("process_log_gone", instance.pid)

    def _logs_half_deleted(self) -> None:
        """The engine's cleanup took the early half of an instance that ended after its limit."""
        instance, items = self._plan(), WorkItems.draw(self._writer)
        instances.process_log(self._scene, instance)
        instances.node_log(self._scene, instance, items, since=6)
        self.facts.append(fact(instance, kind="logs_half_deleted"))
        self._name("logs_half_deleted", instance.pid)

    # -- life ----------------------------------------------------------------------------------------------------

    def _obstacles(self) -> None:
        """Ended trees that are not over: state left, a task open, a job waiting."""
        root = self._write("live_state", self._plan(), obstacle=Obstacle.LIVE_STATE)
        running.process_state(self._scene, root)
        for status in ("Ready", "Reserved", "InProgress"):
            root = self._write("open_task", self._plan(), obstacle=Obstacle.OPEN_TASK)
            self._add_task(root, status)
        for status in ("QUEUED", "RETRYING", "RUNNING"):
            root = self._write("open_job", self._plan(), obstacle=Obstacle.OPEN_JOB)
            instances.job(self._scene, root, WorkItems.draw(self._writer), status=status)

    def _running_below(self) -> None:
        """A running child, a running grandchild, and an ended child of a running root."""
        self._write("child_running", self._plan(depth=1, outliving=True))
        root = self._plan(depth=2)
        late = root.children[0].children[0]
        late.status, late.end = ACTIVE, None
        self._write("grandchild_running", root)
        root = self._plan(ACTIVE, depth=1)
        child = root.children[0]
        child.status, child.end = COMPLETED, child.end or child.start + timedelta(minutes=1)
        child.session = None
        instances.write_tree(self._scene, root, _KEPT)
        self.facts.append(fact(root, kind="ended_child_of_running"))
        self._name("ended_child_of_running", child.pid)

    def _case_open(self) -> None:
        """A case whose own row has ended while another of its instances, linked by the key alone, has not."""
        case = self._plan(definition=vocabulary.CASE)
        self._write("case_open", case, obstacle=Obstacle.CASE_OPEN)
        self._write("case_part_running", self._plan(ACTIVE, key=f"{case.case_id}:late"))

    def _rows_without_pid(self) -> None:
        """Rows that say no instance: some are reached another way, some belong to nobody."""
        root = self._write("job_by_business_key", self._plan())
        system = {"commandname": "LogCleanupCommand", "executions": 1, "priority": 0, "retries": 3, "status": "DONE"}
        for key in (f"{root.pid}:{self._writer.next_id('workiteminfo')}", None):
            job_id = self._writer.next_id("requestinfo")
            self._writer.add("requestinfo", id=job_id, businesskey=key, timestamp=root.end, **system)
        for pid in (None, -1):
            error_id = self._writer.next_id("executionerrorinfo")
            self._writer.add("executionerrorinfo", id=error_id, process_inst_id=pid, error_type="Job", error_id="-")
        waiting = self._write("timer_without_pid", self._plan(ACTIVE))
        running.timer_mapping(self._scene, None, waiting.session or 0)

    def _shared_session(self) -> None:
        """Two running trees in one session."""
        first, second = self._plan(ACTIVE), self._plan(ACTIVE)
        self._write("session_shared", first)
        second.session = first.session
        # The session's row is there already: write the instance alone.
        instances.write_instance(self._scene, second, _KEPT)
        self.facts.append(fact(second, kind="session_shared"))
        self._name("session_shared", second.pid)

    def _orphaned_content(self) -> None:
        """A content that a task dropped: no path leads to it."""
        parts.write_content(self._scene)
