"""Keeps what the kill tests saw, and writes ``docs/crash-table.md`` from it.

::

    make test-faults
    python -m archival_pipeline_tests.faults.crash_table

Each kill test adds its observations to a file under ``build/``; the table folds neighbouring points that leave the same
state into one row. Not here: whether a state is right, which the oracle has said before anything is kept.
"""

from __future__ import annotations

import json
import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from archival_pipeline_tests.support.oracle import Judgement

_REPOSITORY = Path(__file__).parents[2]
PLACE = _REPOSITORY / "docs" / "crash-table.md"
_SEEN = _REPOSITORY / "build" / "crash-points"

_HEAD = """# Crash table

What a kill (SIGKILL) of the mover leaves behind, and what the next run makes of it. Every line was seen, not thought
out: the fault tests kill the mover before and after statements of a job on real servers (each heading says at how many
of all points) and look at both databases. From each state that is found they run the job again, once anew and once
under the old id, and from one in twenty of the points that leave a known state; then they look once more. Neighbouring
statements that leave the same state are one line. After the next run the state was in every case that of a run that
nothing had disturbed.

Written by `python -m archival_pipeline_tests.faults.crash_table` from the last run of the kill tests.
"""


def record(job: str, form: str, seen: Sequence[tuple[str, Judgement]], points: int) -> None:
    """Keep what one kill test saw.

    Args:
        job: name of the job.
        form: which form of the test; the long one wins.
        seen: for each point tried its label and what the crash there left.
        points: how many points the job has.
    """
    _SEEN.mkdir(parents=True, exist_ok=True)
    rows = [[label, j.origin, j.destination, j.ledger] for label, j in seen]
    document = {"job": job, "points": points, "seen": rows}
    (_SEEN / f"{job.replace(' ', '-')}.{form}.json").write_text(json.dumps(document, indent=1), encoding="utf-8")


def write() -> None:
    """Write the table."""
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in _newest()]
    PLACE.write_text(
        "\n".join([_HEAD, *(line for document in documents for line in _part(document))]), encoding="utf-8"
    )


def _newest() -> Iterator[Path]:
    for _, paths in groupby(sorted(_SEEN.glob("*.json")), key=lambda path: path.name.split(".", 1)[0]):
        yield next(iter(sorted(paths)))


def _part(document: dict[str, Any]) -> Iterable[str]:
    yield f"## {document['job'].capitalize()}: {len(document['seen'])} of {document['points']} points tried"
    yield ""
    yield "| Killed from | to | Origin | Destination | Ledger | Next run |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for state, rows in groupby(document["seen"], key=lambda row: row[1:]):
        labels = [row[0] for row in rows]
        cells = [*map(_cell, (labels[0], labels[-1])), *state, _next_run(state[2])]
        yield f"| {' | '.join(cells)} |"
    yield ""


def _cell(label: str) -> str:
    number, words = label.split(" ", 1)
    return f"{number}: `{words[:60].replace('|', ' ').replace('`', ' ')}`"


_NEXT = {
    "planned": "plans and copies as if nothing had been",
    "copying": "asks the primary for the transaction's fate, then copies or deletes",
    "copied": "checks again, then deletes at the origin",
    "deleting": "asks the primary for the transaction's fate, then deletes or closes",
    "deleted": "finds nothing left to do",
}


def _next_run(ledger: str) -> str:
    return _NEXT.get(ledger.split(" ", 1)[0], "finishes each batch by its own state")


if __name__ == "__main__":
    write()
    sys.exit(0)
