"""Removes for good what has expired: from the primary by time to live, from the backup by retention.

Each is a bulk deletion of whole trees with all that it has: eligibility, legal holds, ledger, audit, window. First a
forecast, which reads only. Not here: what has expired (``expiry.py``), schedules, settings of the windows.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from archival_pipeline import errors
from archival_pipeline.archival import digests, keys, operating, steps
from archival_pipeline.archival.direction import direction_of, is_archive
from archival_pipeline.archival.filters import parse_filters
from archival_pipeline.archival.keys import array_literal
from archival_pipeline.archival.ledger import Ledger
from archival_pipeline.archival.move import open_move
from archival_pipeline.archival.options import Expiry, parse_options
from archival_pipeline.database.connections import short_session
from archival_pipeline.database.sqlfiles import load_sql
from archival_pipeline.settings_retention import BackupRetentionSettings
from archival_pipeline.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from archival_pipeline.archival.direction import Direction, Side
    from archival_pipeline.archival.filters import Filters
    from archival_pipeline.archival.move import Move
    from archival_pipeline.archival.operating import Progress
    from archival_pipeline.archival.options import Options
    from archival_pipeline.archival.steps import Plan
    from archival_pipeline.settings import Settings
    from archival_pipeline.settings_retention import Retention

# Trees whose rows are counted for a forecast; the others are taken to be like them.
_SAMPLE = 200


@dataclass(frozen=True, slots=True)
class Cleanable:
    """One process definition of a forecast.

    Attributes:
        process_id: the definition.
        process_name: its name.
        days: its time to live; None for never.
        ended: instances that are over.
        cleanable: instances that a run would remove.
    """

    process_id: str
    process_name: str
    days: int | None
    ended: int
    cleanable: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run would remove now.

    Attributes:
        definitions: what is there, and what of it would go.
        trees: trees that would go.
        instances: their members.
        rows: rows by table, from a sample.
        size: bytes of these rows with their indexes, from the size of the tables.
        stayed: trees that have expired by themselves and stay, by reason.
    """

    definitions: tuple[Cleanable, ...]
    trees: int
    instances: int
    rows: Mapping[str, int]
    size: int
    stayed: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Expired:
    """What a run removed.

    Attributes:
        audit_id: the operation.
        trees: trees that are gone.
        instances: their members.
        rows: rows by table.
        stayed: trees that stay, by reason.
        quarantined: those among them that somebody has to look at.
        left: trees that did not get their turn before the window's end.
    """

    audit_id: str
    trees: int
    instances: int
    rows: Mapping[str, int]
    stayed: Mapping[str, int]
    quarantined: int
    left: int


def expiry_of(part: Retention) -> Expiry:
    """The times to live of the settings; what is in the primary was not archived, so there they count from the end."""
    since = part.since if isinstance(part, BackupRetentionSettings) else "ended"
    return Expiry(since=since, days=part.default_days, days_of=part.time_to_live_of)


def deadline(part: Retention, zone: str, now: datetime, *, immediate: bool) -> datetime | None:
    """When a run that starts now has to stop; None for never.

    Raises:
        RequestError: the window is shut, and nobody said `immediate`.
    """
    if immediate:
        return None
    closing = Window(*part.window, zone).closing(now)
    if closing is None:
        raise errors.RequestError(
            f"The window {part.opens} to {part.closes} ({zone}) is shut.",
            resolve="Wait for the window, or set immediate to run outside it.",
            field="immediate",
            value=immediate,
        )
    return closing


