"""Pairs of databases that are ready to be moved between, and moves run step by step. No test and no fixture is here.

A pair is copied from templates that are built once a session: the engine's schema with sample data, and a backup that
was migrated to fit it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import SecretStr

from archival_pipeline.archival import service, steps
from archival_pipeline.archival.direction import BACKUP, Direction
from archival_pipeline.archival.filters import parse_filters
from archival_pipeline.archival.move import Move, open_move
from archival_pipeline.archival.options import parse_options
from archival_pipeline.database.connections import connect
from archival_pipeline.local import jbpm_schema
from archival_pipeline.local.jbpm_schema import Variant
from archival_pipeline.local.sample_data import Profile, Summary, generate, populate_every_table
from archival_pipeline.settings import DagsterSettings, EngineSettings, Settings
from archival_pipeline_tests.support.checker import Checker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import psycopg

    from archival_pipeline.archival.ledger import Totals, TreeReport
    from archival_pipeline.archival.steps import WaveResult
    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline_tests.support.databases import TestDatabases

    Session = psycopg.Connection[tuple[Any, ...]]

NOW = datetime(2026, 11, 1, tzinfo=UTC)
ALL: dict[str, Any] = {}
"""The empty filters, which need ``allowAll``."""

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Engine:
    """What an engine's database looks like; equal ones share a template.

    Attributes:
        variant: shape of the schema.
        clobs: what text columns hold.
        guard: whether the engine's guard triggers stand.
        trees: ordinary trees of a forest; 0 for no forest. With traps where ``traps`` says so.
        flavours: engines that wrote a forest, one after the other.
        traps: whether the forests have their oddities.
        every_ended: how often the pair of ended trees with rows in every table is written.
        every_running: how often the running pair is.
    """

    variant: Variant = Variant.STANDARD_OID
    clobs: Literal["pointer", "text"] = "pointer"
    guard: bool = False
    trees: int = 0
    flavours: tuple[Literal["kie_server", "embedded"], ...] = ("kie_server",)
    traps: bool = False
    every_ended: int = 0
    every_running: int = 0

    @property
    def name(self) -> str:
        """A name for people and templates."""
        return "-".join(str(part) for part in (self.variant, self.clobs, "guard" if self.guard else "")).strip("-")


@dataclass(frozen=True)
class Written:
    """What the sample data knows of itself.

    Attributes:
        forests: a summary of each forest.
        ended: members of each ended pair of trees with rows in every table, roots before descendants.
        running: members of each running pair.
    """

    forests: tuple[Summary, ...]
    ended: tuple[tuple[int, ...], ...]
    running: tuple[tuple[int, ...], ...]

    @property
    def safe_roots(self) -> set[int]:
        """Roots of the forests' trees that may be archived."""
        return {root for summary in self.forests for root in summary.safe_roots}

    def trap(self, name: str) -> list[int]:
        """The instances of one trap, in all forests."""
        return [pid for summary in self.forests for pid in summary.traps.get(name, ())]


