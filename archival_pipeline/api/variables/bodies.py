"""Bodies of requests and answers about variable snapshots, as the OpenAPI document describes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from archival_pipeline.api.variables.working import ID, LARGEST_ID
from archival_pipeline.variables.plan import Plan

_Id = Annotated[str, Field(pattern=ID)]
_MOST = 1_000


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


class StoredSnapshot(_Body):
    """One stored snapshot to choose."""

    stored_snapshot_id: int = Field(description="Its number.")
    process_instance_id: str = Field(description="The process instance.")
    process_definition_id: str = Field(description="Its definition.")
    process_definition_key: str = Field(description="The key of that definition.")
    activity_instance_id: str = Field(description="The activity instance.")
    activity_id: str = Field(description="Its id in the model.")
    loop_index: int | None = Field(description="Its round in a multi-instance activity, where history tells.")
    at: Literal["start", "end"] = Field(description="Which moment of it.")
    time: str | None = Field(description="When that was.")
    stored_at: str = Field(description="When it was stored.")
    refusal: str | None = Field(description="Why history had no answer; then there is nothing to show.")
    variables: int = Field(description="How many variables were visible.")


class PlanRequest(_Body):
    """Whose variables are put back, and how: an activity instance, or a stored snapshot."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "oneOf": [
                {"required": ["activityInstanceId"], "properties": {"activityInstanceId": {"type": "string"}}},
                {"required": ["storedSnapshotId"], "properties": {"storedSnapshotId": {"type": "integer"}}},
            ]
        },
    )

    activity_instance_id: _Id | None = Field(
        default=None, description="The activity instance.", examples=["approve:3e593280"]
    )
    stored_snapshot_id: Annotated[int, Field(ge=1, le=LARGEST_ID)] | None = Field(
        default=None, description="A stored snapshot; it says which moment of which activity instance."
    )
    at: Literal["start", "end"] = Field(default="start", description="Before entry, or at the end event.")
    after_outputs: bool = Field(default=False, description="With `at` end: count output parameters too.")
    cancel: list[_Id] = Field(
        default=[], max_length=_MOST, description="Activity or transition instances to cancel.", examples=[[]]
    )
    ancestor: _Id | None = Field(
        default=None, description="The live scope instance to start in, where there are several."
    )
    accept: list[_Id] = Field(
        default=[], max_length=_MOST, description="Names to put back despite their flags.", examples=[[]]
    )
    remove_newer: bool = Field(default=False, description="Remove process variables that the snapshot does not have.")
    activate: bool = Field(default=False, description="Activate a suspended instance before its tokens are moved.")
    skip_custom_listeners: bool = Field(default=False, description="As the engine's option.")
    skip_io_mappings: bool = Field(default=False, description="As the engine's option.")
    annotation: _Id | None = Field(default=None, description="For the engine's operation log.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.activity_instance_id is None) == (self.stored_snapshot_id is None):
            message = "needs either activityInstanceId or storedSnapshotId"
            raise ValueError(message)
        return self


class ApplyRequest(_Body):
    """A plan as it was made, and what its reader agrees to."""

    model_config = ConfigDict(extra="forbid")

    plan: Plan = Field(description="The plan, as it was made.")
    accept_inexact: bool = Field(default=False, description="You have read what cannot be put back as it was.")


class Applied(_Body):
    """What came of a plan."""

    audit_id: str = Field(description="Under which it stands among the restores.")
    steps: int = Field(description="How many requests were sent.")
    process_instance_id: str = Field(description="The instance; for a restart the new one.")


class Restore(_Body):
    """One row of the audit of restores."""

    audit_id: str = Field(description="Of one application of a plan.")
    plan_id: str = Field(description="The plan.")
    operation: str = Field(description="modify or restart.")
    audit_status: str = Field(description="initiated, in_progress, completed or failed.")
    step_number: int = Field(description="Which step of the plan; 0 before the first.")
    title: str = Field(description="What it does, in words.")
    names: list[str] = Field(description="Variables that the step touches.")
    http_status: int | None = Field(description="What the engine answered.")
    error_code: str | None = Field(description="Why it failed.")
    error_summary: str | None = Field(description="The same in a sentence.")
    created_at: datetime = Field(description="When the row was written.")
