"""The graph of a move: count → fetch → children → generate SQL → execute → delete → complete, waves as dynamic outputs."""

from __future__ import annotations

from dagster import graph

from archival_pipeline.defs import ops


@graph
def process_move() -> None:
    """Move the selected trees, wave by wave."""
    waves = ops.fetch(ops.count())
    moved = waves.map(lambda wave: ops.delete(ops.execute(ops.generate_sql(ops.children(wave)))))
    ops.complete(moved.collect())
