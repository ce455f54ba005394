"""Rows of the history as the interface shows them: field names, times, statuses. Nulls are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from archival_pipeline.api.history.titles import title_of
from archival_pipeline.history.events.wire import time_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archival_pipeline.api.history.titles import Language

_TIME = "UTC, `yyyy-MM-ddTHH:mm:ss.SSSZ`"


class _Row(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Status(_Row):
    """What state a process is in, for programs and for people."""

    code: str = Field(description="ACTIVE, PENDING, SUSPENDED, COMPLETED, EXTERNALLY_TERMINATED, INTERNALLY_TERMINATED")
    title: str = Field(description="In the language asked for; a result that the process gave itself stands as it is")


class RunningProcess(_Row):
    """A process that the user started and that is not over."""

    process_instance_id: str
    super_process_instance_id: str | None
    process_definition_id: str | None
    process_definition_key: str | None
    process_definition_name: str | None
    business_key: str | None
    start_time: str | None = Field(description=_TIME)
    start_user_id: str | None
    status: Status


class FinishedProcess(_Row):
    """A process that the user started and that is over."""

    process_instance_id: str
    super_process_instance_id: str | None
    process_definition_id: str | None
    process_definition_key: str | None
    process_definition_name: str | None
    business_key: str | None
    start_time: str | None = Field(description=_TIME)
    end_time: str | None = Field(description=_TIME)
    start_user_id: str | None
    excerpt_id: str | None
    status: Status


class FinishedTask(_Row):
    """A task that the user completed."""

    activity_instance_id: str
    task_definition_key: str | None
    task_definition_name: str | None
    process_instance_id: str | None
    process_definition_id: str | None
    process_definition_key: str | None
    process_definition_name: str | None
    root_process_instance_id: str | None
    start_time: str | None = Field(description=_TIME)
    end_time: str | None = Field(description=_TIME)
    assignee: str | None
    business_key: str | None = Field(description="Of the root process")


class Count(_Row):
    """How many rows a list has."""

    count: int


def running_process(row: Mapping[str, Any], language: Language, *, officer: bool) -> RunningProcess:
    """A row of the list of running processes; suspension wins over an open task."""
    code = "PENDING" if row["is_pending"] else row["state"]
    status = Status(code=code, title=title_of(code, language, officer=officer))
    return RunningProcess(**_shown(row, RunningProcess), status=status)


def finished_process(row: Mapping[str, Any], language: Language, *, officer: bool) -> FinishedProcess:
    """A row of the list of finished processes; its own result is the title, unless somebody ended it."""
    code = row["state"]
    result = None if code == "EXTERNALLY_TERMINATED" else row["completion_result"]
    title = title_of(code, language, officer=officer) if result is None else result
    return FinishedProcess(**_shown(row, FinishedProcess), status=Status(code=code, title=title))


def finished_task(row: Mapping[str, Any]) -> FinishedTask:
    """A row of the list of tasks."""
    return FinishedTask(**_shown(row, FinishedTask))


def _shown(row: Mapping[str, Any], model: type[_Row]) -> dict[str, Any]:
    values = {name: row[name] for name in model.model_fields if name in row}
    return values | {name: time_text(row[name]) for name in ("start_time", "end_time") if values.get(name)}
