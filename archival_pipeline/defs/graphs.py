"""The graph of a move, with waves as dynamic outputs.

count → fetch → children → generate SQL → execute → delete → complete
"""

from __future__ import annotations

from dagster import GraphDefinition, graph

from archival_pipeline.archival.direction import OperationName
from archival_pipeline.defs import ops


def move_graph(name: str, operation: OperationName) -> GraphDefinition:
    """The one graph, under a name of its own for each operation; only the first op differs."""
    count = ops.count_op(operation).alias("count")

    @graph(name=name)
    def move() -> None:
        waves = ops.fetch(count())
        moved = waves.map(lambda wave: ops.delete(ops.execute(ops.generate_sql(ops.children(wave)))))
        ops.complete(moved.collect())

    return move
