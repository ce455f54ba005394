"""The rows of one process instance and of those that it calls, at a history level."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

    from archival_pipeline.local.camunda_data.rows import Rows

# Chances of an instance: a job of it failed once, a file is attached to it.
_FAILED = 0.2
_WITH_FILE = 0.2
_MINUTE = timedelta(minutes=1)


class Level(enum.IntEnum):
    """How much history the engine writes."""

    ACTIVITY = 1
    AUDIT = 2
    FULL = 3


@dataclass(frozen=True, slots=True)
class Shape:
    """What a hierarchy looks like.

    Attributes:
        due: whether a cleanup is expected to remove it.
        removal: its removal time; None for rows that never expire.
        ended: when the root ended; None while it runs.
        runs: whether the runtime tables still know it.
        old: written before release 7.10: no row names its root.
        definition: id, key.
    """

    due: bool
    removal: datetime | None
    ended: datetime | None
    definition: tuple[str, str]
    runs: bool = False
    old: bool = False


class Hierarchies:
    """Writes hierarchies: a root, and up to two levels of instances that it calls."""

    def __init__(self, rows: Rows, draw: random.Random, level: Level) -> None:
        self._rows = rows
        self._draw = draw
        self._level = level

    def add(self, shape: Shape, *, calls: int = 0) -> str:
        """Add a hierarchy; return the id of its root."""
        return self._instance(shape, None, None, calls)

    def _instance(self, shape: Shape, root: str | None, caller: str | None, calls: int) -> str:
        instance = self._rows.new_id()
        root = root or instance
        common: dict[str, Any] = {"due": shape.due, "removal_time_": shape.removal}
        common["root_proc_inst_id_"] = None if shape.old else root
        started = (shape.ended or datetime(2026, 1, 1)) - 30 * _MINUTE  # noqa: DTZ001 - wall clock
        definition, key = shape.definition
        about = common | {"proc_def_id_": definition, "proc_def_key_": key}
        self._rows.add(
            "act_hi_procinst",
            **about,
            id_=instance,
            proc_inst_id_=instance,
            business_key_=f"bk-{instance[:8]}",
            start_time_=started,
            end_time_=shape.ended,
            super_process_instance_id_=caller,
            state_="COMPLETED" if shape.ended else "ACTIVE",
        )
        if shape.runs:
            self._rows.add(
                "act_ru_execution",
                due=False,
                id_=instance,
                proc_inst_id_=instance,
                root_proc_inst_id_=root,
                proc_def_id_=definition,
            )
        of = {**about, "proc_inst_id_": instance}
        tasks = self._activities(of, started, shape)
        if self._level >= Level.AUDIT:
            self._variables(of, started)
        if self._level >= Level.FULL:
            self._details(of, tasks, started)
        if calls:
            called = self._instance(shape, root, instance, calls - 1)
            self._activity(of, "call", "callActivity", started, shape.ended, called)
        return instance

    def _activities(self, of: dict[str, Any], started: datetime, shape: Shape) -> list[str]:
        kinds = ("startEvent", "serviceTask", "exclusiveGateway", "userTask", "userTask", "noneEndEvent")
        tasks = []
        for number, kind in enumerate(kinds):
            begun = started + number * _MINUTE
            # An activity id may hold a colon, which also separates it from the id of its instance.
            found = self._activity(of, f"step:{number}", kind, begun, shape.ended)
            if kind == "userTask":
                tasks.append(self._rows.add("act_hi_taskinst", **of, act_inst_id_=found, start_time_=begun))
        if shape.due and self._draw.random() < 0.1:
            # A comment on an instance that had ended: it names its instance, never expires by itself.
            late = of | {"root_proc_inst_id_": None, "removal_time_": None}
            self._rows.add("act_hi_comment", **_only(late, "due", "proc_inst_id_"), time_=started, message_="late")
        return tasks

    def _activity(
        self,
        of: dict[str, Any],
        name: str,
        kind: str,
        begun: datetime,
        ended: datetime | None,
        called: str | None = None,
    ) -> str:
        return self._rows.add(
            "act_hi_actinst",
            **of,
            id_=f"{name}:{self._rows.new_id()}",
            parent_act_inst_id_=of["proc_inst_id_"],
            execution_id_=of["proc_inst_id_"],
            act_id_=name,
            act_type_=kind,
            start_time_=begun,
            end_time_=ended,
            call_proc_inst_id_=called,
        )

    def _variables(self, of: dict[str, Any], started: datetime) -> None:
        for number in range(4):
            content = self._content(of) if number == 0 else None
            self._rows.add(
                "act_hi_varinst",
                **of,
                name_=f"v{number}",
                var_type_="serializable" if content else "string",
                text_=None if content else "x" * self._draw.randint(1, 60),
                bytearray_id_=content,
                create_time_=started,
                execution_id_=of["proc_inst_id_"],
                state_="CREATED",
            )

    def _content(self, of: dict[str, Any], *, expires: bool = True) -> str:
        return self._rows.add(
            "act_ge_bytearray",
            due=of["due"],
            rev_=1,
            name_="content",
            bytes_=self._draw.randbytes(self._draw.randint(50, 900)),
            # Rows of before 7.10 have no type either.
            type_=3 if of["root_proc_inst_id_"] else None,
            root_proc_inst_id_=of["root_proc_inst_id_"],
            removal_time_=of["removal_time_"] if expires else None,
        )

    def _details(self, of: dict[str, Any], tasks: list[str], started: datetime) -> None:
        add = self._rows.add
        for number in range(9):
            # A removal time that was set for single instances passes the byte arrays of their details by.
            content = self._content(of, expires=number > 0) if number < 2 else None
            add(
                "act_hi_detail",
                **of,
                type_="VariableUpdate",
                name_=f"v{number % 4}",
                time_=started + number * _MINUTE,
                bytearray_id_=content,
                sequence_counter_=number,
            )
        general = _only(of, "due", "root_proc_inst_id_", "removal_time_")
        for task in tasks:
            for kind in ("candidate", "assignee"):
                add("act_hi_identitylink", **general, timestamp_=started, type_=kind, user_id_="demo", task_id_=task)
            add("act_hi_op_log", **of, timestamp_=started, operation_type_="Complete", task_id_=task)
        job = {"process_instance_id_": of["proc_inst_id_"], "process_def_id_": of["proc_def_id_"]}
        failed = self._draw.random() < _FAILED
        for state in (0, 1, 2) if failed else (0, 2):
            stack = self._content(of) if state == 1 else None
            add("act_hi_job_log", **general, **job, timestamp_=started, job_state_=state, job_exception_stack_id_=stack)
        if failed:
            add("act_hi_incident", **of, create_time_=started, incident_type_="failedJob")
        error = self._content(of) if failed else None
        add("act_hi_ext_task_log", **of, timestamp_=started, error_details_id_=error)
        placed = general | {"proc_inst_id_": of["proc_inst_id_"]}
        if self._draw.random() < _WITH_FILE:
            add("act_hi_attachment", **placed, name_="scan", content_id_=self._content(of))
        add("act_hi_comment", **placed, time_=started, message_="fine")
        add("act_ru_authorization", **general, rev_=1, type_=1, user_id_="demo", resource_type_=20)
        self._decision(of, started)

    def _decision(self, of: dict[str, Any], started: datetime) -> None:
        decision = self._rows.add("act_hi_decinst", **of, eval_time_=started)
        general = _only(of, "due", "root_proc_inst_id_", "removal_time_") | {"dec_inst_id_": decision}
        self._rows.add("act_hi_dec_in", **general, bytearray_id_=self._content(of))
        self._rows.add("act_hi_dec_out", **general, text_="approved")


def _only(of: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: of[name] for name in names}
