"""What stops archived trees from coming back to the primary, told before anything is written.

Per tree: unique keys that the engine has given to others meanwhile. For the whole restore: ids that the primary has
never issued, by which it is another database than the one the rows came from. Not here: content that stands in the
primary already (``transfer.py`` compares it).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archival_pipeline import errors
from archival_pipeline.archival import keys, trees
from archival_pipeline.archival.ledger import TreeReport
from archival_pipeline.catalogue import comebacks
from archival_pipeline.catalogue.comebacks import UNIQUE_KEYS, UniqueKey
from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg

    from archival_pipeline.archival.move import Move
    from archival_pipeline.catalogue.binding import BoundCatalogue


@dataclass(frozen=True, slots=True)
class _Taken:
    """A unique key that another row of the primary holds; ``archived`` and ``holder`` are JSON objects."""

    unique: UniqueKey
    archived: str
    holder: str


def find(
    backup: psycopg.Connection[Any],
    primary: psycopg.Connection[Any],
    catalogue: BoundCatalogue,
    several: Mapping[int, Sequence[int]],
) -> dict[int, TreeReport]:
    """Trees whose unique keys the engine has given to others meanwhile.

    Args:
        backup: a session on the backup, in a transaction.
        primary: a session on the primary.
        catalogue: what belongs to an instance.
        several: members by root.
    """
    members = [member for some in several.values() for member in some]
    taken = _taken(primary, _archived(backup, catalogue, members))
    if not taken:
        return {}
    found: dict[int, TreeReport] = {}
    for root, some in several.items():
        mine = _archived(backup, catalogue, some)
        wrong = next((each for each in taken if each.archived in mine.get(each.unique, ())), None)
        if wrong is not None:
            found[root] = _report(root, wrong)
    return found


def _archived(
    backup: psycopg.Connection[Any], catalogue: BoundCatalogue, members: Sequence[int]
) -> dict[UniqueKey, list[str]]:
    found = keys.resolve(backup, catalogue, members)
    there = {table.name for table in (*catalogue.tables, *catalogue.shared)}
    archived: dict[UniqueKey, list[str]] = {}
    for unique in UNIQUE_KEYS:
        if unique.table not in there:
            continue
        query = comebacks.archived_keys(catalogue.table(unique.table), unique, found.filled)
        if query is not None:
            archived[unique] = [row[0] for row in backup.execute(query, found.parameters)]
    return archived


def _taken(primary: psycopg.Connection[Any], archived: Mapping[UniqueKey, Sequence[str]]) -> list[_Taken]:
    with primary.transaction():
        return [
            _Taken(unique, mine, holder)
            for unique, rows in archived.items()
            if rows
            for mine, holder in primary.execute(comebacks.taken_keys(unique), {"rows": f"[{','.join(rows)}]"})
        ]


def _report(root: int, taken: _Taken) -> TreeReport:
    unique = taken.unique
    key = ", ".join(f"{unique.table}.{name}" for name in unique.columns)
    holder = ", ".join(f"{name} = {value}" for name, value in json.loads(taken.holder).items())
    detail = (
        f"The key {key} of the tree of instance {root} is held by another row in the primary now ({holder}). "
        "Wait until that row is gone, or compare both, then restore again."
    )
    return TreeReport(root, "quarantined", "key_reused", root, "23505", detail)


def require_issued(move: Move, roots: Sequence[int]) -> None:
    """Refuse the restore if the primary has never issued an id that the selected trees bring along.

    A sequence never goes back, so a database that is behind is not the one the rows came from, or was rebuilt: the ids
    would be given out a second time.

    Args:
        move: a restore.
        roots: what it is about to bring back.

    Raises:
        PreflightError: the sequences that are behind, or that the role may not read.
    """
    issued = comebacks.issued_ids(move.catalogue)
    backup, primary = move.control.session("backup"), move.control.session("primary")
    with primary.transaction():
        rows = primary.execute(load_sql("primary/sequence_bounds"), {"names": [each.sequence for each in issued]})
        bounds = {name: last if readable else None for name, readable, last in rows}
    hidden = [
        f"the role may not read sequence {name} of the primary; run GRANT SELECT ON SEQUENCE {name} to it"
        for name, last in sorted(bounds.items())
        if last is None
    ]
    if hidden:
        raise errors.PreflightError(hidden)
    # An engine may keep a sequence under another name: nothing is known of that one.
    issued_up_to = {name: last for name, last in bounds.items() if last is not None}
    known = [each for each in issued if each.sequence in issued_up_to]
    with backup.transaction():
        highest = backup.execute(comebacks.highest_ids(known)).fetchone() or ()
        beyond = [each for each, top in zip(known, highest, strict=True) if (top or 0) > issued_up_to[each.sequence]]
        if not beyond:
            return
        members = [member for some in trees.closure(backup, roots).values() for member in some]
        found = keys.resolve(backup, move.catalogue, members)
        query = comebacks.highest_owned_ids(move.catalogue, beyond, found.filled)
        highest = backup.execute(query, found.parameters).fetchone() or ()
    findings = [
        f"{each.table}.{each.column} goes up to {top} in the selected trees, and the primary's sequence "
        f"{each.sequence} has only come to {issued_up_to[each.sequence]}: it is another database, or was rebuilt"
        for each, top in zip(beyond, highest, strict=True)
        if (top or 0) > issued_up_to[each.sequence]
    ]
    if findings:
        raise errors.PreflightError(findings)
