"""Removes archived history from the backup for good, once it has outlived its time there.

Unit by unit as the ledger has them: only what the backup holds alone, all rows of a hierarchy with the ledger's change
of state in one transaction of the backup. The ledger's rows are changed first: whoever else wants the same units waits
for that transaction, and is then told that they are gone. What is on hold stays, and so does what waits for a person.
The engine's rows are never touched. Not here: when a run begins (the job and the command).
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from archival_pipeline import errors
from archival_pipeline.catalogue import statements
from archival_pipeline.catalogue.camunda import HISTORY_TABLES, ROOT
from archival_pipeline.history.cleanup.archive import keys, ledger, opening
from archival_pipeline.history.cleanup.archive.units import HIERARCHY, ids_of
from archival_pipeline.history.cleanup.database import PATIENT, Engine, hold_alone, open_session
from archival_pipeline.history.cleanup.keeping import keeper

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archival_pipeline.history.cleanup.archive.opening import Side, Target
    from archival_pipeline.history.cleanup.archive.units import Unit
    from archival_pipeline.history.cleanup.database import Session
    from archival_pipeline.history.cleanup.keeping import Keeper
    from archival_pipeline.history.cleanup.running import Surroundings
    from archival_pipeline.settings_camunda import CamundaSettings
    from archival_pipeline.settings_cleanup import CleanupSettings, LegalHolds


@dataclass(slots=True)
class Expired:
    """What a run removed, or would remove.

    Attributes:
        hierarchies: hierarchies that are gone.
        loose: sets of rows without a hierarchy.
        rows: rows by table, without prefix.
        held: units that have expired and stay, because something of them is on hold.
        problems: units that have expired and stay, because they wait for a person.
        left: units that did not get their turn before the window's end.
        stopped: whether the window's end stopped the run.
    """

    hierarchies: int = 0
    loose: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    held: int = 0
    problems: int = 0
    left: int = 0
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class _Archive:
    """The backup at work: a session in autocommit, its tables, what is on hold."""

    session: Session
    side: Side
    keeper: Keeper


def expire(
    settings: CamundaSettings, cleanup: CleanupSettings, around: Surroundings, target: Target, *, dry_run: bool = False
) -> Expired:
    """Remove what has been archived for longer than its time to live, batch by batch; safe to stop and to repeat.

    Args:
        settings: the engine's database: whose history it is, and the lock that keeps a cleanup or restore of ours away.
        cleanup: the time to live, the batch size, and what is on hold by the settings.
        around: time and the end of the window.
        target: the backup.
        dry_run: only count; reads only.

    Returns:
        What went; nothing where there is no time to live.

    Raises:
        BusyError: a cleanup of ours is at work on the same tables.
        PreflightError: the backup is behind this release, or keeps the history of another engine.
        DatabaseError: a server refused; finished batches stay finished.
    """
    done = Expired()
    if cleanup.archive_days is None:
        return done
    before = around.clock() - timedelta(days=cleanup.archive_days)
    try:
        with ExitStack() as stack:
            purpose = "retention of history"
            session = stack.enter_context(open_session(settings, purpose, autocommit=True, limits=PATIENT))
            backup = stack.enter_context(opening.open_backup(target.backup, purpose))
            if not dry_run:
                hold_alone(session, settings)
            side = opening.check_kept(Engine.probe(settings, session), session, backup, target)
            archive = _Archive(backup, side, stack.enter_context(keeper(cleanup.holds, target.backup)))
            for batch in _batches(ledger.pages_of_expired(backup, cleanup.batch_size, before)):
                if around.over:
                    done.stopped = True
                    break
                _expire(archive, batch, done, dry_run=dry_run)
            expired, done.problems = ledger.count_expired(backup, before)
            stand = done.held + (done.hierarchies + done.loose if dry_run else 0)
            done.left = max(expired - stand, 0)
    except psycopg.Error as error:
        raise errors.from_database(error, "removing archived history") from error
    return done


def _batches(pages: Iterator[list[Unit]]) -> Iterator[list[Unit]]:
    """The hierarchies of a page together; a set of loose rows, as large as a batch already, by itself."""
    for page in pages:
        rooted = [unit for unit in page if unit.kind == HIERARCHY]
        if rooted:
            yield rooted
        yield from ([unit] for unit in page if unit.kind != HIERARCHY)


def _expire(archive: _Archive, units: Sequence[Unit], done: Expired, *, dry_run: bool) -> None:
    if dry_run:
        free = _not_held(archive, units, archive.keeper.held())
        found = keys.measure(archive.session, archive.side, _keys(archive, free))
    else:
        with archive.keeper.removal() as held, archive.session.transaction():
            free = _not_held(archive, units, held)
            ledger.change(archive.session, free, ledger.ARCHIVED, ledger.EXPIRED)
            found = keys.delete(archive.session, archive.side, _keys(archive, free))
            archive.keeper.require()
    done.held += len(units) - len(free)
    rooted = sum(unit.kind == HIERARCHY for unit in free)
    done.hierarchies += rooted
    done.loose += len(free) - rooted
    done.rows.update({name: digest.rows for name, digest in found.items()})


def _keys(archive: _Archive, units: Sequence[Unit]) -> keys.Keys:
    return keys.resolve(archive.session, archive.side, units)


def _not_held(archive: _Archive, units: Sequence[Unit], held: LegalHolds) -> list[Unit]:
    if not held.any:
        return list(units)
    rooted = [unit for unit in units if unit.kind == HIERARCHY]
    stay = ledger.on_hold(archive.session, ids_of(rooted), held) if rooted else set()
    others = [unit for unit in units if unit.unit_id not in stay]
    stay |= _with_rows_of_held(archive, others, held)
    return [unit for unit in others if unit.unit_id not in stay]


def _with_rows_of_held(archive: _Archive, units: Sequence[Unit], held: LegalHolds) -> set[str]:
    """Units of which a row names something on hold; a hierarchy takes along loose rows that name its root."""
    if not units or not _names_a_held(archive, units, held):
        return set()
    if len(units) == 1:
        return {units[0].unit_id}
    return {unit.unit_id for unit in units if _names_a_held(archive, [unit], held)}


def _names_a_held(archive: _Archive, units: Sequence[Unit], held: LegalHolds) -> bool:
    """Whether any row of these units says that it belongs to something on hold."""
    found = _keys(archive, units)
    for table in HISTORY_TABLES:
        bound = archive.side.tables.get(table.name)
        owned = statements.owned_rows(bound, found.filled) if bound else None
        if bound is None or owned is None:
            continue
        says = {ROOT: held.instances, "business_key_": held.businessKeys, "proc_def_key_": held.definitions}
        says |= {table.instance: held.instances} if table.instance else {}
        for column, values in says.items():
            if column not in bound.columns or not values:
                continue
            query = sql.SQL("SELECT EXISTS (SELECT 1 FROM {} AS t WHERE {} AND t.{} = ANY(%(held)s))").format(
                sql.Identifier(bound.name), owned, sql.Identifier(column)
            )
            row = archive.session.execute(query, {**found.parameters, "held": values}).fetchone()
            if row is not None and row[0]:
                return True
    return False
