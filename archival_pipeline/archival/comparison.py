"""Compares one tree row by row between both sides, to say what became of it while it was moved.

Used only for trees whose digests differ: everything else is decided by digests. Not here: what is done about it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from archival_pipeline.archival import digests, keys
from archival_pipeline.archival.direction import is_archive
from archival_pipeline.archival.ledger import TreeReport
from archival_pipeline.catalogue import statements

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg

    from archival_pipeline.archival.digests import Digest
    from archival_pipeline.archival.keys import Keys
    from archival_pipeline.archival.lanes import Lane
    from archival_pipeline.archival.move import Move


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of one table: how often each hash stands there, and the primary key of each hash."""

    hashes: Counter[bytes]
    keys: dict[bytes, str]


def verdict(
    lane: Lane, move: Move, root: int, members: Sequence[int], gone: Mapping[str, Digest], *, intact: bool
) -> TreeReport | None:
    """Say whether a tree may be deleted as it is now, inside the transaction that has just deleted it.

    Args:
        lane: its sessions; the destination is read in a transaction of its own.
        move: the operation.
        root: the tree.
        members: its instances.
        gone: digests of what was just deleted.
        intact: whether the destination still holds the whole batch as it was read back there. Only then can rows that
            the origin lacks be the work of the engine's own cleanup.

    Returns:
        None if the operation compares nothing, or if the destination has every deleted row: the tree is equal, or the
        engine's own cleanup took some rows away meanwhile, which the archive keeps. A ``skipped`` report if the origin
        still has every row of the copy, changed or joined by others, so that the copy may be taken back. A
        ``quarantined`` report if rows are missing on both sides.
    """
    if not move.compares:
        return None
    destination, archive = move.direction.destination, is_archive(move.direction.destination)
    with lane.snapshot(destination) as there:
        found = keys.resolve(there, move.catalogue, members)
        theirs = digests.measure(there, move.catalogue, found, archive=archive)
        wrong = digests.differences(theirs.filled(), gone)
        if not wrong:
            return None
        copied = _read_all(there, move, found, archive=archive)
    tables = "; ".join(wrong)
    if not move.direction.copies:
        detail = f"the other database does not hold the same: {tables}"
        return TreeReport(root, "skipped", "not_backed_up", root, detail=detail)
    with lane.snapshot(move.direction.origin) as before:
        # The deletion is not committed, so a snapshot still shows what it has removed.
        mine = keys.resolve(before, move.catalogue, members)
        origin = _read_all(before, move, mine, archive=is_archive(move.direction.origin))
    if intact and all(not rows.hashes - _of(copied, name).hashes for name, rows in origin.items()):
        return None
    if not any(_vanished(rows, _of(origin, name)) for name, rows in copied.items()):
        detail = f"the tree changed after it was copied: {tables}"
        return TreeReport(root, "skipped", "changed_during_run", root, detail=detail)
    return TreeReport(
        root,
        "quarantined",
        "changed_during_run",
        root,
        "DIGEST_MISMATCH",
        f"Rows of the tree vanished from the origin while others came or changed ({tables}); it stands in both "
        "databases. Compare both, then delete it on one side (delete-bulk).",
    )


def unless_rows_are_missing(lane: Lane, move: Move, members: Sequence[int], report: TreeReport) -> TreeReport:
    """The report of a tree that stays, or a quarantine if the copy has rows that the origin has lost meanwhile.

    Only of a tree that the origin has entirely may the copy be taken back.
    """
    origin_side, copy_side = move.direction.origin, move.direction.destination
    with lane.snapshot(copy_side) as there:
        found = keys.resolve(there, move.catalogue, members)
        copied = _read_all(there, move, found, archive=is_archive(copy_side))
    with lane.snapshot(origin_side) as before:
        mine = keys.resolve(before, move.catalogue, members)
        origin = _read_all(before, move, mine, archive=is_archive(origin_side))
    if not any(_vanished(rows, _of(origin, name)) for name, rows in copied.items()):
        return report
    detail = f"{report.detail}; and rows of it are in the copy alone by now, so that it stands in both databases"
    return replace(report, outcome="quarantined", error_code="DIGEST_MISMATCH", detail=detail)


def _vanished(copied: _Rows, origin: _Rows) -> bool:
    """Whether the origin lacks a row of the copy altogether, not only in its old form."""
    known = set(origin.keys.values())
    return any(not copied.keys[row] or copied.keys[row] not in known for row in copied.hashes - origin.hashes)


def _of(rows: Mapping[str, _Rows], name: str) -> _Rows:
    return rows.get(name, _Rows(Counter(), {}))


def _read_all(connection: psycopg.Connection[Any], move: Move, found: Keys, *, archive: bool) -> dict[str, _Rows]:
    rows: dict[str, _Rows] = {}
    for table in move.catalogue.tables:
        statement = statements.row_hashes(table, found.filled, archive=archive)
        if statement is not None:
            read = connection.execute(statement, found.parameters).fetchall()
            rows[table.name] = _Rows(Counter(row[0] for row in read), dict(read))
    return rows
