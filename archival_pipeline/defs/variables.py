"""The job that puts a variable snapshot back: plan, show, and apply only if the run says so.

Configuration in, one call into the room, metadata out. Dagster reads the annotations of ops while it loads them, so
this module does not postpone their evaluation.
"""

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal

from dagster import (
    Config,
    Failure,
    JobDefinition,
    MetadataValue,
    OpExecutionContext,
    TableColumn,
    TableRecord,
    TableSchema,
    in_process_executor,
    job,
    op,
)
from pydantic import Field

from archival_pipeline.errors import ArchivalError, TransientDatabaseError
from archival_pipeline.settings_variables import load_backup
from archival_pipeline.variables import restoring, service
from archival_pipeline.variables.cut import Boundary
from archival_pipeline.variables.plan import Plan, Remark
from archival_pipeline.variables.planning import Wishes


class VariableRestoreConfig(Config):
    """Whose snapshot, and what to do with it. A run that says nothing more only shows the plan."""

    activity_instance_id: str = Field(description="The activity instance whose variables are put back.")
    at: Literal["start", "end"] = Field("start", description="Before entry, or at its end.")
    after_outputs: bool = Field(default=False, description="At the end: count output parameters too.")
    cancel: list[str] = Field([], description="Activity or transition instances to cancel.")
    ancestor: str = Field("", description="The live scope instance to start in, where there are several.")
    accept: list[str] = Field([], description="Names to put back despite their flags.")
    remove_newer: bool = Field(default=False, description="Remove process variables that the snapshot does not have.")
    activate: bool = Field(default=False, description="Activate a suspended instance before its tokens are moved.")
    apply: bool = Field(default=False, description="Send the plan to the engine; otherwise it is only shown.")
    expects: str = Field(
        "", description="Fingerprint from a run that only showed the plan; if the instance moved on since, it fails."
    )
    accept_inexact: bool = Field(default=False, description="You have read what cannot be put back as it was.")


@op
def restore_variables(context: OpExecutionContext, config: VariableRestoreConfig) -> None:
    """Make the plan, show it, and apply it if the run says so; the audit id is the run's id."""
    try:
        made = _plan(config)
        context.add_output_metadata(_shown(made))
        context.log.info(
            "operation=%s steps=%d inexact=%d apply=%s",
            made.operation,
            len(made.steps),
            len(made.inexact),
            config.apply,
        )
        if config.apply:
            _apply(context, config, made)
    except ArchivalError as error:
        raise Failure(
            description=str(error),
            metadata={"code": error.code, "summary": error.summary, "resolve": error.resolve},
            allow_retries=isinstance(error, TransientDatabaseError),
        ) from error


@job(
    executor_def=in_process_executor,
    description="Put the variables of a Camunda process instance back as an activity saw them: a running instance is "
    "modified, a finished one is started anew. Without `apply` the plan is only shown.\n\n"
    "**Not safe to run again blindly**: each run makes a new plan. **Locks** nothing; the engine does the work.",
)
def variable_restore() -> None:
    """Plan, show, apply."""
    restore_variables()


JOBS: list[JobDefinition] = [variable_restore]


def _plan(config: VariableRestoreConfig) -> Plan:
    wanted = service.Moment(config.activity_instance_id, Boundary(config.at), config.after_outputs)
    wishes = Wishes(
        cancel=tuple(config.cancel),
        ancestor=config.ancestor or None,
        accept=frozenset(config.accept),
        remove_newer=config.remove_newer,
        activate=config.activate,
        annotation="archival pipeline: variable_restore",
    )
    database, engine = service.camunda(), restoring.rest()
    made = restoring.plan(database, engine, wanted, wishes, plan_id=str(uuid.uuid4()), now=datetime.now(UTC))
    # What the user has read is what is applied: the fingerprint of that run takes the place of today's.
    return made.model_copy(update={"expects": config.expects}) if config.expects else made


def _apply(context: OpExecutionContext, config: VariableRestoreConfig, made: Plan) -> None:
    done = restoring.apply(
        restoring.rest(), load_backup(), made, audit_id=context.run_id, accept_inexact=config.accept_inexact
    )
    context.log.info("applied steps=%d process_instance=%s", done.steps, done.process_instance_id)


def _shown(made: Plan) -> dict[str, MetadataValue]:
    """The plan without values: run metadata is read by more people than the engine's variables."""
    steps = [TableRecord({"step": step.title, "request": f"{step.method} {step.path}"}) for step in made.steps]
    columns = TableSchema([TableColumn("step", "string"), TableColumn("request", "string")])
    return {
        "operation": MetadataValue.text(made.operation),
        "process instance": MetadataValue.text(made.process_instance_id),
        "expects": MetadataValue.text(made.expects),
        "steps": MetadataValue.table(steps, schema=columns),
        "not exact": _remarks(made.inexact),
        "left out": _remarks(made.left_out),
        "notes": MetadataValue.md("\n".join(f"- {note}" for note in made.notes)),
    }


def _remarks(remarks: Iterable[Remark]) -> MetadataValue:
    records = [TableRecord({"name": remark.name, "reason": remark.reason}) for remark in remarks]
    return MetadataValue.table(
        records, schema=TableSchema([TableColumn("name", "string"), TableColumn("reason", "string")])
    )
