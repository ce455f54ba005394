"""Which trees of a wave may move now, by direction: what may leave the primary, and what may come back to it.

The questions are asked once per wave, before anything is written. Not here: the single questions (``trees.py``,
``conflicts.py``), the repetition right before a deletion (``removal.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archival_pipeline.archival import conflicts, expiry, holding, trees

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archival_pipeline.archival.ledger import Batch, TreeReport
    from archival_pipeline.archival.move import Move
    from archival_pipeline.archival.trees import Trees


def eligible(move: Move, batches: Sequence[Batch]) -> Iterator[tuple[Batch, Trees, list[TreeReport]]]:
    """For each batch the trees that may move, and reports of those that may not."""
    origin = move.control.session(move.direction.origin)
    with origin.transaction():
        every = trees.closure(origin, [root for batch in batches for root in batch.root_ids])
        stay: dict[int, TreeReport] = trees.missing(origin, every)
        if move.direction.origin == "primary":
            stay |= trees.shared_content(origin, every)
            stay |= trees.obstacles(origin, every, move.date_limit, only=move.obstacles_that_count)
        if move.direction.operation == "restore":
            stay |= conflicts.find(origin, move.control.session("primary"), move.catalogue, every)
        stay |= expiry.unexpired(move, origin, every)
        stay |= expiry.standing_in_primary(move, move.control.session("primary"), every)
        stay |= holding.on_hold(move.control, move, every)
    for batch in batches:
        may_go = {root: every[root] for root in batch.root_ids if root not in stay and every[root]}
        yield batch, may_go, [stay[root] for root in batch.root_ids if root in stay]
