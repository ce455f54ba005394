"""Digests of the rows of a batch: those of the catalogue's tables that its keys reach.

What a digest is, and how two are compared, stands in ``catalogue/digests.py``. Not here: which rows belong to a batch
(``keys.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archival_pipeline.catalogue import digests
from archival_pipeline.catalogue.digests import EMPTY, Digest, Measure, differences

if TYPE_CHECKING:
    import psycopg

    from archival_pipeline.archival.keys import Keys
    from archival_pipeline.catalogue.binding import BoundCatalogue

__all__ = ["EMPTY", "Digest", "Measure", "differences", "measure"]


def measure(connection: psycopg.Connection[Any], catalogue: BoundCatalogue, keys: Keys, *, archive: bool) -> Measure:
    """Compute the digest of every table that the keys can reach, in one round trip.

    Args:
        connection: a session of the side to read.
        catalogue: what to read.
        keys: the batch's keys.
        archive: whether the side is the backup.
    """
    return digests.measure(connection, catalogue.tables, keys.filled, keys.parameters, archive=archive)
