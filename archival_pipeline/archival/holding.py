"""Legal holds as the archive keeps them: which trees one of them holds, and how holds are placed and released.

A hold of any member holds the whole family: ancestors, descendants and theirs, wherever they stand, in the primary or
in the backup. It forbids to remove for good, which bulk deletions and time-to-live do; a backup or a restore keeps
every row and may go on. Not here: the table and the waiting (``catalogue/holds.py``).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg

from archival_pipeline import errors
from archival_pipeline.archival.audit import AuditEntry, AuditLog, AuditStatus, AuditStep, AuditType
from archival_pipeline.archival.keys import array_literal
from archival_pipeline.archival.ledger import TreeReport
from archival_pipeline.catalogue import holds
from archival_pipeline.catalogue.holds import HoldBook
from archival_pipeline.catalogue.kinship import KINDS, Families
from archival_pipeline.database.connections import Limits, connect, short_session
from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from archival_pipeline.archival.lanes import Lane
    from archival_pipeline.archival.move import Move
    from archival_pipeline.catalogue.holds import EngineName, Hold, Holds, Kind
    from archival_pipeline.settings import DatabaseSettings

# How long a new hold waits for one batch that was begun before it.
_LIMITS = Limits(lock_timeout=60_000)
_MAX_TEXT = 4_000
_MAX_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Placed:
    """A hold that was just placed.

    Attributes:
        hold: the hold.
        settled: whether every removal that was begun before it has ended.
    """

    hold: Hold
    settled: bool


@contextmanager
def removal(move: Move) -> Iterator[None]:
    """The time in which a batch is removed: see :meth:`archival_pipeline.catalogue.holds.HoldBook.removal`.

    The lock's session, which has the book, writes the ledger right before the commit: if it was lost, nothing commits.
    """
    if move.direction.copies:
        yield
        return
    lock, _ = move.books()
    with HoldBook(lock.connection, "jbpm").removal():
        yield


def on_hold(lane: Lane, move: Move, trees: Mapping[int, Sequence[int]]) -> dict[int, TreeReport]:
    """Trees that must not be removed because one of their family is on hold now.

    Args:
        lane: its sessions; the origin's may be in a transaction.
        move: the operation; nothing is held back from one that keeps the rows.
        trees: members by root.
    """
    if move.direction.copies:
        return {}
    held = _active(lane, move)
    if not held.any:
        return {}
    sides = [lane.session(side) for side in ("primary", "backup")]
    families: Families[int] = Families()
    for root, members in trees.items():
        for member in members:
            families.join(root, member)
    families.explore(lambda ids: _relatives(sides, held, ids))
    for text in held.instances:
        if text.isdecimal():
            families.hold(int(text))
    return {root: _report(root, *found) for root, found in families.held(trees).items()}


def _relatives(
    sides: Sequence[psycopg.Connection[Any]], held: Holds, ids: Sequence[int]
) -> list[tuple[int, int | None, str | None]]:
    """Instances, parents and children, in both databases."""
    asked = {
        "ids": array_literal(ids),
        "definitions": sorted(held.definitions),
        "business_keys": sorted(held.business_keys),
    }
    found: list[tuple[int, int | None, str | None]] = []
    for side in sides:
        with side.transaction():
            found += side.execute(load_sql("common/hold_relatives"), asked).fetchall()
    return found


def _report(root: int, instance: int, kind: str) -> TreeReport:
    detail = f"instance {instance} of its tree is on legal hold, by {KINDS[kind]}"
    return TreeReport(root, "skipped", "on_hold", instance, detail=detail)


def _active(lane: Lane, move: Move) -> Holds:
    if move.lock is not None:
        return HoldBook(move.lock.connection, "jbpm").active()
    backup = lane.session("backup")
    with backup.transaction():
        return HoldBook(backup, "jbpm").active()


def place(backup: DatabaseSettings, engine: EngineName, kind: Kind, value: str, *, reason: str, by: str) -> Placed:
    """Place a hold, tell the audit, and wait for the batches that were begun before it.

    Raises:
        RequestError: a text is missing, too long, or no id of an instance.
    """
    value = _readable("value", value)
    if kind == "instance" and engine == "jbpm":
        value = _instance_id(value)
    reason, by = _readable("reason", reason), _readable("by", by)
    with _session(backup, "placing a legal hold") as session:
        with session.transaction():
            hold = holds.place(session, engine, kind, value, reason=reason, by=by)
            _tell(session, hold, "placed")
        return Placed(hold, holds.wait_for_removals(session))


def matching(database: DatabaseSettings, hold: Hold) -> int:
    """How many jBPM instances of a database meet the hold by themselves: none may mean a mistake in writing."""
    values = {kind: [hold.value] if hold.kind == kind else [] for kind in KINDS}
    parameters = {f"{kind}s": found for kind, found in values.items()}
    with short_session(database, "counting what is on hold") as session:
        row = session.execute(load_sql("common/hold_matches"), parameters).fetchone()
    assert row is not None  # noqa: S101 - an aggregate returns one row
    return int(row[0])


def release(backup: DatabaseSettings, hold_id: int, *, reason: str, by: str) -> Hold:
    """Release a hold, and tell the audit.

    Raises:
        NotFoundError: there is no such hold, or it was released before.
    """
    reason, by = _readable("reason", reason), _readable("by", by)
    with _session(backup, "releasing a legal hold") as session, session.transaction():
        hold = holds.release(session, hold_id, reason=reason, by=by)
        if hold is None:
            raise errors.NotFoundError(
                f"No hold {hold_id} stands.",
                resolve="List the holds with `archival-pipeline hold list --all`.",
                field="holdId",
                value=hold_id,
            )
        _tell(session, hold, "released")
    return hold


def listed(backup: DatabaseSettings, engine: EngineName | None = None, *, released: bool = False) -> list[Hold]:
    """The holds that stand, and where asked for those that were released."""
    with short_session(backup, "listing legal holds") as session:
        return holds.listed(session, engine, released=released)


@contextmanager
def _session(backup: DatabaseSettings, doing: str) -> Iterator[psycopg.Connection[Any]]:
    try:
        with connect(backup, purpose=doing, limits=_LIMITS, autocommit=True) as session:
            yield session
    except psycopg.Error as error:
        raise errors.from_database(error, doing) from error


def _tell(session: psycopg.Connection[Any], hold: Hold, what: str) -> None:
    """One row of the audit, in the transaction of the change itself: neither is there without the other."""
    now = datetime.now(UTC)
    details = {name: value for name, value in asdict(hold).items() if not isinstance(value, datetime)}
    AuditLog(session, f"hold-{hold.hold_id}", AuditType.HOLD).write(
        AuditEntry(
            step=AuditStep.COMPLETE,
            status=AuditStatus.COMPLETED,
            details={"hold": what, **details},
            started_at=now,
            ended_at=now,
        )
    )


def _readable(field: str, text: str) -> str:
    text = text.strip()
    if not text or len(text) > _MAX_TEXT or "\x00" in text:
        raise errors.RequestError(
            f"{field} is empty, longer than {_MAX_TEXT} characters, or holds a NUL character.",
            resolve=f"Give {field} as a text that people can read.",
            field=field,
            value=text[:100],
        )
    return text


def _instance_id(text: str) -> str:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _MAX_ID):
        raise errors.RequestError(
            f"{text!r} is no id of a jBPM instance.",
            resolve=f"Give a whole number from 1 to {_MAX_ID}.",
            field="value",
            value=text,
        )
    return str(int(text))
