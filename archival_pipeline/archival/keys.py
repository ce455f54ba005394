"""Resolves the keys of a batch: every id through which rows of its instances are reached.

Not here: what the key sets are (``catalogue/jbpm.py``), the statements that use them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archival_pipeline.catalogue import statements
from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

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


def resolve(
    connection: psycopg.Connection[Any],
    catalogue: BoundCatalogue,
    members: Sequence[int],
    *,
    left_sessions: Sequence[int] = (),
) -> Keys:
    """Find every key of the given instances, in one round trip.

    Args:
        connection: a session of the side that holds the instances.
        catalogue: what belongs to an instance.
        members: process instance ids, descendants included.
        left_sessions: engine sessions that count as another's, whoever maps them now.
    """
    parameters = {"process": array_literal(members), "left_sessions": array_literal(left_sessions)}
    row = connection.execute(statements.resolve_keys(catalogue), parameters).fetchone()
    assert row is not None  # noqa: S101 - the statement selects scalars only
    parameters = {key_set.name: keys for key_set, keys in zip(catalogue.key_sets, row, strict=True)}
    return Keys(parameters, frozenset(name for name, keys in parameters.items() if keys != _NONE))


def resolve_copied(
    connection: psycopg.Connection[Any],
    destination: AbstractContextManager[psycopg.Connection[Any]],
    catalogue: BoundCatalogue,
    members: Sequence[int],
) -> Keys:
    """Find the keys of instances that were copied, without the sessions that were not.

    A session that two trees share goes with neither. When the first of them is gone the second is the only one that
    maps it, and would be asked to take along a row that was not copied with it.

    Args:
        connection: a session of the side that holds the instances.
        destination: opens a session of the side that they were copied to; entered only where a session is at stake.
        catalogue: what belongs to an instance.
        members: process instance ids, descendants included.
    """
    found = resolve(connection, catalogue, members)
    if "session" not in found.filled:
        return found
    with destination as there:
        rows = there.execute(load_sql("common/sessions_not_there"), {"sessions": found.parameters["session"]})
        left = [session for (session,) in rows]
    return resolve(connection, catalogue, members, left_sessions=left) if left else found
