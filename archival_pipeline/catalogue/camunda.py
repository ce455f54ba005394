"""What belongs to the history of a Camunda process instance: the tables, how they are reached, in which order.

The order is that of the engine's own cleanup, so that two cleanups at once take their locks in the same order. Tables
and columns that came with a later release are marked; what a live database has is asked from that database. Not here:
statements (``history/cleanup``), and columns (``camunda_facts``).
"""

from __future__ import annotations

from dataclasses import dataclass

ROOT = "root_proc_inst_id_"
REMOVAL = "removal_time_"
ROOTS_TABLE = "act_hi_procinst"
BYTES_TABLE = "act_ge_bytearray"
CASE = "case_inst_id_"
CASES_TABLE = "act_hi_caseinst"
METRICS_TABLE = "act_ru_task_meter_log"
# 1 is a deployment, 2 a runtime value; none before release 7.10.
HISTORY_BYTES = 3


@dataclass(frozen=True, slots=True)
class HistoryTable:
    """A table whose rows expire.

    Attributes:
        name: without prefix, lower case.
        instance: column with the process instance id; None where only the root says where a row belongs.
        content: column with the id of a byte array that the row owns.
        decision: column with the id of the decision instance that the row belongs to.
        task: column with the id of the task, for rows that carry no instance id.
        rooted: whether a root instance owns the rows.
        key: primary key.
        counted: name of the engine's metric that counts removed rows.
    """

    name: str
    instance: str | None = "proc_inst_id_"
    content: str | None = None
    decision: str | None = None
    task: str | None = None
    rooted: bool = True
    key: str = "id_"
    counted: str | None = None


# In the order of the engine's row rule.
HISTORY_TABLES: tuple[HistoryTable, ...] = (
    HistoryTable("act_hi_actinst"),
    HistoryTable("act_hi_taskinst"),
    HistoryTable("act_hi_varinst", content="bytearray_id_"),
    HistoryTable("act_hi_detail", content="bytearray_id_"),
    HistoryTable("act_hi_incident"),
    HistoryTable("act_hi_ext_task_log", content="error_details_id_"),
    HistoryTable("act_hi_job_log", instance="process_instance_id_", content="job_exception_stack_id_"),
    HistoryTable("act_hi_op_log"),
    HistoryTable("act_hi_identitylink", instance=None, task="task_id_"),
    HistoryTable("act_hi_comment"),
    HistoryTable("act_hi_attachment", content="content_id_"),
    HistoryTable(BYTES_TABLE, instance=None),
    HistoryTable("act_ru_authorization", instance=None),
    HistoryTable(ROOTS_TABLE, counted="history-cleanup-removed-process-instances"),
    HistoryTable("act_hi_dec_in", instance=None, content="bytearray_id_", decision="dec_inst_id_"),
    HistoryTable("act_hi_dec_out", instance=None, content="bytearray_id_", decision="dec_inst_id_"),
    HistoryTable("act_hi_decinst", counted="history-cleanup-removed-decision-instances"),
    HistoryTable("act_hi_batch", instance=None, rooted=False, counted="history-cleanup-removed-batch-operations"),
    # Without a removal time and without a root: these go by an age of their own.
    HistoryTable("act_hi_caseactinst", instance=None, rooted=False),
    HistoryTable(CASES_TABLE, instance=None, rooted=False, counted="history-cleanup-removed-case-instances"),
    HistoryTable(METRICS_TABLE, instance=None, rooted=False, counted="history-cleanup-removed-task-metrics"),
)

BY_NAME = {table.name: table for table in HISTORY_TABLES}
# Who may own a byte array of the history: every column that names one.
CONTENT_OWNERS = tuple((table.name, table.content) for table in HISTORY_TABLES if table.content)
# Who may refer to one that is none: a foreign key stands behind each.
RUNTIME_OWNERS = (
    ("act_ru_variable", "bytearray_id_"),
    ("act_ru_job", "exception_stack_id_"),
    ("act_ru_ext_task", "error_details_id_"),
)
# Rows of these tables carry the id of an instance whose row may be gone.
# Rows of these belong to a case instance, where they name one and no process instance.
CASE_TABLES = tuple(
    BY_NAME[name]
    for name in (
        *("act_hi_caseactinst", "act_hi_taskinst", "act_hi_varinst", "act_hi_detail", "act_hi_op_log"),
        "act_hi_decinst",
    )
)
CHILD_TABLES = tuple(table for table in HISTORY_TABLES if table.instance and table.name != ROOTS_TABLE)
