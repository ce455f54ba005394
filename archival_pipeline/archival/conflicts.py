"""What stops an archived tree from coming back to the primary, told per tree before anything is written.

Not here: content that stands in the primary already (``transfer.py`` compares it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archival_pipeline.archival.keys import array_literal
from archival_pipeline.archival.ledger import TreeReport
from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg


def find(
    backup: psycopg.Connection[Any], primary: psycopg.Connection[Any], trees: Mapping[int, Sequence[int]]
) -> dict[int, TreeReport]:
    """Trees whose unique keys the engine has given to others meanwhile.

    Args:
        backup: a session on the backup, in a transaction.
        primary: a session on the primary.
        trees: members by root.
    """
    pairs = [(root, member) for root, members in trees.items() for member in members]
    parameters = {
        "roots": array_literal([root for root, _ in pairs]),
        "members": array_literal([member for _, member in pairs]),
    }
    names = backup.execute(load_sql("backup/conflict_names"), parameters).fetchall()
    with primary.transaction():
        taken = {
            row[0]: row[1]
            for row in primary.execute(load_sql("primary/conflict_names"), {"names": [n for _, _, n in names]})
        }
    found: dict[int, TreeReport] = {}
    for root, member, name in names:
        if name in taken and root not in found:
            detail = (
                f"correlationkeyinfo.name of instance {member} is held by instance {taken[name]} in the primary now. "
                "Wait until that one has ended, then restore again."
            )
            found[root] = TreeReport(root, "quarantined", "key_reused", member, "23505", detail)
    return found
