"""The live Camunda database as the cleanup's statements need it: which tables and columns it has, and its clock.

Releases from 7.10 on differ by tables and columns; what is not there is left out. Not here: what a table means
(``catalogue/camunda.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from archival_pipeline.catalogue.camunda import HISTORY_TABLES, REMOVAL, ROOT, ROOTS_TABLE, HistoryTable
from archival_pipeline.database.connections import Limits, connect
from archival_pipeline.errors import BusyError, PreflightError
from archival_pipeline.window import zone_of

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

    from archival_pipeline.settings_camunda import CamundaSettings

    Session = psycopg.Connection[tuple[Any, ...]]

# Shorter than the deadlock_timeout of a server (1 s): of two that wait for each other, it is never the engine that the
# server ends.
LIMITS = Limits(lock_timeout=500, statement_timeout=120_000, idle_in_transaction=60_000)
# Beside an archive a transaction is silent while the other server reads back.
PATIENT = Limits(lock_timeout=500, statement_timeout=120_000, idle_in_transaction=300_000)
_NEEDED = ("act_hi_procinst", "act_hi_actinst", "act_ge_bytearray", "act_ru_execution", "act_re_procdef")


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine's database.

    Attributes:
        settings: where it is.
        columns: the columns of each table that is there, without prefix.
    """

    settings: CamundaSettings
    columns: dict[str, frozenset[str]]

    @classmethod
    def probe(cls, settings: CamundaSettings, session: Session) -> Engine:
        """Look at the live tables.

        Raises:
            PreflightError: a table or column without which nothing can be removed safely is missing.
        """
        found: dict[str, set[str]] = {}
        rows = session.execute(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = %s AND starts_with(table_name, %s)",
            (settings.schema_name, settings.table("act_")),
        )
        for table, column in rows:
            found.setdefault(str(table).removeprefix(settings.table_prefix), set()).add(str(column))
        missing = [f"table {settings.table(name)} is missing" for name in _NEEDED if name not in found]
        missing += [
            f"column {settings.table(ROOTS_TABLE)}.{name} is missing: the engine is older than 7.10"
            for name in (REMOVAL, ROOT)
            if ROOTS_TABLE in found and name not in found[ROOTS_TABLE]
        ]
        if missing:
            raise PreflightError(missing)
        return cls(settings, {table: frozenset(names) for table, names in found.items()})

    def has(self, table: str, *columns: str | None) -> bool:
        """Whether the table is there with all these columns."""
        return table in self.columns and all(name is None or name in self.columns[table] for name in columns)

    @property
    def tables(self) -> tuple[HistoryTable, ...]:
        """The tables of the history that are there, in the engine's order of removal."""
        return tuple(table for table in HISTORY_TABLES if self.has(table.name))

    def name(self, table: str) -> sql.Identifier:
        """The name of a table for a statement."""
        return sql.Identifier(self.settings.table(table))

    def names(self, text: str) -> sql.Composed:
        """A statement in which ``{act_hi_procinst}`` and the like stand for tables."""
        return sql.SQL(text).format(**{table: self.name(table) for table in self.columns})

    def wall(self, moment: datetime) -> datetime:
        """What the engine's clock on the wall shows at a moment, as its rows store it: without zone."""
        return moment.astimezone(zone_of(self.settings.time_zone)).replace(tzinfo=None)


def open_session(
    settings: CamundaSettings, purpose: str, *, autocommit: bool = False, limits: Limits = LIMITS
) -> Session:
    """A session whose waits are short enough to give way to the engine."""
    return connect(settings, purpose=purpose, limits=limits, autocommit=autocommit)


def hold_alone(session: Session, settings: CamundaSettings) -> None:
    """Make this session the only cleanup of ours on the engine's tables, until it ends.

    Raises:
        BusyError: another one is at work.
    """
    row = session.execute(
        "SELECT pg_try_advisory_lock(hashtext('archival-pipeline: cleanup'), hashtext(%s))",
        (f"{settings.schema_name}.{settings.table_prefix}",),
    ).fetchone()
    if row is None or not row[0]:
        raise BusyError("of the history cleanup in progress")
