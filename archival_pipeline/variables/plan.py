"""A plan: what would be sent to the engine to put a snapshot back, as a document that people read, save and apply.

A plan holds values of variables; keep the file as safe as the engine's database. Not here: how it is made
(``planning``, ``placing``) and applied (``applying``).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from archival_pipeline.errors import RequestError

Operation = Literal["modify", "restart"]


def _no_step(part: str) -> str:
    """Refuse what a path would take for a step instead of a name."""
    if part in {".", ".."}:
        message = "is no id"
        raise ValueError(message)
    return part


_Id = Annotated[str, Field(pattern=r"^[^\x00-\x1f]{1,320}$"), AfterValidator(_no_step)]


class _Document(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Remark(_Document):
    """Something about one variable."""

    name: str = Field(description="The variable.")
    reason: str = Field(description="Why it is not placed, or not exactly.")


class Step(_Document):
    """One request to the engine."""

    title: str = Field(description="What it does, in words.")
    method: Literal["POST", "PUT"] = Field(description="HTTP method.")
    path: str = Field(pattern=r"^/[^?#]*$", description="Path below the engine's REST API.")
    body: dict[str, Any] = Field(description="Body of the request.")


class Plan(_Document):
    """What would be sent, what would not, and what the instance must look like for it."""

    version: Literal[1] = Field(default=1, description="Of the form of this document.")
    plan_id: str = Field(pattern=r"^[A-Za-z0-9-]{1,64}$", description="A plan is applied once, known by this.")
    made_at: str = Field(description="When it was made.")
    operation: Operation = Field(description="Modify a running instance, or restart a finished one.")
    process_instance_id: _Id = Field(description="The instance.")
    process_definition_id: _Id = Field(description="Its definition.")
    activity_instance_id: _Id = Field(description="Whose snapshot.")
    at: Literal["start", "end"] = Field(description="Which moment of it.")
    after_outputs: bool = Field(default=False, description="Whether output parameters count.")
    target_activity_id: _Id = Field(description="Where the token goes.")
    expects: str = Field(description="Fingerprint of the instance; if it differs, the plan is refused.")
    steps: list[Step] = Field(description="Requests in their order.")
    inexact: list[Remark] = Field(default_factory=list, description="What cannot be put back as it was.")
    left_out: list[Remark] = Field(default_factory=list, description="What is not put back on purpose.")
    notes: list[str] = Field(default_factory=list, description="What else to know before applying.")

    def as_json(self) -> dict[str, Any]:
        """The document to save."""
        return self.model_dump(by_alias=True)


def parse(document: Any) -> Plan:
    """A saved plan.

    Raises:
        RequestError: it is not one.
    """
    try:
        return Plan.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "plan"
        raise RequestError(
            f"This is no plan: {field}: {first['msg']}.",
            resolve="Give a plan as `archival-pipeline variables plan` or the REST interface made it.",
            field=field,
        ) from None
