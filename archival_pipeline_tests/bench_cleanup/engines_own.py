"""The engine's own cleanup by removal time, as SQL: one transaction of up to 19 deletions, each capped by rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import psycopg

# Written down here and not taken from the product, so that a mistake there does not flatter it.
ORDER = (
    "act_hi_actinst",
    "act_hi_taskinst",
    "act_hi_varinst",
    "act_hi_detail",
    "act_hi_incident",
    "act_hi_ext_task_log",
    "act_hi_job_log",
    "act_hi_op_log",
    "act_hi_identitylink",
    "act_hi_comment",
    "act_hi_attachment",
    "act_ge_bytearray",
    "act_ru_authorization",
    "act_hi_procinst",
    "act_hi_dec_in",
    "act_hi_dec_out",
    "act_hi_decinst",
    "act_hi_batch",
)


def clean(
    session: psycopg.Connection[Any], now: datetime, batch_size: int, committed: Callable[[], None] = lambda: None
) -> int:
    """Run until no deletion is full any more; return the number of transactions."""
    statements = [
        sql.SQL("DELETE FROM {table} WHERE id_ IN (SELECT id_ FROM {table} WHERE removal_time_ <= %s LIMIT %s)").format(
            table=sql.Identifier(table)
        )
        for table in ORDER
    ]
    runs = 0
    full = True
    while full:
        with session.transaction():
            full = max(session.execute(each, (now, batch_size)).rowcount for each in statements) >= batch_size
        runs += 1
        committed()
    return runs
