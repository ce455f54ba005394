"""Start states for fault tests: a pair of databases before a job, to be copied as often as there are faults.

Not here: how a run is started (``harness.py``), what a good state is (``support/oracle.py``).
"""

from __future__ import annotations

import itertools
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from psycopg import sql

from archival_pipeline.archival import service
from archival_pipeline.database.connections import connect
from archival_pipeline_tests.faults.harness import Job
from archival_pipeline_tests.support.moves import Engine, settings_of
from archival_pipeline_tests.support.oracle import Moment, Oracle

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from archival_pipeline.settings import DatabaseSettings, Settings
    from archival_pipeline_tests.faults.harness import Ended, Mover
    from archival_pipeline_tests.faults.points import Fault
    from archival_pipeline_tests.support.checker import Rows
    from archival_pipeline_tests.support.databases import TestDatabases
    from archival_pipeline_tests.support.moves import Pair, Pairs

_LONGEST_WAIT = 120.0
_PLAN = "INSERT INTO archival_batch"
_BOOKS = re.compile(r"UPDATE archival_batch|UPDATE archival_operation SET status")
_WRITES = re.compile(r'^COPY "|removed AS')
_BEFORE_COMMIT = re.compile(r"\d+ before \w+ COMMIT$")

Sides = tuple["DatabaseSettings", "DatabaseSettings"]

SMALL = Engine(every_ended=1)
"""Two trees with a row in every table that an ended instance can have."""
FOREST = Engine(trees=6, every_ended=1)
"""The same and six ordinary trees."""
LARGE = Engine(trees=6, traps=True, every_ended=1)
"""The same among six ordinary trees and one of every oddity."""

COMPLETED = {"processStatus": "COMPLETED"}
BACKUP = Job("backup", COMPLETED)
RESTORE = Job("restore", COMPLETED)
DELETE = Job("delete", COMPLETED)
DELETE_BACKUP = Job("delete", COMPLETED, {"database": "backup"})
JOBS = {"backup": BACKUP, "restore": RESTORE, "delete": DELETE, "delete in backup": DELETE_BACKUP}

_audits = itertools.count(1)
_databases = itertools.count(1)


def new_audit() -> str:
    """An audit id that no run of this session had."""
    return f"fault-{next(_audits)}"


@dataclass(frozen=True, slots=True)
class Stage:
    """A job before it begins, and what it does when nothing disturbs it.

    Attributes:
        job: what is run.
        start: the databases to copy.
        oracle: judges every copy.
        end: both databases after an undisturbed run.
        points: the fault points of that run.
    """

    job: Job
    start: Sides
    oracle: Oracle
    end: Moment
    points: tuple[str, ...]

    def lasting_points(self) -> list[int]:
        """Numbers of the points next to something that outlives a crash, from the plan on: where states begin."""
        found: list[int] = []
        written: dict[str, bool] = {}
        planned = False
        for number, line in enumerate(self.points, 1):
            _, when, side, what = line.split(" ", 3)
            planned = planned or _PLAN in what
            written[side] = what != "BEGIN" and (written.get(side, False) or _WRITES.search(what) is not None)
            commit = what == "COMMIT" and written[side]
            if planned and (commit or (when == "after" and _BOOKS.match(what))):
                found.append(number)
        return found

    def data_commits(self) -> list[int]:
        """Numbers of the points before the COMMIT of a transaction that writes or deletes rows of the trees."""
        return [n for n in self.lasting_points() if n in self._before_commit()]

    def _before_commit(self) -> set[int]:
        return {number for number, line in enumerate(self.points, 1) if _BEFORE_COMMIT.match(line)}


