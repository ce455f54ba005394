"""Which root instances are due: page by page along an index, and how many are left.

A root instance is due when its time has come and nothing of its hierarchy runs; what runs is asked from the runtime
tables, because history may call an ended instance active and, under the strategy `start`, a running one expired.
Not here: the removal, which asks again under a lock.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from psycopg import sql

from archival_pipeline.history.cleanup import keeping
from archival_pipeline.history.cleanup.keeping import Keeper

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from archival_pipeline.history.cleanup.database import Engine, Session
    from archival_pipeline.settings_cleanup import CleanupSettings


@dataclass(frozen=True, slots=True)
class Due:
    """When a root instance's time has come.

    Attributes:
        engine: whose tables.
        now: the engine's wall clock.
        cleanup: strategy, times to live, and what is on hold.
        keeper: says what is on hold a moment later.
    """

    engine: Engine
    now: datetime
    cleanup: CleanupSettings
    keeper: Keeper | None = None

    @property
    def time(self) -> str:
        """The column along which roots come due."""
        return "end_time_" if self.cleanup.strategy == "endTimeBased" else "removal_time_"

    @property
    def values(self) -> dict[str, Any]:
        """What the condition binds."""
        return {
            "now": self.now,
            "days": self.cleanup.default_days,
            "days_of": json.dumps(self.cleanup.time_to_live_of),
            "held_instances": self.cleanup.holds.instances,
            "held_keys": self.cleanup.holds.businessKeys,
            "held_definitions": self.cleanup.holds.definitions,
        }

    @contextmanager
    def removing(self) -> Iterator[Due]:
        """The same for one transaction that removes, with what is on hold by then."""
        with (self.keeper or Keeper(self.cleanup.holds)).removal() as held:
            yield replace(self, cleanup=keeping.holding(self.cleanup, held))

    def require(self) -> None:
        """The last look before the commit of such a transaction; see :meth:`Keeper.require`."""
        if self.keeper is not None:
            self.keeper.require()

    def condition(self) -> sql.Composed:
        """The condition on a root instance ``p``, without the question whether it runs."""
        return self.engine.names(f"{ROOT_CONDITION} AND " + _STRATEGIES[self.cleanup.strategy] + _NOT_HELD)

    def pages(self, session: Session, size: int) -> Iterator[list[str]]:
        """Ids of due roots, oldest first; rows removed meanwhile do not disturb the order."""
        statement = sql.SQL(
            "SELECT p.{time}, p.id_ FROM {table} AS p WHERE {due} AND {idle}"
            " AND (p.{time}, p.id_) > (%(after)s, %(id)s) ORDER BY p.{time}, p.id_ LIMIT %(size)s"
        ).format(
            time=sql.Identifier(self.time),
            table=self.engine.name("act_hi_procinst"),
            due=self.condition(),
            idle=self.engine.names(NOT_RUNNING),
        )
        after: tuple[Any, str] = ("-infinity", "")
        while True:
            values = self.values | {"after": after[0], "id": after[1], "size": size}
            rows = session.execute(statement, values).fetchall()
            if not rows:
                return
            after = rows[-1][0], rows[-1][1]
            yield [row[1] for row in rows]

    def count(self, session: Session) -> int:
        """How many roots are due now."""
        statement = sql.SQL("SELECT count(*) FROM {} AS p WHERE {} AND {}").format(
            self.engine.name("act_hi_procinst"), self.condition(), self.engine.names(NOT_RUNNING)
        )
        row = session.execute(statement, self.values).fetchone()
        return int(row[0]) if row else 0


# Rows of before 7.10 name no root; the topmost of them is called by nobody.
ROOT_CONDITION = (
    "(p.root_proc_inst_id_ = p.id_ OR (p.root_proc_inst_id_ IS NULL AND p.super_process_instance_id_ IS NULL))"
)
# Days are those of the calendar on the engine's wall, as the engine counts them.
DAYS = (
    "coalesce((SELECT d.history_ttl_ FROM {act_re_procdef} AS d WHERE d.id_ = p.proc_def_id_),"
    " (%(days_of)s::jsonb ->> p.proc_def_key_)::integer, %(days)s)"
)
_STRATEGIES = {
    "removalTimeBased": "p.removal_time_ <= %(now)s",
    "endTimeBased": f"p.end_time_ <= %(now)s AND p.end_time_ + make_interval(days => {DAYS}) <= %(now)s",
}
_NOT_HELD = (
    " AND NOT p.id_ = ANY(%(held_instances)s) AND coalesce(NOT p.business_key_ = ANY(%(held_keys)s), true)"
    " AND coalesce(NOT p.proc_def_key_ = ANY(%(held_definitions)s), true)"
)
NOT_RUNNING = (
    "NOT EXISTS (SELECT 1 FROM {act_ru_execution} AS e WHERE e.root_proc_inst_id_ = p.id_)"
    " AND NOT EXISTS (SELECT 1 FROM {act_ru_execution} AS e WHERE e.proc_inst_id_ = p.id_)"
)
