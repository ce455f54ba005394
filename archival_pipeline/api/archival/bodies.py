"""The bodies of the REST interface, as its contract names them. Filters and options are those of the archive itself.

The filters stand flat in a body; how a move is done stands under ``options``, as in the configuration of a run.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from archival_pipeline.archival.audit import AuditStatus, AuditStep, AuditType
from archival_pipeline.archival.filters import Filters, Ids, parse_filters
from archival_pipeline.archival.options import Options, parse_options
from archival_pipeline.archival.service import Which
from archival_pipeline.errors import RequestError

MAX_SCRIPT_IDS = 100
_BIGINT = 2**63 - 1

# JavaScript rounds numbers beyond 2^53, so digits in quotes are taken as well.
_ID_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": _BIGINT},
        {"type": "string", "pattern": "^[1-9][0-9]{0,17}$"},
    ]
}
_IDS_SCHEMA = {"type": "array", "items": _ID_SCHEMA, "minItems": 1}
IdList = Annotated[Ids, WithJsonSchema(_IDS_SCHEMA)]


class _Body(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, validate_by_alias=True, validate_by_name=False
    )


class _Selection(Filters):
    """Filters as they stand in a body."""

    model_config = ConfigDict(validate_by_alias=True, validate_by_name=False)

    piids: IdList | None = Field(default=None, description=Filters.model_fields["piids"].description, examples=[[101]])

    def filters(self) -> Filters:
        """The filters alone."""
        return parse_filters(
            self.model_dump(mode="json", by_alias=True, exclude_none=True, include=set(Filters.model_fields))
        )


_DATABASE: Any = Field(
    default="primary", description="Which database is asked: the engine's or the archive.", examples=["primary"]
)


class CountRequest(_Selection):
    """Which instances to count; no filter counts all of them."""

    database: Which = _DATABASE


class FindRequest(_Selection):
    """Which instances to list, and which page of them."""

    database: Which = _DATABASE
    page_size: Annotated[int, Field(strict=True, ge=1)] = Field(
        default=100, description="Ids per page; the service has a cap.", examples=[50]
    )
    page_number: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] = Field(
        default=1, description="Page, counted from 1.", examples=[1]
    )


class ChildrenRequest(_Body):
    """Instances whose descendants are wanted."""

    parent_process_instance_ids: IdList = Field(
        description="Process instance ids, as numbers or as digits in quotes.", examples=[[201, 205, 210]]
    )
    database: Which = _DATABASE


class ScriptRequest(_Body):
    """Instances for which a script is wanted."""

    process_instance_ids: Annotated[
        Ids, Field(max_length=MAX_SCRIPT_IDS), WithJsonSchema({**_IDS_SCHEMA, "maxItems": MAX_SCRIPT_IDS})
    ] = Field(
        description=f"At most {MAX_SCRIPT_IDS} process instance ids; the script holds every row of their trees.",
        examples=[[101, 102, 103]],
    )


_OF_DELETION = ("database", "force", "only_if_backed_up")


class _MoveRequest(_Selection):
    options: Options = Field(
        default_factory=lambda: parse_options({}),
        description="How the move is done; every default is the safe choice.",
        examples=[{}],
    )

    def move_options(self, *not_here: str) -> Options:
        """The options, if all of them mean something for this operation.

        Raises:
            RequestError: one of them is for another operation.
        """
        wrong = sorted({*_OF_DELETION, *not_here} & self.options.model_fields_set)
        if wrong:
            name = to_camel(wrong[0])
            raise RequestError(
                f"options.{name} means nothing here.",
                resolve=f"Leave options.{name} out.",
                field=f"options.{name}",
                value=getattr(self.options, wrong[0]),
            )
        return self.options


class BackupRequest(_MoveRequest):
    """Which instances to move to the archive."""


class RestoreRequest(_MoveRequest):
    """Which archived instances to move back; the filters apply to the archive."""


class DeleteRequest(_Body):
    """Which instances to delete, with all their descendants."""

    process_instance_ids: IdList = Field(
        description="Process instance ids, as numbers or as digits in quotes.", examples=[[12345, 67890]]
    )
    database: Which = Field(default="primary", description="The database to delete from.", examples=["primary"])
    force: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="Delete instances that are not over, too.", examples=[False]
    )
    only_if_backed_up: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="Delete only what the other database holds with equal digests.", examples=[True]
    )

    def filters(self) -> Filters:
        """The instances as filters."""
        return parse_filters({"piids": list(self.process_instance_ids)})

    def delete_options(self) -> Options:
        """How the deletion is done."""
        given = {"database": self.database, "force": self.force, "onlyIfBackedUp": self.only_if_backed_up}
        return parse_options(given)


class _Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Total(_Answer):
    """How many."""

    total_count: int = Field(ge=0, description="How many match.", examples=[123])


class Found(_Answer):
    """One page of ids."""

    process_instance_ids: list[int] = Field(description="Ids, in ascending order.", examples=[[2001, 2002]])


class Children(_Answer):
    """Descendants."""

    child_process_instance_ids: list[int] = Field(
        description="All descendants, in ascending order; the given ids are left out.", examples=[[301, 302, 303]]
    )


class Script(_Answer):
    """A transaction in SQL."""

    backup_sql_script: list[str] = Field(
        description="The statements, BEGIN first and COMMIT last. They hold the rows' values.",
        examples=[["BEGIN;", "INSERT ...", "COMMIT;"]],
    )


class Initiated(_Answer):
    """An operation was started, or another one is in its way."""

    message: str = Field(description="Says which of the two it is.", examples=["Backup initiated successfully"])
    audit_id: str = Field(
        description="Poll it: the operation that was started, or the one in progress.",
        examples=["0f5c4f0e-9f43-4f8e-9f0a-5d3a1c2b7e11"],
    )


class Deleted(_Answer):
    """What became of a deletion."""

    status: str = Field(
        description="`SUCCESS`, or `FAILURE: ` and the reason.", pattern="^(SUCCESS|FAILURE: )", examples=["SUCCESS"]
    )
    audit_id: str | None = Field(
        default=None,
        description="The audit of the deletion, or of the operation in its way.",
        examples=["0f5c4f0e-9f43-4f8e-9f0a-5d3a1c2b7e11"],
    )


class Audit(_Answer):
    """One row of an audit: what one step did, and how far the operation was."""

    id: int = Field(description="Number of the row, rising; 0 while only the queue knows the operation.", examples=[17])
    audit_id: str = Field(description="The operation.", examples=["0f5c4f0e-9f43-4f8e-9f0a-5d3a1c2b7e11"])
    audit_type: AuditType = Field(description="Kind of operation.", examples=["backup"])
    audit_status: AuditStatus = Field(
        description="How far it was. The last row says completed, failed or cancelled.", examples=["completed"]
    )
    step: AuditStep = Field(description="The step that the row tells about.", examples=["complete"])
    batch_number: int | None = Field(default=None, description="Batch, counted from 1.", examples=[3])
    total_batches: int | None = Field(default=None, description="Batches of the operation.", examples=[12])
    total_count: int | None = Field(default=None, description="Trees of the operation.", examples=[1200])
    processed_count: int | None = Field(default=None, description="Trees done.", examples=[1180])
    remaining_count: int | None = Field(default=None, description="Trees left.", examples=[0])
    skipped_count: int | None = Field(default=None, description="Trees left alone.", examples=[20])
    process_name: str | None = Field(
        default=None, description="Process name that was asked for.", examples=["customerOnboarding"]
    )
    deployment_id: str | None = Field(default=None, description="Deployment that was asked for.", examples=["a:b:1"])
    filters: dict[str, Any] | None = Field(
        default=None, description="What was asked for; in the first row and in the newest.", examples=[{"piids": [1]}]
    )
    process_instance_ids: list[int] | None = Field(
        default=None, description="Instances of the batch.", examples=[[101, 102]]
    )
    details: dict[str, Any] | None = Field(
        default=None, description="More for people, such as trees that stay with their reasons.", examples=[{}]
    )
    error_code: str | None = Field(default=None, description="SQLSTATE or a code of ours.", examples=["23505"])
    error_summary: str | None = Field(default=None, description="What went wrong.", examples=["A key is taken."])
    error_resolve: str | None = Field(default=None, description="What to do about it.", examples=["Compare both."])
    error_message: str | None = Field(default=None, description="Cause by cause.", examples=["23505: a key is taken"])
    started_at: datetime | None = Field(
        default=None, description="Begin of the step.", examples=["2026-01-31T20:00:00+00:00"]
    )
    ended_at: datetime | None = Field(
        default=None, description="End of the step.", examples=["2026-01-31T20:00:09+00:00"]
    )
    created_at: datetime = Field(description="When the row was written.", examples=["2026-01-31T20:00:09+00:00"])


class Ping(_Answer):
    """The service is there."""

    status: str = Field(description="`ok`.", examples=["ok"])


class Unhealthy(_Answer):
    """The service is there, but its configuration cannot be used."""

    status: str = Field(description="`error`.", examples=["error"])
    error_code: str = Field(description="INVALID_DB_CONFIG or INVALID_CONFIG.", examples=["INVALID_DB_CONFIG"])
    error_message: str = Field(
        description="What is wrong.", examples=["Primary and backup point to the same physical database."]
    )


class Readiness(_Answer):
    """What the service needs, one by one."""

    status: str = Field(description="`ok`, or `error` if anything below is not.", examples=["ok"])
    primary: str = Field(description="`ok`, `unreachable` or `not configured`.", examples=["ok"])
    backup: str = Field(description="`ok`, `unreachable` or `not configured`.", examples=["ok"])
    dagster: str = Field(description="`ok` or `unreachable`.", examples=["ok"])
