"""Restores what was archived, and says what stands where: what commands and jobs call.

Not here: archiving, which is a part of a run of the cleanup (``running.py``).
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg

from archival_pipeline import errors
from archival_pipeline.history.cleanup.archive import ledger, opening, recovery, restoring
from archival_pipeline.history.cleanup.archive.removal import Sessions
from archival_pipeline.history.cleanup.archive.restoring import Returned
from archival_pipeline.history.cleanup.archive.units import HIERARCHY, ids_of
from archival_pipeline.history.cleanup.database import PATIENT, Engine, hold_alone, open_session
from archival_pipeline.history.cleanup.removal import due_among
from archival_pipeline.history.cleanup.selecting import Due

if TYPE_CHECKING:
    from archival_pipeline.history.cleanup.archive.opening import Target
    from archival_pipeline.history.cleanup.archive.units import Unit
    from archival_pipeline.history.cleanup.running import Surroundings
    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline.settings_camunda import CamundaSettings
    from archival_pipeline.settings_cleanup import CleanupSettings


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to come back: whatever one of these names.

    Attributes:
        instances: process instances; their whole hierarchies come back.
        business_keys: of any instance of a hierarchy.
        definitions: process definition keys of any instance of a hierarchy.
        runs: runs of the cleanup; rows without a hierarchy are found by these alone.
        everything: all that is archived.
    """

    instances: list[str] = field(default_factory=list)
    business_keys: list[str] = field(default_factory=list)
    definitions: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    everything: bool = False

    @property
    def any(self) -> bool:
        """Whether anything is asked for."""
        return any(asdict(self).values())


def restore(
    settings: CamundaSettings,
    cleanup: CleanupSettings,
    around: Surroundings,
    target: Target,
    wanted: Wanted,
    *,
    dry_run: bool = False,
) -> Returned:
    """Bring archived hierarchies back into the engine's history, batch by batch; safe to stop and to repeat.

    Args:
        settings: the engine's database.
        cleanup: batch size; strategy and holds say what the next cleanup would take again.
        around: time and the end of the window.
        target: the backup.
        wanted: what is to come back.
        dry_run: only count what would come back.

    Raises:
        RequestError: nothing was asked for.
        BusyError: a cleanup of ours is at work on the same tables.
        PreflightError: the sides do not fit.
        DatabaseError: a server refused; finished batches stay finished.
    """
    if not wanted.any:
        raise errors.RequestError(
            "Nothing says what is to come back.",
            resolve="Name instances, business keys, definitions or runs, or ask for everything.",
            field="instances",
        )
    try:
        with ExitStack() as stack:
            session = stack.enter_context(open_session(settings, "restore of history", autocommit=True, limits=PATIENT))
            backup = stack.enter_context(opening.open_backup(target.backup, "restore of history"))
            if not dry_run:
                hold_alone(session, settings)
            engine = Engine.probe(settings, session)
            archive = opening.check(engine, session, backup, target, "restore")
            at = Sessions(session, backup, archive, Due(engine, engine.wall(around.clock()), cleanup))
            return _restore(at, around, wanted, dry_run=dry_run)
    except psycopg.Error as error:
        raise errors.from_database(error, "restoring history") from error


def totals(backup: DatabaseSettings) -> list[dict[str, Any]]:
    """Units of the archive by kind, operation and state; reads only."""
    try:
        with opening.open_backup(backup, "archive of history") as session:
            return ledger.totals(session)
    except psycopg.Error as error:
        raise errors.from_database(error, "reading the archive's ledger") from error


def _restore(at: Sessions, around: Surroundings, wanted: Wanted, *, dry_run: bool) -> Returned:
    done = Returned()
    size = at.due.cleanup.batch_size
    if not dry_run:
        for page in ledger.pages_of_open(at.backup, size):
            # What a dead cleanup has left is finished by the next cleanup, inside its window.
            begun = recovery.settle(at, [unit for unit in page if unit.operation == "restore"])
            done.add(restoring.finish(at, recovery.of_state(begun, ledger.RETURNED)))
    for page in ledger.pages_of_wanted(at.backup, size, asdict(wanted)):
        if around.over:
            done.stopped = True
            break
        done.add(restoring.preview(at, page) if dry_run else restoring.return_units(at, page))
        done.due += _due_again(at, page)
    return done


def _due_again(at: Sessions, page: list[Unit]) -> int:
    """How many of the hierarchies are back and due: the next cleanup would take them again."""
    return len(due_among(at.engine, at.due, ids_of([unit for unit in page if unit.kind == HIERARCHY])))
