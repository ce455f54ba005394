"""Runs one move in a process of its own, step by step as the product's front ends do, with a fault if one is asked for.

::

    python -m archival_pipeline_tests.support.worker --operation backup --filters '{}' --options '{}' --audit-id a
    python -m archival_pipeline_tests.support.worker --serve

The databases come from the product's environment variables. One line of JSON says how it ended. With ``--serve`` one
such call is read per line of standard input and runs in a fork, which saves the imports: a hundred crashes in a row are
then cheap. Not here: what is expected of it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import sys
import traceback
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archival_pipeline import errors
from archival_pipeline.archival import move as moves
from archival_pipeline.archival import steps
from archival_pipeline.archival.direction import direction_of
from archival_pipeline.archival.filters import parse_filters
from archival_pipeline.archival.options import parse_options
from archival_pipeline.settings import load_settings
from archival_pipeline_tests.faults.points import Fault, FaultPoints, install
from archival_pipeline_tests.support.forks import serve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archival_pipeline.archival.move import Move
    from archival_pipeline.settings import Settings

DONE, FAILED, STOPPED = 0, 1, 130


def main(arguments: Sequence[str]) -> int:
    """Run one call; print how it ended."""
    given = _arguments().parse_args(arguments)
    # As the command line does: the first signal is an interrupt of the work.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    settings = load_settings()
    log = os.open(given.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    points = FaultPoints(settings, [Fault.parse(text) for text in given.fault], log)
    install(points)
    if given.statement_timeout:
        moves.LIMITS = replace(moves.LIMITS, statement_timeout=given.statement_timeout)
    code, result = _ending(settings, given)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    result |= {"points": points.count, "fired": points.fired, "memory": memory}
    Path(given.result).write_text(json.dumps(result, default=str), encoding="utf-8")
    return code


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("--operation", choices=("backup", "restore", "delete"), default="backup")
    parser.add_argument("--filters", default="{}")
    parser.add_argument("--options", default="{}")
    parser.add_argument("--audit-id", required=True)
    parser.add_argument("--resume", action="store_true", help="take the operation from the ledger")
    parser.add_argument("--fault", action="append", default=[], help="may be given several times")
    parser.add_argument("--statement-timeout", type=int, help="milliseconds, in place of the product's own")
    parser.add_argument("--log", default=os.devnull, help="gets a line for every fault point")
    parser.add_argument("--result", default="/dev/stdout", help="gets one document")
    return parser


def _ending(settings: Settings, given: argparse.Namespace) -> tuple[int, dict[str, Any]]:
    try:
        return DONE, _run(settings, given)
    except errors.ArchivalError as error:
        trace = traceback.format_exc()
        return FAILED, {"code": error.code, "summary": error.summary, "kind": type(error).__name__, "trace": trace}
    except KeyboardInterrupt:
        return STOPPED, {"code": "STOPPED", "summary": "", "kind": "KeyboardInterrupt"}
    except Exception as error:  # noqa: BLE001 - not hidden: tests that do not expect it print the trace and fail
        trace = traceback.format_exc()
        return FAILED, {"code": "UNEXPECTED", "summary": str(error), "kind": type(error).__name__, "trace": trace}


def _run(settings: Settings, given: argparse.Namespace) -> dict[str, Any]:
    move = _open(settings, given)
    try:
        return _steps(move)
    finally:
        move.close()


def _open(settings: Settings, given: argparse.Namespace) -> Move:
    if given.resume:
        return moves.reopen_move(settings, given.audit_id)
    options = parse_options(json.loads(given.options))
    filters = parse_filters(json.loads(given.filters))
    direction = direction_of(given.operation, options.database)
    return moves.open_move(settings, given.audit_id, filters, options, direction)


def _steps(move: Move) -> dict[str, Any]:
    steps.count(move)
    plan = steps.fetch(move)
    for wave in plan.waves:
        steps.children(move, wave)
        steps.generate_sql(move, wave)
        steps.execute(move, wave)
        steps.delete(move, wave)
    totals = steps.complete(move)
    return {"code": "", "totals": asdict(totals), "stayed": [asdict(report) for report in move.ledger.reports()]}


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        serve(main)
    sys.exit(main(sys.argv[1:]))