class Stages:
    """Builds stages once a session and copies them for each fault."""

    def __init__(self, pairs: Pairs, primaries: TestDatabases, backups: TestDatabases, mover: Mover) -> None:
        self._pairs = pairs
        self._primaries = primaries
        self._backups = backups
        self.mover = mover
        self._stages: dict[tuple[str, Engine], Stage] = {}

    def stage(self, job: Job, engine: Engine = SMALL) -> Stage:
        """The stage of a job, built on the first call."""
        key = (repr(job), engine)
        if key not in self._stages:
            self._stages[key] = self._build(job, engine)
        return self._stages[key]

    def beside(self, mover: Mover) -> Stages:
        """The same stages for another mover, so that two can be at work on copies of their own."""
        other = Stages(self._pairs, self._primaries, self._backups, mover)
        other._stages = self._stages
        return other

    @contextmanager
    def copy(self, start: Sides) -> Iterator[Sides]:
        """A copy of a pair of databases, dropped afterwards."""
        primary, backup = _copy(self._primaries, start[0]), _copy(self._backups, start[1])
        # The copy is another database than the one that the backup was paired with.
        service.pair(settings_of(primary, backup))
        yield primary, backup
        self._primaries.drop(primary)
        self._backups.drop(backup)

    def run(self, sides: Sides, job: Job) -> Ended:
        """Run a job to its end, which must be a good one."""
        return self.mover.run(sides, job, new_audit()).require_done()

    def run_again(self, sides: Sides, job: Job, dead: str, *, anew: bool, faults: Sequence[Fault] = ()) -> Ended:
        """Go on after a crash: launch the job anew, or take the dead run up again if the ledger has heard of it."""
        known = _knows(sides[1], dead)
        again, audit = (None, dead) if known and not anew else (job, new_audit())
        return self.mover.run(sides, again, audit, *faults)

    def _build(self, job: Job, engine: Engine) -> Stage:
        pair = self._pairs.make(engine)
        sides = pair.settings.primary, pair.settings.backup
        from_backup = job.operation == "restore" or job.options.get("database") == "backup"
        if from_backup:
            self.run(sides, BACKUP)
        origin: Literal["primary", "backup"] = "backup" if from_backup else "primary"
        start = Moment.look(*sides)
        with self.copy(sides) as copied:
            points = self.run(copied, job).points
            end = Moment.look(*copied)
            gone = _instances(pair.settings, origin).keys() - _instances(settings_of(*copied), origin).keys()
        trees = _trees(pair, origin, gone)
        assert trees.keys() <= _may_move(pair), "the undisturbed run moved a tree that must stay"
        assert trees, "the undisturbed run moved nothing"
        oracle = Oracle(start, trees, origin, copies=job.operation != "delete")
        return Stage(job, sides, oracle, end, points)


def _knows(backup: DatabaseSettings, audit_id: str) -> bool:
    with connect(backup, purpose="check") as session:
        row = session.execute("SELECT FROM archival_operation WHERE audit_id = %s", [audit_id]).fetchone()
    return row is not None


def wait_for_lock(database: DatabaseSettings, backend: int) -> None:
    """Wait until a session waits for a lock that another one holds."""
    query = "SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
    limit = time.monotonic() + _LONGEST_WAIT
    with connect(database, purpose="check", autocommit=True) as session:
        while session.execute(query, [backend]).fetchone() is None:
            assert time.monotonic() < limit, "the session waits for no lock"
            time.sleep(0.01)


def _copy(databases: TestDatabases, source: DatabaseSettings) -> DatabaseSettings:
    """Copy a small database through the log, which needs no checkpoint: hundreds are made."""
    name = f"fault_{next(_databases)}"
    with connect(databases.cluster.settings("postgres"), purpose="copy", autocommit=True) as session:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY wal_log")
        session.execute(statement.format(sql.Identifier(name), sql.Identifier(source.database)))
    return databases.cluster.settings(name)


def _instances(settings: Settings, side: Literal["primary", "backup"]) -> dict[int, int]:
    """Every instance of a side with its parent."""
    query = "SELECT processinstanceid, coalesce(parentprocessinstanceid, -1) FROM processinstancelog"
    with connect(settings.primary if side == "primary" else settings.backup, purpose="check") as session:
        return dict(session.execute(query).fetchall())


def _trees(pair: Pair, side: Literal["primary", "backup"], moved: Collection[int]) -> dict[int, Rows]:
    """Rows of the trees that moved instances form, by root."""
    parents = {pid: parent for pid, parent in _instances(pair.settings, side).items() if pid in moved}
    members: dict[int, list[int]] = {}
    for pid in parents:
        members.setdefault(_topmost(pid, parents), []).append(pid)
    read = pair.checker.primary if side == "primary" else pair.checker.backup
    return {root: read(pids) for root, pids in members.items()}


def _topmost(pid: int, parents: Mapping[int, int]) -> int:
    """The root of a tree; for a circle its least member."""
    way = [pid]
    while parents[way[-1]] in parents and parents[way[-1]] not in way:
        way.append(parents[way[-1]])
    return min(way) if parents[way[-1]] in way else way[-1]


def _may_move(pair: Pair) -> set[int]:
    """Instances that the sample data itself says may be archived."""
    ended = {pid for members in pair.written.ended for pid in members}
    forests = {p for s in pair.written.forests for t in s.trees if t.obstacle is None for p in t.members}
    # Trees without a sound chain of parents are not among the forests' trees; nothing keeps them in the primary.
    circles = {pid for name in ("parent_cycle", "parent_self") for pid in pair.written.trap(name)}
    return ended | forests | circles
