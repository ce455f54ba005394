"""Resolves the keys of a batch: every id through which rows of its instances are reached.

Not here: what the key sets are (``catalogue/jbpm.py``), the statements that use them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archival_pipeline.catalogue import statements

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from archival_pipeline.catalogue.binding import BoundCatalogue

_NONE = "{}"


@dataclass(frozen=True, slots=True)
class Keys:
    """Key sets of some instances, as read in one snapshot.

    Attributes:
        parameters: an array literal for each key set, ready to be bound.
        filled: names of the sets that hold a key.
    """

    parameters: dict[str, str]
    filled: frozenset[str]


def array_literal(ids: Sequence[int]) -> str:
    """Write ids as PostgreSQL reads a ``bigint []``."""
    return "{" + ",".join(map(str, ids)) + "}"


def resolve(connection: psycopg.Connection[Any], catalogue: BoundCatalogue, members: Sequence[int]) -> Keys:
    """Find every key of the given instances, in one round trip.

    Args:
        connection: a session of the side that holds the instances.
        catalogue: what belongs to an instance.
        members: process instance ids, descendants included.
    """
    row = connection.execute(statements.resolve_keys(catalogue), {"process": array_literal(members)}).fetchone()
    assert row is not None  # noqa: S101 - the statement selects scalars only
    parameters = {key_set.name: keys for key_set, keys in zip(catalogue.key_sets, row, strict=True)}
    return Keys(parameters, frozenset(name for name, keys in parameters.items() if keys != _NONE))
