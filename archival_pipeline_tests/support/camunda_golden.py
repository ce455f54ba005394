"""History that the real engine wrote, with what the engine itself could see beside it.

Not here: the checks (``unit/variables/test_golden.py``).
"""

from __future__ import annotations

import csv
import json
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg import sql

from archival_pipeline.variables.history import Activity, Change, History, JobSuccess, Process, Variable

if TYPE_CHECKING:
    import psycopg

_FOLDER = Path(__file__).with_suffix("")
_VALUES = ("bytearray_id_", "double_", "long_", "text_", "text2_")


@cache
def table(name: str) -> list[dict[str, str | None]]:
    """The rows of a table; an empty cell is null, as no column here holds an empty text."""
    with (_FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as handle:
        return [{column: value or None for column, value in row.items()} for row in csv.DictReader(handle)]


@cache
def expected() -> list[dict[str, Any]]:
    """One document per activity instance and boundary."""
    lines = (_FOLDER / "expected_visible.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@cache
def history(process_id: str) -> History:
    """The history of one process instance."""
    process = next(row for row in table("act_hi_procinst") if row["id_"] == process_id)
    return History(
        _process(process),
        [_activity(row) for row in table("act_hi_actinst") if row["proc_inst_id_"] == process_id],
        [_variable(row) for row in table("act_hi_varinst") if row["proc_inst_id_"] == process_id],
        [_change(row) for row in table("act_hi_detail") if row["proc_inst_id_"] == process_id],
        [_job(row) for row in table("act_hi_job_log") if row["process_instance_id_"] == process_id],
    )


def detail(change_id: str) -> dict[str, str | None]:
    """The full row of a change."""
    return next(row for row in table("act_hi_detail") if row["id_"] == change_id)


def content(bytearray_id: str | None) -> str | None:
    """Bytes in hex."""
    return next((row["bytes_hex"] for row in table("act_ge_bytearray") if row["id_"] == bytearray_id), None)


def _process(row: dict[str, Any]) -> Process:
    return Process(
        row["id_"], row["proc_def_id_"], row["proc_def_key_"], row["root_proc_inst_id_"], row["state_"],
        _moment(row["start_time_"]), _maybe(row["end_time_"]), _maybe(row["removal_time_"]), row["tenant_id_"],
    )  # fmt: skip


def _activity(row: dict[str, Any]) -> Activity:
    return Activity(
        row["id_"], row["parent_act_inst_id_"], row["execution_id_"], row["act_id_"], row["act_name_"],
        row["act_type_"], _moment(row["start_time_"]), _maybe(row["end_time_"]), int(row["act_inst_state_"]),
        row["task_id_"],
    )  # fmt: skip


def _variable(row: dict[str, Any]) -> Variable:
    return Variable(
        row["id_"], row["name_"], row["execution_id_"], row["act_inst_id_"], row["task_id_"],
        row["state_"] == "DELETED", row["var_type_"],
    )  # fmt: skip


def _change(row: dict[str, Any]) -> Change:
    counter = int(row["long_"]) if row["name_"] == "loopCounter" and row["long_"] else None
    return Change(
        row["id_"], row["var_inst_id_"], row["act_inst_id_"], row["execution_id_"], int(row["sequence_counter_"]),
        int(row["rev_"]), _moment(row["time_"]), row["var_type_"], all(row[name] is None for name in _VALUES), counter,
    )  # fmt: skip


def _job(row: dict[str, Any]) -> JobSuccess:
    return JobSuccess(row["id_"], row["act_id_"], row["execution_id_"])


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _maybe(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def load(session: psycopg.Connection[Any], prefix: str = "") -> None:
    """Copy every row into the tables of a Camunda database; the caller owns the transaction."""
    for path in sorted(_FOLDER.glob("*.csv")):
        rows = table(path.stem)
        if rows:
            _copy(session, f"{prefix}{path.stem}", rows)


def _copy(session: psycopg.Connection[Any], name: str, rows: list[dict[str, str | None]]) -> None:
    columns = list(rows[0])
    names = ["bytes_" if column == "bytes_hex" else column for column in columns]
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(name), sql.SQL(", ").join(map(sql.Identifier, names))
    )
    with session.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(
                [bytes.fromhex(row[column] or "") if column == "bytes_hex" else row[column] for column in columns]
            )
