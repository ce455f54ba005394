"""The ops of a move: configuration in, one step called, metadata out.

Each op may be run again: the ledger knows what is done. Order and parallelism are the graph's business. Dagster reads
the annotations of ops while it loads them, so this module does not postpone their evaluation.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from typing import Any

from dagster import (
    AssetMaterialization,
    DynamicOut,
    DynamicOutput,
    Failure,
    MetadataValue,
    OpDefinition,
    OpExecutionContext,
    Out,
    op,
)

from archival_pipeline.archival import steps, vacuum_advice
from archival_pipeline.archival.direction import OperationName
from archival_pipeline.archival.filters import Filters
from archival_pipeline.archival.options import Options
from archival_pipeline.archival.steps import Wave
from archival_pipeline.defs import showing
from archival_pipeline.defs.config import given_only, section
from archival_pipeline.defs.partitions import of_day
from archival_pipeline.defs.resources import Mover
from archival_pipeline.errors import ArchivalError, TransientDatabaseError

# A wave is finished before the next begins: without priorities Dagster copies every wave before it deletes the first.
_PRIORITY = "dagster/priority"
# The key of the asset that every finished move adds an event to; its checks are in archive_checks.py.
ARCHIVE = "process_archive"


@contextmanager
def reported() -> Iterator[None]:
    """Turn an error of ours into a failure that says what happened and what to do."""
    try:
        yield
    except ArchivalError as error:
        raise Failure(
            description=str(error),
            metadata={"code": error.code, "summary": error.summary, "resolve": error.resolve},
            allow_retries=isinstance(error, TransientDatabaseError),
        ) from error


@cache
def count_op(operation: OperationName) -> OpDefinition:
    """The first op of a move: it alone knows which operation the run is. In every graph it goes by the name `count`."""

    @op(
        name=f"count_for_{operation}",
        config_schema={name: section(model) for name, model in (("filters", Filters), ("options", Options))},
        tags={_PRIORITY: "0"},
    )
    def count(context: OpExecutionContext, mover: Mover) -> int:
        """Take the lock, check both databases, and count the instances that the filters pick."""
        filters, options = (given_only(context.op_config.get(name, {})) for name in ("filters", "options"))
        with reported():
            if context.has_partition_key:
                filters = of_day(filters, context.partition_time_window)
                options = {**options, "rootsOnly": True}
            move = mover.open(operation, filters, options)
            selected = steps.count(move)
        context.add_output_metadata({"selected instances": selected, "audit id": move.audit_id})
        return selected

    return count


@op(out=DynamicOut(Wave), tags={_PRIORITY: "1"})
def fetch(context: OpExecutionContext, mover: Mover, selected: int) -> Iterator[DynamicOutput[Wave]]:
    """Finish what a dead run left open, then freeze the selection into batches and waves."""
    with reported():
        plan = steps.fetch(mover.move)
    context.log.info(
        "selected=%d planned_instances=%d trees=%d batches=%d waves=%d",
        selected,
        plan.selected,
        plan.trees,
        plan.batches,
        len(plan.waves),
    )
    for wave in plan.waves:
        yield DynamicOutput(wave, mapping_key=f"wave_{wave.number:03d}", metadata={"batches": wave.batches})


@op(tags={_PRIORITY: "2"})
def children(context: OpExecutionContext, mover: Mover, wave: Wave) -> Wave:
    """Find the whole trees of a wave, and take out those that may not move, with the reason."""
    with reported():
        result = steps.children(mover.move, wave)
    context.add_output_metadata(
        {
            "trees": result.trees,
            "instances": result.instances,
            "trees that stay": len(result.stayed),
            "staying": showing.reports(result.stayed),
            "seconds": result.seconds,
        }
    )
    return wave


@op(tags={_PRIORITY: "3"})
def generate_sql(context: OpExecutionContext, mover: Mover, wave: Wave) -> Wave:
    """Show the statements that the next two ops run on the tables that this wave reaches."""
    with reported():
        script = steps.generate_sql(mover.move, wave)
    text = "\n\n".join(script)
    context.add_output_metadata({"statements": len(script), "script": MetadataValue.md(f"```sql\n{text}\n```")})
    return wave


@op(tags={_PRIORITY: "4"})
def execute(context: OpExecutionContext, mover: Mover, wave: Wave) -> Wave:
    """Copy the wave to the destination, read it back there, and commit only what is equal."""
    with reported():
        result = steps.execute(mover.move, wave)
    context.add_output_metadata(showing.progress(result) | {"quarantined": showing.reports(result.stayed)})
    context.log.info(
        "wave=%d/%d step=execute trees=%d instances=%d rows=%d seconds=%.2f quarantined=%d",
        wave.number,
        wave.of,
        result.trees,
        result.instances,
        result.row_count,
        result.seconds,
        len(result.stayed),
    )
    return wave


@op(tags={_PRIORITY: "5"})
def delete(context: OpExecutionContext, mover: Mover, wave: Wave) -> int:
    """Delete from the origin what the destination gave back equal; anything else rolls back."""
    with reported():
        result = steps.delete(mover.move, wave)
    ahead = showing.how_far(wave, mover.seconds)
    context.add_output_metadata(ahead | showing.progress(result))
    context.log.info(
        "wave=%d/%d step=delete seconds_left=%d trees=%d instances=%d rows=%d seconds=%.2f objects=%d",
        wave.number,
        wave.of,
        ahead["seconds left (estimate)"],
        result.trees,
        result.instances,
        result.row_count,
        result.seconds,
        result.objects,
    )
    return result.trees


@op(out=Out(dict), tags={_PRIORITY: "6"})
def complete(context: OpExecutionContext, mover: Mover, trees: list[int]) -> dict[str, Any]:
    """Do what Dagster passed over, hold the ledger against the plan, and fail on any batch without an end."""
    with reported():
        totals = steps.complete(mover.move)
        stayed = mover.move.ledger.reports(limit=showing.SHOWN_TREES)
    numbers = asdict(totals)
    context.log.info("moved_trees=%d waves_of_this_run=%d rows=%d", totals.trees_moved, len(trees), totals.rows_moved)
    shown = {name.replace("_", " "): value for name, value in numbers.items()}
    if not mover.move.options.dry_run:
        with reported():
            shown |= showing.vacuum(vacuum_advice.advise(mover.move))
            tables = mover.move.ledger.moved_rows()
        rate = {"rows per second": round(totals.rows_moved / mover.seconds), "seconds": round(mover.seconds, 1)}
        rate |= {f"rows of {table}": number for table, number in tables.items() if number}
        # One event a run: their numbers are the plots of the asset's page.
        context.log_event(AssetMaterialization(ARCHIVE, metadata=shown | rate | {"operation": mover.operation}))
    context.add_output_metadata(shown | {"stayed": showing.reports(stayed)})
    return numbers
