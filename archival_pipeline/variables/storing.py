"""Stores snapshots of the activities that somebody asked for, and lets go those whose history somebody else removed.

What is to be stored is read from the engine's history by time, with an overlap, because a transaction may commit late;
what is stored already is left out. One transaction for each process instance: a run that is killed goes on where it
was. Not here: reading (``stored``); the removal together with the history, which is the cleanup's.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

import psycopg

from archival_pipeline import errors
from archival_pipeline.catalogue.camunda_sql import own_snapshots, statement, stores_snapshots
from archival_pipeline.database import migrations
from archival_pipeline.database.connections import connect
from archival_pipeline.variables import failures, reading, snapshot
from archival_pipeline.variables.cut import Boundary
from archival_pipeline.variables.loops import Loops
from archival_pipeline.variables.stored import LISTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from archival_pipeline.settings_camunda import CamundaSettings
    from archival_pipeline.variables.history import Activity, Process
    from archival_pipeline.variables.reading import Reader
    from archival_pipeline.variables.snapshot import Snapshot

    Session = psycopg.Connection[tuple[Any, ...]]

_DOING = "storing variable snapshots"
# Transactions of the engine that commit later than this after an activity began are missed; clocks may go back an hour.
OVERLAP = timedelta(hours=2)
# What ran beside an activity has committed by then.
SETTLED = timedelta(seconds=60)
_SWEEP_EVERY = timedelta(days=1)
_PAGE = 500
_SWEEP = 1_000
_COLUMNS = (
    "snapshot_id", "place", "listed_as", "name", "variable_id", "change_id", "owner_kind",
    "owner_activity_instance_id", "owner_activity_id", "owner_execution_id", "depth", "flags",
)  # fmt: skip


class Candidate(NamedTuple):
    """One boundary of an activity instance that is to be stored."""

    process_instance_id: str
    activity_instance_id: str
    boundary: str
    time: datetime


@dataclass(slots=True)
class Outcome:
    """What a run did.

    Attributes:
        stored: snapshots.
        variables: their variables.
        refused: why there is none, by process instance.
        swept: stored snapshots that went because somebody else had removed their history.
        more: the run ended before everything was looked at: at its limit, or because of the cleanup.
        postponed: a history cleanup is at work; the next run goes on.
    """

    stored: int = 0
    variables: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    swept: int = 0
    more: bool = False
    postponed: bool = False


def prepare(settings: CamundaSettings) -> None:
    """Make the schema and the tables of stored snapshots, or bring them to this release."""
    migrations.upgrade(_own(settings), "snapshots")


def script(settings: CamundaSettings) -> str:
    """The same as statements for a DBA."""
    return migrations.as_sql("snapshots", settings.snapshots_schema)


def require_tables(session: Session, settings: CamundaSettings) -> None:
    """Refuse to work without the tables.

    Raises:
        ConfigurationError: they were never made.
    """
    if not stores_snapshots(session, settings):
        raise errors.ConfigurationError(
            f"The Camunda database has no tables for stored snapshots in the schema {settings.snapshots_schema!r}.",
            resolve="Run `archival-pipeline variables stored migrate`, or let a DBA run what it prints with --sql.",
        )


def is_due(settings: CamundaSettings, wanted: Mapping[str, Sequence[str]], *, now: datetime) -> bool:
    """Whether there is something to store or a sweep is due; where not, the next look begins here."""
    with _session(settings) as session:
        require_tables(session, settings)
        window = _Window.of(session, settings, now, None)
        if window.sweep_due(now) or _candidates(session, settings, wanted, window, None, size=1):
            return True
        _advance(session, settings, window.until)
        return False


def store(
    settings: CamundaSettings,
    wanted: Mapping[str, Sequence[str]],
    *,
    now: datetime,
    since: datetime | None = None,
    limit: int = 10_000,
) -> Outcome:
    """Store what is wanted and not stored yet.

    Args:
        settings: the engine's database.
        wanted: ids of activities by process definition key; ``*`` for each.
        now: the time, with its zone.
        since: from when on to look; by default where the last run ended.
        limit: stop after about so many snapshots; the next run goes on.

    Raises:
        ConfigurationError: there are no tables for them.
        SnapshotError: the engine's history level is too low.
        DatabaseError: PostgreSQL refused; what was stored stays stored.
    """
    outcome = Outcome()
    with _session(settings) as session:
        require_tables(session, settings)
        window = _Window.of(session, settings, now, since)
        last: Candidate | None = None
        while page := _candidates(session, settings, wanted, window, last, size=min(_PAGE, limit)):
            last = page[-1]
            _store_page(session, settings, page, outcome)
            outcome.more = outcome.postponed or outcome.stored >= limit
            if outcome.more:
                break
        # What is stored already is left out next time, so a run that stopped early begins where it began.
        if not outcome.more:
            _advance(session, settings, window.until)
        if window.sweep_due(now):
            outcome.swept = _sweep(session, settings, now)
    return outcome


def sweep(settings: CamundaSettings, *, now: datetime) -> int:
    """Remove stored snapshots whose history somebody else removed, whole or in part; return how many."""
    with _session(settings) as session:
        require_tables(session, settings)
        return _sweep(session, settings, now)


class _Window(NamedTuple):
    """Times of the engine between which activities are looked at."""

    since: datetime
    until: datetime
    swept_at: datetime | None

    @classmethod
    def of(cls, session: Session, settings: CamundaSettings, now: datetime, since: datetime | None) -> _Window:
        until = _wall(settings, now) - SETTLED
        seen, swept = session.execute(statement(settings, "snapshots/progress")).fetchone() or (None, None)
        begin = _wall(settings, since) if since is not None else (seen or until) - OVERLAP
        return cls(begin, until, swept)

    def sweep_due(self, now: datetime) -> bool:
        return self.swept_at is None or now - self.swept_at >= _SWEEP_EVERY


def _candidates(
    session: Session,
    settings: CamundaSettings,
    wanted: Mapping[str, Sequence[str]],
    window: _Window,
    after: Candidate | None,
    *,
    size: int,
) -> list[Candidate]:
    pairs = [(key, activity) for key, activities in wanted.items() for activity in activities]
    values = {
        "keys": [key for key, _ in pairs],
        "activities": [activity for _, activity in pairs],
        # What is before the last page is not read again.
        "since": max(window.since, after.time) if after else window.since,
        "until": window.until,
        "time": after.time if after else datetime.min,  # noqa: DTZ901 - times of the engine carry no zone
        "id": after.activity_instance_id if after else "",
        "boundary": after.boundary if after else "",
        "size": size,
    }
    return [Candidate(*row) for row in session.execute(statement(settings, "snapshots/candidates"), values)]


def _store_page(session: Session, settings: CamundaSettings, page: Iterable[Candidate], outcome: Outcome) -> None:
    """One process instance after the other; what history cannot answer is said and left out."""
    ordered = sorted(page, key=lambda one: one.process_instance_id)
    for instance, candidates in groupby(ordered, key=lambda one: one.process_instance_id):
        try:
            with reading.reading(settings) as reader:
                made = _make(reader, instance, candidates)
            outcome.postponed = not _write(session, settings, made, outcome)
        except failures.SnapshotError as error:
            if error.code == failures.LEVEL:
                raise
            outcome.refused[instance] = error.summary
        if outcome.postponed:
            return


class _Made(NamedTuple):
    """What is written for one candidate: a snapshot, or why history has none."""

    process: Process
    activity: Activity
    boundary: Boundary
    loop_index: int | None
    snapshot: Snapshot | None
    refusal: str | None


def _make(reader: Reader, instance: str, candidates: Iterable[Candidate]) -> list[_Made]:
    process = reading.process_of(reader, process_instance_id=instance)
    history = reading.history_of(reader, process)
    loops = Loops(history)
    found = []
    for one in candidates:
        boundary, made, refusal = Boundary(one.boundary), None, None
        try:
            made = snapshot.of_activity(history, one.activity_instance_id, boundary)
        except failures.SnapshotError as error:
            refusal = error.summary
        activity = history.activities.get(one.activity_instance_id)
        if activity is not None:
            found.append(_Made(process, activity, boundary, loops.index_of(activity), made, refusal))
    return found


def _write(session: Session, settings: CamundaSettings, made: Sequence[_Made], outcome: Outcome) -> bool:
    """All snapshots of one process instance, or none; False if the history is being cleaned.

    Raises:
        SnapshotError: history lost a row meanwhile.
    """
    rows: list[tuple[Any, ...]] = []
    stored = 0
    with session.transaction():
        if not own_snapshots(session, settings):
            return False
        for one in made:
            row = session.execute(statement(settings, "snapshots/store"), _head(one)).fetchone()
            if row is not None:
                stored += one.snapshot is not None
                rows += _rows(row[0], one.snapshot) if one.snapshot is not None else ()
        _require_present(session, settings, {row[5] for row in rows if row[5] is not None})
        columns = psycopg.sql.SQL(", ").join(map(psycopg.sql.Identifier, _COLUMNS))
        table = psycopg.sql.Identifier(settings.snapshots_schema, "stored_variable")
        copying = psycopg.sql.SQL("COPY {} ({}) FROM STDIN").format(table, columns)
        with session.cursor() as cursor, cursor.copy(copying) as copy:
            for row in rows:
                copy.write_row(row)
    outcome.refused |= {one.process.id: one.refusal for one in made if one.refusal is not None}
    outcome.stored += stored
    outcome.variables += len(rows)
    return True


def _require_present(session: Session, settings: CamundaSettings, ids: set[str]) -> None:
    found = session.execute(statement(settings, "snapshots/present"), {"ids": list(ids)}).fetchone()
    if found is None or found[0] < len(ids):
        raise failures.SnapshotError(
            "History was removed while the snapshot was made.", resolve="Nothing is to be done: nothing was stored."
        )


def _head(one: _Made) -> dict[str, Any]:
    return {
        "process_instance_id": one.process.id,
        "process_definition_id": one.process.definition_id,
        "process_definition_key": one.process.definition_key,
        "activity_instance_id": one.activity.id,
        "activity_id": one.activity.activity_id,
        "loop_index": one.loop_index,
        "boundary": one.boundary.value,
        "activity_time": one.activity.start if one.boundary is Boundary.START else one.activity.end,
        "path": list(one.snapshot.path) if one.snapshot is not None else [],
        "refusal": one.refusal,
    }


def _rows(snapshot_id: int, made: Snapshot) -> Iterator[tuple[Any, ...]]:
    entries = [(name, entry) for name, attribute in LISTS.items() for entry in getattr(made, attribute)]
    for place, (name, entry) in enumerate(entries):
        owner = entry.owner
        yield (
            snapshot_id, place, name, entry.name, entry.variable_id, entry.change.id if entry.change else None,
            owner.kind.value, owner.activity_instance_id, owner.activity_id, owner.execution_id, owner.depth,
            sorted(flag.value for flag in entry.flags),
        )  # fmt: skip


def _sweep(session: Session, settings: CamundaSettings, now: datetime) -> int:
    gone = 0
    more = True
    while more:
        values = {"now": _wall(settings, now), "size": _SWEEP}
        count = session.execute(statement(settings, "snapshots/sweep"), values).rowcount
        gone += count
        more = count >= _SWEEP
    session.execute(statement(settings, "snapshots/swept"), {"now": now})
    return gone


def _advance(session: Session, settings: CamundaSettings, until: datetime) -> None:
    session.execute(statement(settings, "snapshots/advance"), {"until": until})


def _wall(settings: CamundaSettings, moment: datetime) -> datetime:
    return moment.astimezone(UTC).astimezone(ZoneInfo(settings.time_zone)).replace(tzinfo=None)


def _own(settings: CamundaSettings) -> CamundaSettings:
    return settings.model_copy(update={"schema_name": settings.snapshots_schema})


@contextmanager
def _session(settings: CamundaSettings) -> Iterator[Session]:
    """A session whose statements are transactions of their own.

    Raises:
        DatabaseError: whatever PostgreSQL refuses comes out as our error.
    """
    try:
        with connect(settings, purpose=_DOING, autocommit=True) as session:
            yield session
    except psycopg.Error as error:
        raise errors.from_database(error, _DOING) from error
