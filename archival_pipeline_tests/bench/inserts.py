"""The INSERT script: generated for each batch of 100 trees, executed in the backup, then deleted path by path.

Large objects travel as content and are not unlinked; nothing is verified. It is slow, so it runs on some batches only
and is compared by its rate.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from psycopg import sql

from archival_pipeline.archival import keys, script
from archival_pipeline.catalogue import statements
from archival_pipeline.database.connections import connect
from archival_pipeline_tests.bench.results import Measurement

if TYPE_CHECKING:
    import psycopg

    from archival_pipeline.archival.keys import Keys
    from archival_pipeline.catalogue.binding import BoundCatalogue
    from archival_pipeline_tests.bench.scene import Pair

_BATCH = 100
LINE = "insert_script"


def measure(pair: Pair, batches: int) -> Measurement:
    """Move the first batches of the forest that way.

    Args:
        pair: where.
        batches: how many at most.
    """
    trees = pair.forest.movable[: batches * _BATCH]
    parts = {"generate": 0.0, "insert": 0.0, "delete": 0.0}
    rows = 0
    catalogue, before = pair.catalogue, pair.cost()
    with (
        connect(pair.primary, purpose="insert script") as origin,
        connect(pair.backup, purpose="insert script", autocommit=True) as destination,
    ):
        for start in range(0, len(trees), _BATCH):
            members = [member for tree in trees[start : start + _BATCH] for member in tree]
            marks = [perf_counter()]
            found = keys.resolve(origin, catalogue, members)
            text = "\n".join(script.insert_script(origin, catalogue, found))
            marks.append(perf_counter())
            destination.execute(text.encode())
            marks.append(perf_counter())
            rows += _delete(origin, catalogue, found)
            origin.commit()
            marks.append(perf_counter())
            for name, begin, end in zip(parts, marks, marks[1:], strict=False):
                parts[name] += end - begin
    return Measurement(
        line=LINE,
        seconds=sum(parts.values()),
        rows=rows,
        trees=len(trees),
        cost=pair.cost() - before,
        parts=parts,
        problems=pair.problems(),
    )


def _delete(origin: psycopg.Connection[Any], catalogue: BoundCatalogue, found: Keys) -> int:
    deleted = 0
    for table in reversed(catalogue.tables):
        condition = statements.owned_rows(table, found.filled)
        if condition is not None:
            statement = sql.SQL("DELETE FROM {} AS t WHERE {}").format(sql.Identifier(table.name), condition)
            deleted += origin.execute(statement, found.parameters).rowcount
    return deleted
