"""Looks whether the archive is as it should be: conservation, ledger, audit, freshness. Reads only.

Each question gives a :class:`Finding`; nothing is repaired here. Not here: the repair (``recovery.py``), the proof of
one batch (``digests.py``, ``removal.py``), which are exact where these look at a distance.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from psycopg.rows import dict_row, scalar_row

from archival_pipeline.database.connections import short_session
from archival_pipeline.database.locks import operation_in_progress
from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import psycopg

    from archival_pipeline.settings import Settings

_SHOWN = 100
_IDS = "SELECT DISTINCT processinstanceid FROM processinstancelog ORDER BY processinstanceid"
# Ids fetched at a time: memory stays flat however large the log is.
_PORTION = 10_000


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to one question.

    Attributes:
        passed: whether all is well.
        summary: one sentence for people.
        next_step: what to do if it is not.
        rows: what was found, as a table; at most 100 rows.
        numbers: what was counted.
    """

    passed: bool
    summary: str
    next_step: str = ""
    rows: list[dict[str, str]] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)


def ledger_is_settled(settings: Settings) -> Finding:
    """No batch stands open, except those of the operation at work."""
    with short_session(settings.backup, "looking at the ledger") as session:
        at_work = operation_in_progress(session)
        rows = _rows(session, "backup/health_open_batches", {})
    left = [row for row in rows if row["audit_id"] != at_work]
    return Finding(
        passed=not left,
        summary=f"{sum(int(row['batches']) for row in left)} batch(es) of ended operations are open.",
        next_step="Launch a backup or restore, or run `archival-pipeline reconcile --repair`: it is then finished.",
        rows=left,
        numbers={"open batches": sum(int(row["batches"]) for row in rows)},
    )


def nothing_is_in_both(settings: Settings) -> Finding:
    """No process instance is in primary and backup, except those of open batches."""
    with (
        short_session(settings.backup, "reading instances of the backup") as backup,
        short_session(settings.primary, "reading instances of the primary") as primary,
    ):
        open_members = set(_scalars(backup, load_sql("backup/health_open_members")))
        both = (number for number in _common(_ids(primary), _ids(backup)) if number not in open_members)
        found = list(islice(both, _SHOWN))
    return Finding(
        passed=not found,
        summary=f"{len(found)}{' or more' if len(found) == _SHOWN else ''} instance(s) are in both databases.",
        next_step=(
            "Compare the rows of these instances on both sides. Equal: delete one side by process_delete_bulk with "
            "`onlyIfBackedUp`. Different: the engine, or somebody by hand, wrote after the move; keep both and ask."
        ),
        rows=[{"process instance": str(number)} for number in found],
        numbers={"instances of open batches": len(open_members)},
    )


def nothing_is_missing(settings: Settings, *, batches: int = 1000) -> Finding:
    """What the newest backups moved is still in the archive, unless a later operation took it out.

    Args:
        settings: where the databases are.
        batches: how many of the newest finished batches to look at.
    """
    with short_session(settings.backup, "looking for archived instances") as session:
        found = _rows(session, "backup/health_missing_members", {"batches": batches, "shown": _SHOWN})
    return Finding(
        passed=not found,
        summary=f"{len(found)}{' or more' if len(found) == _SHOWN else ''} archived instance(s) are missing.",
        next_step=(
            "Somebody deleted from the archive beside this software. Find out who, and bring the rows back from a "
            "backup of the archive's database: the ledger names the batch, its row counts and digests."
        ),
        rows=found,
    )


def audit_tells_every_end(settings: Settings, *, days: int = 90) -> Finding:
    """Each operation's newest audit row says the same end as the ledger.

    Args:
        settings: where the databases are.
        days: how far to look back; older audits may have been removed by retention.
    """
    with short_session(settings.backup, "comparing audit and ledger") as session:
        at_work = operation_in_progress(session)
        found = _rows(session, "backup/health_audit_gaps", {"days": days, "at_work": at_work, "shown": _SHOWN})
    return Finding(
        passed=not found,
        summary=f"{len(found)} operation(s) have an audit that does not tell their end.",
        next_step=(
            "An operation that is `in_progress` without a holder of the lock died without a word: the next operation, "
            "or `archival-pipeline reconcile --repair`, writes its end into ledger and audit."
        ),
        rows=found,
    )


def backup_is_fresh(settings: Settings, now: datetime, *, hours: int = 26) -> Finding:
    """A backup has completed lately, if one is to run every night.

    Args:
        settings: where the databases are, and whether the nightly backup is on.
        now: the time to compare with.
        hours: the greatest age that is no reason for concern: a day, and the time that a night may take longer.
    """
    if not settings.nightly.enabled:
        return Finding(passed=True, summary="The nightly backup is off (NIGHTLY_BACKUP_ENABLED).")
    with short_session(settings.backup, "looking for the last backup") as session:
        [ended] = _scalars(session, load_sql("backup/health_last_backup"))
    fresh = ended is not None and now - ended <= timedelta(hours=hours)
    return Finding(
        passed=fresh,
        summary=f"The last completed backup ended {ended.isoformat(timespec='minutes') if ended else 'never'}.",
        next_step="Look at the ticks of the schedule nightly_backup and the runs it launched; is the daemon running?",
    )


def _rows(session: psycopg.Connection[Any], name: str, values: dict[str, Any]) -> list[dict[str, str]]:
    with session.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(load_sql(name), values).fetchall()
    return [{column: "" if value is None else str(value) for column, value in row.items()} for row in found]


def _scalars(session: psycopg.Connection[Any], statement: Any) -> list[Any]:
    with session.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(statement).fetchall()


def _ids(session: psycopg.Connection[Any]) -> Iterator[int]:
    with session.cursor("health_ids", row_factory=scalar_row) as cursor:
        cursor.itersize = _PORTION
        yield from cursor.execute(_IDS)


def _common(left: Iterator[int], right: Iterator[int]) -> Iterator[int]:
    """The numbers that two rising sequences share, without holding either."""
    one, other = next(left, None), next(right, None)
    while one is not None and other is not None:
        if one < other:
            one = next(left, None)
        elif one > other:
            other = next(right, None)
        else:
            yield one
            one, other = next(left, None), next(right, None)
