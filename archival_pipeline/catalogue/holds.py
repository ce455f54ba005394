"""Legal holds: what nothing may remove for good until the hold is released.

They stand in the backup database, for every engine. Whoever removes reads them inside :meth:`HoldBook.removal`, batch
by batch. Whoever places one lets it stand first and then waits for the removals that had read the holds before: when
he is told that it is settled, nothing on hold is removed any more. Removals never wait for holds.

Not here: what belongs to a held instance (``archival/holding.py``, ``history/cleanup``), the audit.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import psycopg
from psycopg.rows import class_row

from archival_pipeline import errors
from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

EngineName = Literal["jbpm", "camunda"]
Kind = Literal["instance", "business_key", "definition"]

# The first half of the advisory lock of a removal; the second is the removal's number.
_LOCK = 1_634_952_294
_LARGEST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold, as it stands in its table."""

    hold_id: int
    engine: str
    kind: str
    value: str
    reason: str
    placed_by: str
    placed_at: datetime
    release_reason: str | None = None
    released_by: str | None = None
    released_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Holds:
    """What is held of one engine.

    Attributes:
        instances: ids of instances, as texts.
        business_keys: business keys.
        definitions: keys, or for jBPM also names, of process definitions.
    """

    instances: frozenset[str] = frozenset()
    business_keys: frozenset[str] = frozenset()
    definitions: frozenset[str] = frozenset()

    @property
    def any(self) -> bool:
        """Whether anything is held."""
        return bool(self.instances or self.business_keys or self.definitions)


NOTHING_HELD = Holds()


class HoldBook:
    """Reads the holds of one engine.

    Args:
        connection: an autocommit session on the backup database; several threads may share it.
        engine: whose holds.
    """

    def __init__(self, connection: psycopg.Connection[Any], engine: EngineName) -> None:
        self._connection = connection
        self._engine = engine

    def active(self) -> Holds:
        """What is held now.

        Raises:
            PreflightError: the backup database has no table of holds yet.
        """
        by_kind: dict[str, set[str]] = {"instance": set(), "business_key": set(), "definition": set()}
        try:
            rows = self._connection.execute(load_sql("backup/hold_active"), {"engine": self._engine}).fetchall()
        except psycopg.errors.UndefinedTable as error:
            raise errors.PreflightError(
                ["the backup database has no table of legal holds: run `archival-pipeline migrate`"]
            ) from error
        for kind, value in rows:
            by_kind[kind].add(value)
        return Holds(*map(frozenset, (by_kind["instance"], by_kind["business_key"], by_kind["definition"])))

    @contextmanager
    def removal(self) -> Iterator[None]:
        """Let whoever places a hold wait until the body, with its commit, is over; read the holds inside.

        The session must be alive until right before that commit: a caller uses it, or :meth:`require`, last of all.
        """
        number = secrets.randbelow(_LARGEST) + 1
        self._connection.execute("SELECT pg_advisory_lock(%s, %s)", (_LOCK, number))
        try:
            yield
        finally:
            # A session that was lost took the lock along.
            if not self._connection.closed:
                self._release(number)

    def require(self) -> None:
        """Make sure that the session, and with it the lock of :meth:`removal`, is still there.

        Raises:
            TransientDatabaseError: it is not.
        """
        try:
            self._connection.execute("SELECT")
        except psycopg.OperationalError as error:
            raise errors.from_database(error, "looking at the legal holds") from error

    def _release(self, number: int) -> None:
        try:
            self._connection.execute("SELECT pg_advisory_unlock(%s, %s)", (_LOCK, number))
        except psycopg.OperationalError:
            if not self._connection.closed:
                raise


def place(
    connection: psycopg.Connection[Any], engine: EngineName, kind: Kind, value: str, *, reason: str, by: str
) -> Hold:
    """Let a hold stand; with the caller's transaction, it counts when that is committed."""
    values = {"engine": engine, "kind": kind, "value": value, "reason": reason, "placed_by": by}
    hold = _hold(connection, "backup/hold_place", values)
    assert hold is not None  # noqa: S101 - an INSERT returns its row
    return hold


def release(connection: psycopg.Connection[Any], hold_id: int, *, reason: str, by: str) -> Hold | None:
    """Release a hold; None where none of that number stands."""
    return _hold(connection, "backup/hold_release", {"hold_id": hold_id, "reason": reason, "released_by": by})


def listed(connection: psycopg.Connection[Any], engine: EngineName | None, *, released: bool) -> list[Hold]:
    """The holds in the order in which they were placed."""
    with connection.cursor(row_factory=class_row(Hold)) as cursor:
        return cursor.execute(load_sql("backup/hold_list"), {"engine": engine, "released": released}).fetchall()


def wait_for_removals(connection: psycopg.Connection[Any]) -> bool:
    """Wait for the removals that may not have seen a hold that has just been committed; whether all of them ended.

    Those that begin later see it, so each is waited for once.

    Args:
        connection: an autocommit session; its ``lock_timeout`` says how long one of them is waited for.
    """
    for (number,) in connection.execute(load_sql("backup/removals_at_work")).fetchall():
        try:
            connection.execute("SELECT pg_advisory_lock_shared(%s, %s)", (_LOCK, number))
        except psycopg.errors.LockNotAvailable:
            return False
        connection.execute("SELECT pg_advisory_unlock_shared(%s, %s)", (_LOCK, number))
    return True


def _hold(connection: psycopg.Connection[Any], name: str, values: dict[str, Any]) -> Hold | None:
    with connection.cursor(row_factory=class_row(Hold)) as cursor:
        return cursor.execute(load_sql(name), values).fetchone()
