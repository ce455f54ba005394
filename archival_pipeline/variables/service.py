"""The operations on variable snapshots, as the command line, the REST interface and Dagster call them.

Each call opens one read-only view of the engine's database and closes it. Not here: plans (``planning``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from archival_pipeline.errors import ConfigurationError
from archival_pipeline.settings_camunda import CamundaSettings, load_camunda
from archival_pipeline.variables import comparing, failures, listing, moment, reading, snapshot, stored
from archival_pipeline.variables.comparing import Described
from archival_pipeline.variables.cut import Boundary, Flag

if TYPE_CHECKING:
    from datetime import datetime

    from archival_pipeline.variables.comparing import Difference
    from archival_pipeline.variables.history import History
    from archival_pipeline.variables.listing import Criteria, Listed
    from archival_pipeline.variables.reading import Reader
    from archival_pipeline.variables.snapshot import Entry, Snapshot
    from archival_pipeline.variables.stored import Stored, Wanted
    from archival_pipeline.variables.values import Value


@dataclass(frozen=True, slots=True)
class Shown:
    """A snapshot with its values.

    Attributes:
        snapshot: owners and flags.
        values: by change id.
        expired: history is past its removal time, and the engine may clean it at any moment.
        zone: of the times in the snapshot.
    """

    snapshot: Snapshot
    values: dict[str, Value]
    expired: bool
    zone: ZoneInfo

    def value_of(self, entry: Entry) -> Value | None:
        """The value of an entry; None where it has no change."""
        return self.values[entry.change.id] if entry.change is not None else None


@dataclass(frozen=True, slots=True)
class Moment:
    """Whose snapshot: an activity instance's boundary, a time of a whole instance, or one that was stored."""

    activity_instance_id: str | None = None
    boundary: Boundary = Boundary.START
    after_outputs: bool = False
    process_instance_id: str | None = None
    at: datetime | None = None
    stored_id: int | None = None


def camunda() -> CamundaSettings:
    """The engine's database.

    Raises:
        ConfigurationError: it is not configured.
    """
    settings = load_camunda()
    if settings is None:
        raise ConfigurationError(
            "No Camunda database is configured, so there are no variable snapshots.",
            resolve="Set the variables that begin with CAMUNDA_DB_, as docs/configuration.md says.",
        )
    return settings


def activities(settings: CamundaSettings, process_instance_id: str, criteria: Criteria) -> tuple[list[Listed], int]:
    """One page of an instance's activity instances, in the order in which they began, and how many match."""
    with reading.reading(settings) as reader:
        process = reading.process_of(reader, process_instance_id=process_instance_id)
        history = reading.history_of(reader, process)
    return listing.page(history, criteria)


def show(
    settings: CamundaSettings, wanted: Moment, *, now: datetime, inline_bytes: int = reading.INLINE_BYTES
) -> Shown:
    """A snapshot with its values.

    Args:
        settings: the engine's database.
        wanted: whose, and when.
        now: the time, with its zone.
        inline_bytes: the longest byte array to read along.

    Raises:
        SnapshotError: history cannot answer.
    """
    with reading.reading(settings) as reader:
        return _show(reader, wanted, ZoneInfo(settings.time_zone), now, inline_bytes)


def diff(
    settings: CamundaSettings, before: Moment, after: Moment, *, now: datetime
) -> tuple[Shown, Shown, list[Difference]]:
    """Two snapshots and what differs between them, of one view of the database."""
    zone = ZoneInfo(settings.time_zone)
    with reading.reading(settings) as reader:
        one = _show(reader, before, zone, now, reading.INLINE_BYTES)
        two = _show(reader, after, zone, now, reading.INLINE_BYTES)
    doubted = {
        entry.name
        for shown in (one, two)
        for entry in shown.snapshot.entries()
        if entry.flags - {Flag.TECHNICAL} and entry not in shown.snapshot.own_inputs
    }
    return one, two, comparing.differences(_visible(one), _visible(two), doubted)


def stored_page(settings: CamundaSettings, wanted: Wanted) -> tuple[list[Stored], int]:
    """One page of the stored snapshots, newest first, and how many match."""
    with reading.reading(settings) as reader:
        return stored.page(_with_stored(reader), wanted)


def _with_stored(reader: Reader) -> Reader:
    if not reader.has_stored_snapshots():
        raise ConfigurationError(
            "No snapshots are stored: the Camunda database has no tables for them.",
            resolve="Set VARIABLES_STORED_SNAPSHOTS and run `archival-pipeline variables stored migrate`.",
        )
    return reader


def content(settings: CamundaSettings, change_id: str) -> Value:
    """The value of one change with all its bytes.

    Raises:
        SnapshotError: there is no such change, or its value has no bytes.
    """
    with reading.reading(settings) as reader:
        value = reading.values_of(reader, [change_id], inline_bytes=reading.NO_LIMIT).get(change_id)
    if value is None or value.content is None:
        raise failures.SnapshotError(
            f"The change {change_id} has no bytes to download." if value else f"There is no change {change_id}.",
            resolve="Take the changeId of a value with size and sha256 from a snapshot.",
            code=failures.NOT_FOUND,
        )
    return value


def _show(reader: Reader, wanted: Moment, zone: ZoneInfo, now: datetime, inline_bytes: int) -> Shown:
    if wanted.stored_id is not None:
        made = stored.load(_with_stored(reader), wanted.stored_id)
        expired = made.process.removal is not None and made.process.removal <= _of_engine(now, zone)
    else:
        made, expired = _computed(reader, wanted, zone, now)
    ids = {entry.change.id for entry in made.entries() if entry.change is not None}
    return Shown(made, reading.values_of(reader, ids, inline_bytes=inline_bytes), expired, zone)


def _computed(reader: Reader, wanted: Moment, zone: ZoneInfo, now: datetime) -> tuple[Snapshot, bool]:
    process = reading.process_of(
        reader, process_instance_id=wanted.process_instance_id, activity_instance_id=wanted.activity_instance_id
    )
    history = reading.history_of(reader, process)
    expired = process.removal is not None and process.removal <= _of_engine(now, zone)
    if expired:
        _refuse_cleaned(history)
    return _snapshot(history, wanted, zone), expired


def _snapshot(history: History, wanted: Moment, zone: ZoneInfo) -> Snapshot:
    if wanted.activity_instance_id is not None:
        return snapshot.of_activity(
            history, wanted.activity_instance_id, wanted.boundary, after_outputs=wanted.after_outputs
        )
    assert wanted.at is not None  # noqa: S101 - callers ask for one or the other
    return moment.of_process(history, _of_engine(wanted.at, zone))


def _of_engine(at: datetime, zone: ZoneInfo) -> datetime:
    """A time as the engine writes it: wall clock of its zone, without the zone."""
    return at.astimezone(zone).replace(tzinfo=None)


def _refuse_cleaned(history: History) -> None:
    """The engine's cleanup deletes row by row, activity instances first: one that is named and missing tells.

    Only expired history is asked, as compensation names instances that never get a row.

    Raises:
        SnapshotError: the cleanup has begun.
    """
    known = history.activities.keys() | {history.process.id, None}
    named = {row.parent_id for row in history.activities.values()}
    named |= {change.source for group in history.changes.values() for change in group}
    if named - known:
        raise failures.SnapshotError(
            f"The history of {history.process.id} is past its removal time and partly cleaned.",
            resolve="There is no snapshot of it. Choose a longer time to live for processes you may want to restore.",
        )


def _visible(shown: Shown) -> list[Described]:
    return [Described(entry, shown.value_of(entry)) for entry in shown.snapshot.visible]
