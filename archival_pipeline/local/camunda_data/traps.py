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


def add_cases(rows: Rows, now: datetime) -> None:
    """Add cases, decisions and metrics that are due, too young or at work, as the end-time strategy sees them."""
    rows.add("act_re_case_def", due=False, id_="claims:1", key_="claims", version_=1, history_ttl_=5)
    rows.add("act_re_case_def", due=False, id_="kept:1", key_="kept", version_=1)
    rows.add("act_re_decision_def", due=False, id_="rates:1", key_="rates", version_=1, history_ttl_=5)
    old, young = now - 9 * _DAY, now - 2 * _DAY
    for definition, closed, at_work in (
        ("claims:1", old, False),
        ("claims:1", now - 5 * _DAY, False),
        ("claims:1", young, False),
        ("claims:1", None, True),
        # History calls it closed, the runtime knows it still.
        ("claims:1", old, True),
        ("kept:1", old, False),
    ):
        due = definition == "claims:1" and closed is not None and closed != young and not at_work
        _case(rows, definition, closed, due=due, at_work=at_work)
    for moment in (old, young):
        decision = rows.add("act_hi_decinst", due=moment == old, dec_def_id_="rates:1", eval_time_=moment)
        rows.add("act_hi_dec_out", due=moment == old, dec_inst_id_=decision)
        rows.add("act_ru_task_meter_log", due=moment == old, timestamp_=moment)


def _case(rows: Rows, definition: str, closed: datetime | None, *, due: bool, at_work: bool) -> None:
    case = rows.new_id()
    of: dict[str, Any] = {"due": due, "case_inst_id_": case}
    rows.add("act_hi_caseinst", **of, id_=case, case_def_id_=definition, close_time_=closed)
    rows.add("act_hi_caseactinst", **of, case_def_id_=definition)
    rows.add("act_hi_taskinst", **of, case_def_id_=definition)
    content = rows.add("act_ge_bytearray", due=due, type_=3, bytes_=b"case")
    rows.add("act_hi_varinst", **of, name_="claim", bytearray_id_=content)
    rows.add("act_hi_detail", **of, name_="claim", type_="VariableUpdate")
    decision = rows.add("act_hi_decinst", **of)
    rows.add("act_hi_dec_in", due=due, dec_inst_id_=decision)
    # A row that names a process instance too belongs to that one.
    rows.add("act_hi_varinst", due=False, case_inst_id_=case, proc_inst_id_="elsewhere", name_="shared")
    if at_work:
        rows.add("act_ru_case_execution", due=False, id_=case, case_inst_id_=case, case_def_id_=definition)


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