def run(
    settings: Settings,
    side: Side,
    expiry: Expiry,
    audit_id: str,
    *,
    stop_at: datetime | None,
    pause_ms: int = 0,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Expired:
    """Remove what has expired on one side, until nothing is left or the window ends.

    Args:
        settings: where the databases are.
        side: the database to remove from.
        expiry: times to live.
        audit_id: the operation; one that the ledger knows is taken up again.
        stop_at: begin no batch that cannot end before.
        pause_ms: milliseconds that each lane rests after a batch.
        progress: called after each step.

    Raises:
        ConfigurationError: there is no time to live.
        BusyError: another operation is at work.
        ArchivalError: the operation ended early; finished batches stay finished.
    """
    plans: list[Plan] = []

    def listen(told: Progress) -> None:
        plans[:] = [told.plan] if told.plan else []
        progress(told)

    closing = stop_at.isoformat() if stop_at else None
    request = _request(side, expiry, audit_id, stop_at=closing, pause_ms=pause_ms)
    outcome = operating.run(settings, *request, listen)
    with short_session(settings.backup, "reading the ledger") as session:
        rows = Ledger(session, audit_id).moved_rows()
    totals = outcome.totals
    stayed = totals.trees_skipped + totals.trees_quarantined
    return Expired(
        audit_id=audit_id,
        trees=totals.trees_moved,
        instances=totals.instances_moved,
        rows=rows,
        stayed=dict(Counter(report.reason for report in outcome.stayed)),
        quarantined=totals.trees_quarantined,
        left=sum(plan.trees for plan in plans) - totals.trees_moved - stayed,
    )


def forecast(settings: Settings, side: Side, expiry: Expiry) -> Forecast:
    """Say what a run would remove now; both databases are opened read-only.

    Raises:
        ConfigurationError: there is no time to live.
        PreflightError: the databases do not fit.
    """
    direction, audit_id, filters, options = _request(side, expiry, "forecast", dry_run=True)
    try:
        move = open_move(settings, audit_id, filters, options, direction)
        try:
            return _forecast(move, expiry)
        finally:
            move.close()
    except psycopg.Error as error:
        raise errors.from_database(error, "reckoning what has expired") from error


def _request(
    side: Side, expiry: Expiry, audit_id: str, *, stop_at: str | None = None, pause_ms: int = 0, dry_run: bool = False
) -> tuple[Direction, str, Filters, Options]:
    if expiry.shortest is None:
        raise errors.ConfigurationError(
            "There is no time to live, so nothing ever expires.",
            resolve="Set one as docs/retention.md says.",
        )
    options = {
        "database": side,
        "rootsOnly": True,
        "dryRun": dry_run,
        "stopAt": stop_at,
        "pauseBetweenBatchesMs": pause_ms,
        "expiry": expiry.model_dump(by_alias=True),
    }
    filters = parse_filters({"beforeNoOfDays": expiry.shortest})
    return direction_of("delete", side), audit_id, filters, parse_options(options)


def _forecast(move: Move, expiry: Expiry) -> Forecast:
    plan = steps.fetch(move)
    for wave in plan.waves:
        steps.children(move, wave)
    trees = {root: members for batch in move.ledger.batches() for root, members in batch.trees().items()}
    sample = [member for root in list(trees)[:_SAMPLE] for member in trees[root]]
    origin = move.direction.origin
    with move.control.snapshot(origin) as session:
        counted = {}
        if sample:
            found = keys.resolve(session, move.catalogue, sample)
            counted = digests.measure(session, move.catalogue, found, archive=is_archive(origin)).filled()
        members = array_literal([member for some in trees.values() for member in some])
        lines = session.execute(load_sql("common/expiry_definitions"), {"cleanable": members}).fetchall()
        rows = {name: round(d.rows * len(trees) / min(len(trees), _SAMPLE)) for name, d in counted.items()}
        size = sum(_size(session, name, number) for name, number in rows.items())
    return Forecast(
        definitions=tuple(Cleanable(id_, name, _days(expiry, id_, name), *counts) for id_, name, *counts in lines),
        trees=len(trees),
        instances=sum(map(len, trees.values())),
        rows=dict(sorted(rows.items())),
        size=size,
        stayed=dict(Counter(report.reason for report in move.ledger.reports())),
    )


def _days(expiry: Expiry, *names: str) -> int | None:
    own = [expiry.days_of[name] for name in names if name in expiry.days_of]
    if not own:
        return expiry.days
    return None if None in own else max(days for days in own if days is not None)


def _size(session: psycopg.Connection[Any], table: str, rows: int) -> int:
    """Bytes of so many rows of a table, indexes included; a table that was never analysed has at least these rows."""
    row = session.execute(
        "SELECT pg_total_relation_size(oid) * %s / greatest(reltuples, %s) FROM pg_class WHERE oid = to_regclass(%s)",
        [rows, rows, table],
    ).fetchone()
    return round(row[0]) if row else 0
