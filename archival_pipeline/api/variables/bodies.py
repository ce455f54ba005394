"""Bodies of the answers about variable snapshots, as the OpenAPI document describes them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class _Body(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class ActivityInstance(_Body):
    """One activity instance to choose."""

    activity_instance_id: str = Field(description="Its id.")
    parent_activity_instance_id: str | None = Field(description="What it ran in.")
    activity_id: str = Field(description="Its id in the model.")
    activity_name: str | None = Field(description="Its name in the model.")
    activity_type: str = Field(description="Its type, such as userTask.")
    state: Literal["running", "completed", "cancelled"] = Field(description="How it ended.")
    start_time: str = Field(description="When it began.")
    end_time: str | None = Field(description="When it ended.")
    loop_index: int | None = Field(description="Its round in a multi-instance activity, where history tells.")
    task_id: str | None = Field(description="Its user task.")


class Owner(_Body):
    """The place that owned a variable."""

    kind: Literal["process", "scope", "branch", "event-scope", "task", "unknown"] = Field(description="What it is.")
    activity_instance_id: str | None = Field(description="The scope, or the activity instance whose branch it is.")
    activity_id: str | None = Field(description="Its id in the model.")
    execution_id: str | None = Field(description="The execution as history names it.")


class Variable(_Body):
    """One variable with its value."""

    name: str = Field(description="Its name.")
    type: str | None = Field(description="Its type in the words of the engine's REST API.")
    value: Any = Field(default=None, description="Its value; bytes in base64, texts of objects as they are stored.")
    value_info: dict[str, str] | None = Field(default=None, description="File name, class, format.")
    size: int | None = Field(default=None, description="Bytes of a binary value.")
    sha256: str | None = Field(default=None, description="Digest of a binary value.")
    truncated: bool | None = Field(default=None, description="The bytes are too many to stand here: download them.")
    owner: Owner = Field(description="Where it lived.")
    variable_instance_id: str = Field(description="Its id in the engine.")
    change_id: str | None = Field(description="The history row that holds the value.")
    time: str | None = Field(description="When that change was made.")
    flags: list[Literal["ambiguous", "tie", "delete-ambiguous", "technical", "incomplete"]] = Field(
        description="What to know before trusting it."
    )


class Snapshot(_Body):
    """What was visible, and what history cannot say for sure."""

    process_instance_id: str = Field(description="The process instance.")
    process_definition_id: str = Field(description="Its definition.")
    activity_instance_id: str | None = Field(description="The activity instance; none for a moment.")
    activity_id: str | None = Field(description="Its id in the model.")
    at: Literal["start", "end"] | None = Field(description="Which moment of it.")
    after_outputs: bool = Field(description="Whether output parameters count.")
    moment: str | None = Field(description="The moment asked for.")
    path: list[str] = Field(description="Activity instances from this one up to the process instance.")
    expired: bool = Field(description="History is past its removal time and may be cleaned at any moment.")
    variables: list[Variable] = Field(description="Visible ones, the innermost of each name.")
    shadowed: list[Variable] = Field(description="Hidden by a nearer one of the same name.")
    uncertain: list[Variable] = Field(description="May have been visible; history does not tell.")
    own_inputs: list[Variable] = Field(description="Input parameters of the activity itself.")
    task_local: list[Variable] = Field(description="Local to a user task.")


class Side(_Body):
    """Which snapshot."""

    process_instance_id: str = Field(description="The process instance.")
    activity_instance_id: str | None = Field(description="The activity instance; none for a moment.")
    at: Literal["start", "end"] | None = Field(description="Which moment of it.")
    after_outputs: bool = Field(description="Whether output parameters count.")
    moment: str | None = Field(description="The moment asked for.")


class Difference(_Body):
    """One variable that is not the same on both sides."""

    name: str = Field(description="Its name.")
    kind: Literal["added", "removed", "changed", "moved", "uncertain"] = Field(description="How it differs.")
    before: Variable | None = Field(description="In the first snapshot.")
    after: Variable | None = Field(description="In the second snapshot.")


class Comparison(_Body):
    """What differs between two snapshots."""

    before: Side = Field(description="The first snapshot.")
    after: Side = Field(description="The second snapshot.")
    differences: list[Difference] = Field(description="What is not the same; empty if nothing differs.")
