"""Stored variable snapshots go in the transaction that removes the history they refer to.

They are removed wherever their tables are, even if nothing is stored any more. Not here: what is in one, and snapshots
whose history somebody else removed (``variables``).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from archival_pipeline.catalogue.camunda_sql import release_snapshots, share_snapshots, statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archival_pipeline.history.cleanup.database import Engine, Session

# The table whose rows they refer to, and the one whose rows they belong to.
CHANGES = "act_hi_detail"
INSTANCES = "act_hi_procinst"
_STATEMENTS = {CHANGES: "snapshots/forget_changes", INSTANCES: "snapshots/forget_instances"}


def hold_still(session: Session, engine: Engine) -> None:
    """Keep others from storing any until this transaction ends; to be called before rows of the history are chosen."""
    if engine.stores_snapshots:
        share_snapshots(session, engine.settings)


@contextmanager
def held_still(session: Session, engine: Engine) -> Iterator[None]:
    """The same around a transaction that sees one state of the database: its first look must come after the lock."""
    if not engine.stores_snapshots:
        yield
        return
    share_snapshots(session, engine.settings, whole_session=True)
    try:
        yield
    finally:
        # A session that was lost took the lock along.
        if not session.closed:
            release_snapshots(session, engine.settings)


def forget(session: Session, engine: Engine, table: str, ids: Sequence[str]) -> int:
    """Remove the snapshots that depend on these rows of a table; return how many."""
    name = _STATEMENTS.get(table)
    if name is None or not ids or not engine.stores_snapshots:
        return 0
    return session.execute(statement(engine.settings, name), {"ids": list(ids)}).rowcount
