"""What the cleanup must keep: the holds of the setting and those of the table in the backup database, together.

The table is asked batch by batch, so that a hold that is placed during a run counts. Without a backup database there
is the setting alone. Not here: the table (``catalogue/holds.py``), what a hold means for a hierarchy (``selecting.py``,
``removal.py``).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from archival_pipeline import errors
from archival_pipeline.catalogue.holds import NOTHING_HELD, HoldBook
from archival_pipeline.database.connections import connect, short_session
from archival_pipeline.settings_cleanup import LegalHolds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline.catalogue.holds import Hold, Holds
    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline.settings_camunda import CamundaSettings
    from archival_pipeline.settings_cleanup import CleanupSettings


@dataclass(frozen=True, slots=True)
class Keeper:
    """Both kinds of holds.

    Attributes:
        setting: those of ``historyCleanupHolds``.
        book: the table; None where no backup database is configured.
    """

    setting: LegalHolds
    book: HoldBook | None = None

    def held(self) -> LegalHolds:
        """What is held now."""
        return _together(self.setting, NOTHING_HELD if self.book is None else self.book.active())

    @contextmanager
    def removal(self) -> Iterator[LegalHolds]:
        """The time of one transaction that removes, and what is held in it."""
        if self.book is None:
            yield self.setting
            return
        with self.book.removal():
            yield self.held()

    def require(self) -> None:
        """Right before a commit: make sure that nobody who placed a hold meanwhile was told that it is settled.

        Raises:
            TransientDatabaseError: the session that would have made him wait is gone.
        """
        if self.book is not None:
            self.book.require()


@contextmanager
def keeper(setting: LegalHolds, backup: DatabaseSettings | None) -> Iterator[Keeper]:
    """The holds of a run.

    Raises:
        DatabaseError: the backup database is configured and cannot be asked; nothing may be removed then.
    """
    if backup is None:
        yield Keeper(setting)
        return
    with connect(backup, purpose="cleanup holds", autocommit=True) as session:
        yield Keeper(setting, HoldBook(session, "camunda"))


def as_held(cleanup: CleanupSettings, backup: DatabaseSettings | None) -> CleanupSettings:
    """The settings with the holds of the table among their own, as they are now."""
    try:
        with keeper(cleanup.holds, backup) as both:
            return holding(cleanup, both.held())
    except psycopg.Error as error:
        raise errors.from_database(error, "reading the legal holds") from error


def matching(settings: CamundaSettings, hold: Hold) -> int:
    """How many Camunda instances meet the hold by themselves: none may mean a mistake in writing."""
    column = {"instance": "id_", "business_key": "business_key_", "definition": "proc_def_key_"}[hold.kind]
    statement = sql.SQL("SELECT count(*) FROM {} WHERE {} = %s").format(
        sql.Identifier(settings.table("act_hi_procinst")), sql.Identifier(column)
    )
    with short_session(settings, "counting what is on hold") as session:
        row = session.execute(statement, [hold.value]).fetchone()
    assert row is not None  # noqa: S101 - an aggregate returns one row
    return int(row[0])


def holding(cleanup: CleanupSettings, held: LegalHolds) -> CleanupSettings:
    """The settings with other holds."""
    return cleanup.model_copy(update={"holds": held})


def _together(setting: LegalHolds, table: Holds) -> LegalHolds:
    return LegalHolds(
        instances=sorted({*setting.instances, *table.instances}),
        businessKeys=sorted({*setting.businessKeys, *table.business_keys}),
        definitions=sorted({*setting.definitions, *table.definitions}),
    )
