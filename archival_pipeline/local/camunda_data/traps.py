"""Rows and hierarchies that a careless cleanup would get wrong: one of each."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from archival_pipeline.local.camunda_data.instances import Hierarchies, Shape

if TYPE_CHECKING:
    from archival_pipeline.local.camunda_data.rows import Rows

_DAY = timedelta(days=1)
DEPLOYMENT = "deployment"


def add_hierarchies(hierarchies: Hierarchies, definition: tuple[str, str], now: datetime) -> None:
    """Add hierarchies that look due and are not, or the other way round."""
    long_ago = now - 9 * _DAY
    for shape in (
        # Removal times by the start: the instance runs past its own.
        Shape(due=False, removal=long_ago, ended=None, runs=True, definition=definition),
        # History calls it active, the runtime does not know it any more.
        Shape(due=True, removal=long_ago, ended=None, definition=definition),
        # Its definition had no time to live.
        Shape(due=False, removal=None, ended=long_ago, definition=definition),
        # Due at this very moment, and a millisecond later.
        Shape(due=True, removal=now, ended=now - _DAY, definition=definition),
        Shape(due=False, removal=now + timedelta(milliseconds=1), ended=now - _DAY, definition=definition),
        # From before 7.10, given a removal time since.
        Shape(due=True, removal=long_ago, ended=long_ago, old=True, definition=definition),
    ):
        hierarchies.add(shape, calls=2)


def add_rows(rows: Rows, instance: str, now: datetime) -> None:
    """Add rows that belong to no hierarchy.

    Args:
        rows: collects them.
        instance: a running instance, for rows of the runtime.
        now: the engine's wall clock.
    """
    past = now - 9 * _DAY
    _bytes_of_others(rows, instance, past)
    _decisions_and_batches(rows, past, now + _DAY)
    # Nothing says when these expire.
    rows.add("act_hi_taskinst", due=False, start_time_=past, name_="standalone")
    rows.add("act_hi_op_log", due=False, timestamp_=past, operation_type_="Create", entity_type_="User")
    # The log of the engine's own cleanup job.
    rows.add("act_hi_job_log", due=True, timestamp_=past, job_def_type_="history-cleanup", removal_time_=past)
    # Orphans: the report names them, the cleanup leaves them.
    rows.add(
        "act_hi_detail", due=False, proc_inst_id_="gone", root_proc_inst_id_="gone", time_=past, type_="FormProperty"
    )
    rows.add("act_ge_bytearray", due=False, type_=3, name_="unowned", bytes_=b"unowned", root_proc_inst_id_="gone")


def _bytes_of_others(rows: Rows, instance: str, past: datetime) -> None:
    """Byte arrays of a deployment and of the runtime, with and without a type, some looking expired."""
    common: dict[str, Any] = {"due": False, "rev_": 1, "bytes_": b"runtime", "removal_time_": past}
    rows.add("act_ge_bytearray", **common, type_=1, deployment_id_=DEPLOYMENT, name_="invoice.bpmn")
    rows.add("act_ge_bytearray", **common, type_=None, deployment_id_=DEPLOYMENT, name_="old.bpmn")
    for kind in (2, None):
        content = rows.add("act_ge_bytearray", **common, type_=kind, name_="value")
        rows.add(
            "act_ru_variable", due=False, execution_id_=instance, name_=f"r{kind}", type_="x", bytearray_id_=content
        )
    # The configuration of a batch: no foreign key protects it.
    rows.add("act_ge_bytearray", **common, type_=2, name_="configuration")


def _decisions_and_batches(rows: Rows, past: datetime, future: datetime) -> None:
    for due, removal in ((True, past), (False, future)):
        decision = rows.add("act_hi_decinst", due=due, eval_time_=past, removal_time_=removal)
        content = rows.add("act_ge_bytearray", due=due, type_=3, bytes_=b"input", removal_time_=removal)
        rows.add("act_hi_dec_in", due=due, dec_inst_id_=decision, bytearray_id_=content, removal_time_=removal)
        # An output that expires later than its decision goes with it all the same.
        rows.add("act_hi_dec_out", due=due, dec_inst_id_=decision, removal_time_=future)
        rows.add("act_hi_batch", due=due, type_="instance-deletion", removal_time_=removal, end_time_=past)
    running = rows.add("act_hi_batch", due=False, type_="instance-deletion", removal_time_=past)
    rows.add("act_ru_batch", due=False, id_=running, type_="instance-deletion")