@dataclass(frozen=True)
class Pair:
    """A primary and its backup.

    Attributes:
        settings: of a service that works on both.
        written: what was written into the primary.
        checker: looks at both.
    """

    settings: Settings
    written: Written
    checker: Checker

    def execute(self, side: Literal["primary", "backup"], statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Run one statement in a session of its own, committed; return its rows."""
        database = self.settings.primary if side == "primary" else self.settings.backup
        with connect(database, purpose="test", autocommit=True) as session:
            cursor = session.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def pids(self, side: Literal["primary", "backup"]) -> set[int]:
        """Instances with a log row on one side."""
        return {row[0] for row in self.execute(side, "SELECT processinstanceid FROM processinstancelog")}

    def roots(self, side: Literal["primary", "backup"]) -> list[int]:
        """Instances without a parent on one side, in order."""
        query = "SELECT processinstanceid FROM processinstancelog WHERE coalesce(parentprocessinstanceid, -1) <= 0"
        return sorted(row[0] for row in self.execute(side, query))

    def tree(self, root: int) -> set[int]:
        """Members of a tree of the sample data."""
        for summary in self.written.forests:
            for tree in summary.trees:
                if tree.root == root:
                    return set(tree.members)
        raise LookupError(root)


class Pairs:
    """Makes pairs from templates, and the templates when they are first asked for."""

    def __init__(self, primaries: TestDatabases, backups: TestDatabases) -> None:
        self._primaries = primaries
        self._backups = backups
        self._written: dict[Engine, Written] = {}

    def make(self, engine: Engine) -> Pair:
        """A fresh pair; drop it with ``drop``."""
        primary = self._primaries.fresh(self._primaries.template(repr(engine), lambda empty: self._fill(empty, engine)))

        def fit(empty: DatabaseSettings) -> None:
            service.migrate(settings_of(primary, empty), ["backup"])

        backup = self._backups.fresh(self._backups.template(engine.variant, fit))
        settings = settings_of(primary, backup, engine.clobs)
        return Pair(settings, self._written[engine], Checker(primary, backup, pointers=engine.clobs == "pointer"))

    def drop(self, pair: Pair) -> None:
        """Drop both databases of a pair."""
        self._primaries.drop(pair.settings.primary)
        self._backups.drop(pair.settings.backup)

    def _fill(self, database: DatabaseSettings, engine: Engine) -> None:
        with connect(database, purpose="sample data") as session:
            jbpm_schema.create(session, engine.variant, clob_guard=engine.guard)
            self._written[engine] = _write(session, engine)
            session.commit()
        service.migrate(settings_of(database, database), ["primary"])


def _write(session: Session, engine: Engine) -> Written:
    forests = tuple(
        generate(
            session,
            Profile(seed=1, trees=engine.trees, now=NOW, flavour=flavour, clob_mode=engine.clobs, traps=engine.traps),
            engine.variant,
        )
        for flavour in (engine.flavours if engine.trees or engine.traps else ())
    )

    def every(times: int, *, ended: bool) -> tuple[tuple[int, ...], ...]:
        return tuple(
            populate_every_table(
                session, engine.variant, now=NOW, ended=ended, clob_mode=engine.clobs, seed=number + 100 * ended
            )
            for number in range(times)
        )

    return Written(forests, every(engine.every_ended, ended=True), every(engine.every_running, ended=False))


def settings_of(primary: DatabaseSettings, backup: DatabaseSettings, clob_mode: str = "auto") -> Settings:
    """Settings of a service on two databases, whatever the environment says."""
    return Settings(
        primary,
        backup,
        EngineSettings.model_construct(time_zone="UTC", clob_mode=clob_mode),
        DagsterSettings.model_construct(pg_url=None),
    )


@dataclass(frozen=True)
class Ran:
    """What became of a move that ran to its end.

    Attributes:
        audit_id: the operation.
        plan: what was planned.
        totals: what the ledger says.
        reports: trees that stayed, by root.
        executed: result of the step execute, wave by wave.
        deleted: result of the step delete, wave by wave.
    """

    audit_id: str
    plan: steps.Plan
    totals: Totals
    reports: Mapping[int, TreeReport]
    executed: Sequence[WaveResult]
    deleted: Sequence[WaveResult]


def open_run(
    settings: Settings, direction: Direction = BACKUP, filters: Mapping[str, Any] = ALL, **options: Any
) -> Move:
    """Open a move; options in the names of the run configuration. Empty filters mean everything."""
    chosen = options if filters else {"allowAll": True, **options}
    audit_id = f"test-{next(_numbers)}"
    return open_move(settings, audit_id, parse_filters(filters), parse_options(chosen), direction)


def run(
    settings: Settings,
    direction: Direction = BACKUP,
    filters: Mapping[str, Any] = ALL,
    *,
    between: Callable[[], object] = lambda: None,
    **options: Any,
) -> Ran:
    """Run a whole move; ``between`` is called after each wave was copied and before it is deleted."""
    move = open_run(settings, direction, filters, **options)
    try:
        steps.count(move)
        plan = steps.fetch(move)
        executed, deleted = [], []
        for wave in plan.waves:
            steps.children(move, wave)
            steps.generate_sql(move, wave)
            executed.append(steps.execute(move, wave))
            between()
            deleted.append(steps.delete(move, wave))
        totals = steps.complete(move)
        reports = {report.root_id: report for report in move.ledger.reports()}
        return Ran(move.audit_id, plan, totals, reports, executed, deleted)
    finally:
        move.close()


def as_role(settings: Settings, username: str, password: str) -> Settings:
    """The same service, connecting to the primary as another role."""
    primary = settings.primary.model_copy(update={"username": username, "password": SecretStr(password)})
    return Settings(primary, settings.backup, settings.engine, settings.dagster)
