"""The ledger of the archive: one row per unit with its state, in the backup database.

A backup goes ``copied`` → ``deleting`` → ``deleted``, or ``discarded`` where the copy was taken back; a restore
``copying`` → ``copied`` → ``deleted``; what has outlived its time in the backup is ``expired``. ``deleting`` of a
backup and ``copying`` of a restore name the engine's transaction that was about to commit, because the ledger cannot
commit with it. Not here: what is done to get on.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from psycopg.rows import class_row, dict_row

from archival_pipeline.database.sqlfiles import load_sql
from archival_pipeline.errors import FencedError
from archival_pipeline.history.cleanup.archive.units import Unit, ids_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from archival_pipeline.history.cleanup.database import Session
    from archival_pipeline.settings_cleanup import LegalHolds

COPIED = ("backup", "copied")
REMOVING = ("backup", "deleting")
ARCHIVED = ("backup", "deleted")
DISCARDED = ("backup", "discarded")
EXPIRED = ("backup", "expired")
RETURNING = ("restore", "copying")
RETURNED = ("restore", "copied")
RESTORED = ("restore", "deleted")
# In none of these the backup holds a row of the unit.
NOT_HERE = (DISCARDED, RESTORED, EXPIRED)


def units(session: Session, ids: Sequence[str]) -> dict[str, Unit]:
    """The units of these ids that the ledger knows."""
    return {unit.unit_id: unit for unit in _units(session, "archive_units", {"units": list(ids)})}


def pages_of_open(session: Session, size: int) -> Iterator[list[Unit]]:
    """Open units, page by page."""
    return _pages(session, "archive_open", {"size": size})


def pages_of_wanted(session: Session, size: int, wanted: dict[str, Any]) -> Iterator[list[Unit]]:
    """Units that the backup holds alone and that somebody asks for, page by page."""
    return _pages(session, "archive_wanted", {"size": size, **wanted})


def pages_of_expired(session: Session, size: int, before: datetime) -> Iterator[list[Unit]]:
    """Units that the backup has held alone since before a moment, page by page, oldest first."""
    after: tuple[datetime | str, str] = ("-infinity", "")
    while True:
        values = {"size": size, "before": before, "after": after[0], "unit": after[1]}
        page = session.execute(load_sql("cleanup/archive_expired"), values).fetchall()
        if not page:
            return
        after = page[-1]
        yield list(units(session, [unit_id for _, unit_id in page]).values())


def count_expired(session: Session, before: datetime) -> tuple[int, int]:
    """How many such units there are, and how many more that wait with a problem."""
    row = session.execute(load_sql("cleanup/archive_expired_count"), {"before": before}).fetchone()
    assert row is not None  # noqa: S101 - an aggregate returns one row
    return int(row[0]), int(row[1])


def on_hold(session: Session, ids: Sequence[str], held: LegalHolds) -> set[str]:
    """Those of these hierarchies that a hold of any member keeps."""
    values = {
        "units": list(ids),
        "instances": held.instances,
        "business_keys": held.businessKeys,
        "definitions": held.definitions,
    }
    return {row[0] for row in session.execute(load_sql("cleanup/archive_held"), values)}


def record(session: Session, copied: Sequence[Unit], run_id: str) -> None:
    """Write down what the session's transaction has copied.

    Raises:
        FencedError: a unit is open already, or archived: another run is at work.
    """
    values = {"units": json.dumps([unit.as_json() for unit in copied]), "run_id": run_id}
    _all(session, "archive_record", values, len(copied))


def change(
    session: Session,
    changed: Sequence[Unit],
    old: tuple[str, str],
    new: tuple[str, str],
    *,
    transaction: str | None = None,
    problem: str | None = None,
) -> None:
    """Bring units from one state to another.

    Raises:
        FencedError: a unit was in another state: another run is at work.
    """
    if not changed:
        return
    values = {
        "units": ids_of(changed),
        "old_operation": old[0],
        "old_state": old[1],
        "operation": new[0],
        "state": new[1],
        "transaction": transaction,
        "problem": problem,
    }
    _all(session, "archive_change", values, len(changed))


def totals(session: Session) -> list[dict[str, Any]]:
    """Units by kind, operation and state."""
    with session.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(load_sql("cleanup/archive_totals")).fetchall()


def _all(session: Session, statement: str, values: dict[str, Any], expected: int) -> None:
    with session.transaction():
        done = session.execute(load_sql(f"cleanup/{statement}"), values).rowcount
        if done != expected:
            raise FencedError(
                f"{expected - done} of {expected} units of the archive are no longer in the state they were read in; "
                "another run is at work on them.",
                resolve="Let it end, then run the same job again: it takes up what the ledger says is open.",
            )


def _units(session: Session, statement: str, values: dict[str, Any]) -> list[Unit]:
    with session.cursor(row_factory=class_row(Unit)) as cursor:
        return cursor.execute(load_sql(f"cleanup/{statement}"), values).fetchall()


def _pages(session: Session, statement: str, values: dict[str, Any]) -> Iterator[list[Unit]]:
    after = ""
    while page := _units(session, statement, values | {"after": after}):
        after = page[-1].unit_id
        yield page
