"""The two kinds of rows that events describe, field by field, as data.

The names on the wire and their order are those of the platform's own services, so that both can read each other. Not
here: how a message is read (``wire.py``), how a row is written (``store/writing.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

Kind = Literal["process", "task"]
Value = str | datetime | None


class State(StrEnum):
    """States of a process instance, as the engine names them."""

    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    COMPLETED = "COMPLETED"
    EXTERNALLY_TERMINATED = "EXTERNALLY_TERMINATED"
    INTERNALLY_TERMINATED = "INTERNALLY_TERMINATED"


RUNNING_STATES = (State.ACTIVE.value, State.SUSPENDED.value)
FINAL_STATES = (State.COMPLETED.value, State.EXTERNALLY_TERMINATED.value, State.INTERNALLY_TERMINATED.value)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a row.

    Attributes:
        name: on the wire.
        column: in the history database.
        is_time: a date-time rather than a text.
        final: values that no other value replaces; empty for most fields, ``None`` for «every value there is».
    """

    name: str
    column: str
    is_time: bool = False
    final: tuple[str, ...] | None = ()

    def is_final(self, value: Value) -> bool:
        """Whether this value is the field's last one."""
        return value is not None and (self.final is None or value in self.final)


@dataclass(frozen=True, slots=True)
class Entity:
    """One kind of rows.

    Attributes:
        kind: its name.
        table: where its rows are.
        key: the field that identifies a row.
        fields: the other fields; a version of each stands in the row, in this order.
        user: name of the field that says whose row it is.
        type_id: class name of the platform's message, sent in a header.
    """

    kind: Kind
    table: str
    key: Field
    fields: tuple[Field, ...]
    user: str
    type_id: str

    @property
    def places(self) -> dict[str, int]:
        """Place of each field among the versions, from 0."""
        return {field.name: place for place, field in enumerate(self.fields)}


_MODEL = "com.epam.digital.data.platform.bphistory.model"

PROCESS = Entity(
    kind="process",
    table="bpm_history_process",
    key=Field("processInstanceId", "process_instance_id"),
    fields=(
        Field("superProcessInstanceId", "super_process_instance_id"),
        Field("processDefinitionId", "process_definition_id"),
        Field("processDefinitionKey", "process_definition_key"),
        Field("processDefinitionName", "process_definition_name"),
        Field("businessKey", "business_key"),
        Field("startTime", "start_time", is_time=True),
        Field("endTime", "end_time", is_time=True, final=None),
        Field("startUserId", "start_user_id"),
        Field("state", "state", final=FINAL_STATES),
        Field("excerptId", "excerpt_id"),
        Field("completionResult", "completion_result"),
    ),
    user="startUserId",
    type_id=f"{_MODEL}.HistoryProcess",
)

TASK = Entity(
    kind="task",
    table="bpm_history_task",
    key=Field("activityInstanceId", "activity_instance_id"),
    fields=(
        Field("taskDefinitionKey", "task_definition_key"),
        Field("taskDefinitionName", "task_definition_name"),
        Field("processInstanceId", "process_instance_id"),
        Field("processDefinitionId", "process_definition_id"),
        Field("processDefinitionKey", "process_definition_key"),
        Field("processDefinitionName", "process_definition_name"),
        Field("rootProcessInstanceId", "root_process_instance_id"),
        Field("startTime", "start_time", is_time=True),
        Field("endTime", "end_time", is_time=True, final=None),
        Field("assignee", "assignee"),
        # Ours: a cancelled task ends like a completed one. The platform's readers pass over fields they do not know.
        Field("deleteReason", "delete_reason"),
    ),
    user="assignee",
    type_id=f"{_MODEL}.HistoryTask",
)

ENTITIES: dict[Kind, Entity] = {"process": PROCESS, "task": TASK}
FIELDS: dict[Kind, dict[str, Field]] = {
    kind: {described.name: described for described in entity.fields} for kind, entity in ENTITIES.items()
}

# Fields of a process row that only the two system variables say.
VARIABLE_FIELDS = {
    "sys-var-process-completion-result": "completionResult",
    "sys-var-process-excerpt-id": "excerptId",
}
PROCESS_OWN_FIELDS = tuple(field.name for field in PROCESS.fields if field.name not in VARIABLE_FIELDS.values())
TASK_FIELDS = tuple(field.name for field in TASK.fields)
