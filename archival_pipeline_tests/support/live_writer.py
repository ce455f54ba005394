"""An engine at work in a process of its own: starts instances, lets them go on, ends them, writes late to old ones.

::

    python -m archival_pipeline_tests.support.live_writer --late 1

It works on the primary of the product's environment variables until its standard input ends, in the engine's own order
of tables, and prints a line for each transaction that it committed: the instance, and how many rows it has by now.
Not here: what becomes of them.
"""

from __future__ import annotations

import argparse
import json
import select
import sys
from typing import TYPE_CHECKING, Any

from archival_pipeline.database.connections import Limits, connect
from archival_pipeline.settings import load_settings

if TYPE_CHECKING:
    import psycopg

    Session = psycopg.Connection[tuple[Any, ...]]

# Between two instances: an engine waits for people.
_PACE_SECONDS = 0.2

_START = """
INSERT INTO processinstancelog (id, processinstanceid, parentprocessinstanceid, processid, status, start_date)
VALUES (nextval('proc_inst_log_id_seq'), %(pid)s, -1, 'live', 1, '2020-01-01')
"""
_ROOM = "SELECT nextval('process_instance_info_id_seq')"
_NODE = """
INSERT INTO nodeinstancelog (id, processinstanceid, type, nodename, log_date)
VALUES (nextval('node_inst_log_id_seq'), %(pid)s, 0, 'step', '2020-01-01')
"""
_VARIABLE = """
INSERT INTO variableinstancelog (id, processinstanceid, variableid, value, log_date)
VALUES (nextval('var_inst_log_id_seq'), %(pid)s, 'live', 'value', '2020-01-01')
"""
_END = "UPDATE processinstancelog SET status = 2, end_date = '2020-01-02' WHERE processinstanceid = %(pid)s"
# The engine writes to an instance only while it has it; to lock the row first is its own way of looking.
_LOOK = "SELECT FROM processinstancelog WHERE processinstanceid = %(pid)s FOR UPDATE"


def main() -> int:
    """Write until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--late", type=int, required=True, help="an ended instance that gets late rows")
    late = parser.parse_args().late
    # An engine does not give up because somebody else works on its tables for a while.
    limits = Limits(lock_timeout=0, statement_timeout=0, idle_in_transaction=0)
    with connect(load_settings().primary, purpose="engine", limits=limits) as session:
        while not select.select([sys.stdin], [], [], _PACE_SECONDS)[0]:
            _live(session)
            _write_late(session, late)
    return 0


def _live(session: Session) -> None:
    """One instance from its start to its end, in three transactions."""
    row = session.execute(_ROOM).fetchone()
    pid = int((row or (0,))[0])
    for statements, rows in (((_START, _NODE), 2), ((_NODE, _VARIABLE), 4), ((_NODE, _END), 5)):
        for statement in statements:
            session.execute(statement, {"pid": pid})
        session.commit()
        _say(pid, rows)


def _write_late(session: Session, pid: int) -> None:
    there = session.execute(_LOOK, {"pid": pid}).fetchone() is not None
    if there:
        session.execute(_NODE, {"pid": pid})
    session.commit()
    if there:
        _say(pid, 1)


def _say(pid: int, rows: int) -> None:
    sys.stdout.write(json.dumps([pid, rows]) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
