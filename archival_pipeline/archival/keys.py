"""Resolves the keys of a batch: every id through which rows of its instances are reached.

Not here: what the key sets are (``catalogue/jbpm.py``), the statements that use them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from archival_pipeline.catalogue import key_statements
from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    import psycopg

    from archival_pipeline.catalogue.binding import BoundCatalogue

_NONE = "{}"

# A row whose transaction was still open during the scan has a key that was drawn before. Rows this close to the
# greatest key are looked at again with every batch.
_STILL_OPEN = 1_000


@dataclass(frozen=True, slots=True)
class Keys:
    """Key sets of some instances, as read in one snapshot.

    Attributes:
        parameters: an array literal for each key set, ready to be bound.
        filled: names of the sets that hold a key.
    """

    parameters: dict[str, str]
    filled: frozenset[str]


@dataclass(frozen=True, slots=True)
class Scanned:
    """What one scan found in the tables that have no index on the instance.

    Attributes:
        members: the instances it was asked for.
        keys: by key set and instance.
        after: by key set, the key after which rows were perhaps not seen.
    """

    members: frozenset[int] = frozenset()
    keys: Mapping[str, Mapping[int, Sequence[int]]] = field(default_factory=dict)
    after: Mapping[str, int] = field(default_factory=dict)

    def parameters(self, members: Sequence[int]) -> dict[str, Any]:
        """What ``resolve_keys`` binds for these instances."""
        bound: dict[str, Any] = {}
        for name, after in self.after.items():
            found = self.keys.get(name, {})
            bound[f"known_{name}"] = array_literal([key for member in members for key in found.get(member, ())])
            bound[f"after_{name}"] = after
        return bound


NOTHING_SCANNED = Scanned()


def array_literal(ids: Sequence[int]) -> str:
    """Write ids as PostgreSQL reads a ``bigint []``."""
    return "{" + ",".join(map(str, ids)) + "}"


def union(several: Sequence[Keys]) -> Keys:
    """The keys of several batches together."""
    parameters = {
        name: "{" + ",".join(inner for each in several if (inner := each.parameters[name][1:-1])) + "}"
        for name in several[0].parameters
    }
    return Keys(parameters, frozenset().union(*(each.filled for each in several)))


def resolve(
    connection: psycopg.Connection[Any],
    catalogue: BoundCatalogue,
    members: Sequence[int],
    *,
    scanned: Scanned = NOTHING_SCANNED,
    left_sessions: Sequence[int] = (),
) -> Keys:
    """Find every key of the given instances, in one round trip.

    Args:
        connection: a session of the side that holds the instances.
        catalogue: what belongs to an instance.
        members: process instance ids, descendants included.
        scanned: what a scan of the same side found. Of use if it was asked for all of these instances: then nothing
            is scanned again.
        left_sessions: engine sessions that count as another's, whoever maps them now.
    """
    parameters: dict[str, Any] = {"process": array_literal(members), "left_sessions": array_literal(left_sessions)}
    # No instances at all are among those of every scan, of one that was never made, too.
    known = bool(scanned.members) and scanned.members.issuperset(members)
    if known:
        parameters |= scanned.parameters(members)
    row = connection.execute(key_statements.resolve_keys(catalogue, scanned_before=known), parameters).fetchone()
    assert row is not None  # noqa: S101 - the statement selects scalars only
    parameters = {key_set.name: keys for key_set, keys in zip(catalogue.key_sets, row, strict=True)}
    return Keys(parameters, frozenset(name for name, keys in parameters.items() if keys != _NONE))


def scan(connection: psycopg.Connection[Any], catalogue: BoundCatalogue, members: Sequence[int]) -> Scanned:
    """Read the tables without an index on the instance once, for many batches.

    Args:
        connection: a session of the side that holds the instances.
        catalogue: what belongs to an instance.
        members: process instance ids of all the batches, descendants included.
    """
    statement = key_statements.scan_keys(catalogue)
    if statement is None:
        return Scanned(frozenset(members))
    found: dict[str, dict[int, list[int]]] = {}
    after: dict[str, int] = {}
    for name, member, key in connection.execute(statement, {"process": array_literal(members)}):
        if member is None:
            after[name] = key - _STILL_OPEN
        else:
            found.setdefault(name, {}).setdefault(member, []).append(key)
    return Scanned(frozenset(members), found, after)


def resolve_copied(
    connection: psycopg.Connection[Any],
    destination: AbstractContextManager[psycopg.Connection[Any]],
    catalogue: BoundCatalogue,
    members: Sequence[int],
    scanned: Scanned = NOTHING_SCANNED,
) -> Keys:
    """Find the keys of instances that were copied, without the sessions that were not.

    A session that two trees share goes with neither. When the first of them is gone the second is the only one that
    maps it, and would be asked to take along a row that was not copied with it.

    Args:
        connection: a session of the side that holds the instances.
        destination: opens a session of the side that they were copied to; entered only where a session is at stake.
        catalogue: what belongs to an instance.
        members: process instance ids, descendants included.
        scanned: see ``resolve``.
    """
    found = resolve(connection, catalogue, members, scanned=scanned)
    if "session" not in found.filled:
        return found
    with destination as there:
        rows = there.execute(load_sql("common/sessions_not_there"), {"sessions": found.parameters["session"]})
        left = [session for (session,) in rows]
    return resolve(connection, catalogue, members, scanned=scanned, left_sessions=left) if left else found
