"""A move: everything the steps of one operation share, from the lock to the sessions.

Opened once per operation and closed at its end, however it ends. The steps themselves are in ``steps.py``.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg

from archival_pipeline import errors
from archival_pipeline.archival import filters as filtering
from archival_pipeline.archival import selection
from archival_pipeline.archival.audit import AuditEntry, AuditLog, AuditStatus, AuditStep, AuditType
from archival_pipeline.archival.lanes import Lane, Lanes, StopSignal
from archival_pipeline.archival.ledger import Ledger
from archival_pipeline.archival.options import Options, parse_options
from archival_pipeline.archival.rehearsal import RehearsalLedger, SilentAudit
from archival_pipeline.catalogue import lob_modes, pairing, preflight
from archival_pipeline.catalogue.binding import BoundCatalogue, bind
from archival_pipeline.catalogue.jbpm import JBPM
from archival_pipeline.catalogue.preflight_rights import Operation
from archival_pipeline.database import introspection, migrations
from archival_pipeline.database.connections import Limits, connect
from archival_pipeline.database.locks import OperationLock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline.archival.filters import Filters, SqlFilters
    from archival_pipeline.settings import Settings

# On the engine's side nothing may wait long for a lock, or hold one for long.
ORIGIN_LIMITS = Limits(lock_timeout=5_000, statement_timeout=300_000, idle_in_transaction=120_000)


@dataclass(slots=True)
class Move:
    """One operation at work.

    Attributes:
        settings: where the databases are.
        audit_id: the operation's id.
        filters: what the user asked for.
        options: how it is done.
        catalogue: what belongs to an instance, as the live primary has it.
        bound_filters: the filters with every date frozen.
        ledger: the operation's batches.
        audit: what people read.
        lock: None in a dry run, which needs none.
        control: the main thread's sessions.
        lanes: the workers' sessions.
        signal: stops the work.
        shared_objects: large objects that more than one row points to.
        object_cap: how many large objects one transaction may unlink.
        fingerprint: of the primary's columns when the operation began.
        processed: trees dealt with so far.
    """

    settings: Settings
    audit_id: str
    filters: Filters
    options: Options
    catalogue: BoundCatalogue
    bound_filters: SqlFilters
    ledger: Ledger | RehearsalLedger
    audit: AuditLog | SilentAudit
    lock: OperationLock | None
    control: Lane
    lanes: Lanes
    signal: StopSignal
    shared_objects: frozenset[int] = frozenset()
    object_cap: int = 1_000
    fingerprint: str = ""
    processed: int = 0

    @property
    def date_limit(self) -> str | None:
        """The time before which every member of a tree must have ended, on the engine's clock."""
        limits = [self.bound_filters[name] for name in ("endedBefore", "endedTo") if name in self.bound_filters]
        return min(limits) if limits else None

    def books(self) -> tuple[OperationLock, Ledger]:
        """The lock and the ledger of a move that writes.

        Raises:
            RuntimeError: this is a dry run; a mistake in this package.
        """
        if self.lock is None or not isinstance(self.ledger, Ledger):
            message = "a dry run must not write"
            raise RuntimeError(message)
        return self.lock, self.ledger

    @contextmanager
    def step(self, step: AuditStep) -> Iterator[datetime]:
        """Run one step; whatever ends it is written to the audit and the ledger before it goes on.

        Yields:
            When the step began.
        """
        started = datetime.now(UTC)
        try:
            yield started
        except errors.CancelledError as error:
            self.end(AuditStatus.CANCELLED, step, error, started)
            raise
        except errors.ArchivalError as error:
            self.end(AuditStatus.FAILED, step, error, started)
            raise
        except psycopg.Error as error:
            failure = errors.from_database(error, f"the step {step}")
            self.end(AuditStatus.FAILED, step, failure, started)
            raise failure from error
        except BaseException as error:
            stopped = not isinstance(error, Exception)
            failure = errors.CancelledError(
                f"The operation was stopped from outside ({type(error).__name__}).",
                resolve="Finished batches stay finished; run the same job again to go on.",
            ) if stopped else errors.ArchivalError(f"Unexpected {type(error).__name__}: {error}.", resolve="Report it.")
            self.end(AuditStatus.CANCELLED if stopped else AuditStatus.FAILED, step, failure, started)
            raise

    def end(
        self, status: AuditStatus, step: AuditStep, error: errors.ArchivalError | None, started: datetime, **more: Any
    ) -> None:
        """Write the last audit row of this run and close the operation in the ledger."""
        self.audit.write(
            AuditEntry(step=step, status=status, error=error, started_at=started, ended_at=datetime.now(UTC), **more)
        )
        self.ledger.close_operation(str(status))

    def close(self) -> None:
        """Close every session; the lock goes with its own."""
        self.lanes.close()
        self.control.close()
        if self.lock is not None:
            self.lock.release()


def open_move(settings: Settings, audit_id: str, filters: Filters, options: Options) -> Move:
    """Take the lock, check both databases, freeze the filters. Whoever opens a move closes it.

    Args:
        settings: where the databases are.
        audit_id: the operation's id; one that the ledger knows is taken up again with its frozen filters.
        filters: which instances.
        options: how.

    Raises:
        BusyError: another operation is at work.
        RequestError: the filters are empty and ``allowAll`` is not set.
        PreflightError: the databases do not fit; everything that is wrong is listed.
        DatabaseError: a server refused.
    """
    filtering.require_scope(filters, options.allow_all)
    if options.dry_run:
        return _open(settings, audit_id, filters, options, None, RehearsalLedger(audit_id), SilentAudit())
    lock = OperationLock.acquire(settings.backup, audit_id)
    try:
        _require_migrated(settings)
        ledger = Ledger(lock.connection, audit_id)
        audit = AuditLog(lock.connection, audit_id, AuditType.BACKUP, filters)
        started = datetime.now(UTC)
        audit.write(AuditEntry(step=AuditStep.INITIATE, status=AuditStatus.INITIATED, started_at=started))
        try:
            return _open(settings, audit_id, filters, options, lock, ledger, audit)
        except errors.ArchivalError as error:
            audit.write(AuditEntry(step=AuditStep.INITIATE, status=AuditStatus.FAILED, error=error, started_at=started))
            raise
    except BaseException:
        lock.release()
        raise


def reopen_move(settings: Settings, audit_id: str) -> Move:
    """Take up an operation that the ledger knows, with the filters and options it began with.

    Raises:
        LedgerGapError: the ledger knows no such operation.
    """
    with connect(settings.backup, purpose="look up", autocommit=True) as connection:
        try:
            row = Ledger(connection, audit_id).operation()
        except LookupError as error:
            raise errors.LedgerGapError(
                f"The ledger has no operation {audit_id}.", resolve="Launch the job anew instead of re-executing it."
            ) from error
    return open_move(settings, audit_id, filtering.parse_filters(row["filters"]), parse_options(row["options"]))


def _require_migrated(settings: Settings) -> None:
    behind = [
        f"the {name} database is not at the newest migration: run `archival-pipeline migrate`"
        for name, database in (("primary", settings.primary), ("backup", settings.backup))
        if not migrations.is_current(database, name)  # type: ignore[arg-type]
    ]
    if behind:
        raise errors.PreflightError(behind)


def _open(
    settings: Settings,
    audit_id: str,
    filters: Filters,
    options: Options,
    lock: OperationLock | None,
    ledger: Ledger | RehearsalLedger,
    audit: AuditLog | SilentAudit,
) -> Move:
    def lane() -> Lane:
        return Lane(settings.primary, settings.backup, audit_id, ORIGIN_LIMITS, read_only=options.dry_run)

    control = lane()
    try:
        origin, destination = control.origin_session(), control.destination_session()
        schema = introspection.read_schema(origin)
        clob_mode = lob_modes.detect_clob_mode(origin, JBPM, schema, settings.engine.clob_mode)
        preflight.check(origin, destination, JBPM, clob_mode=clob_mode, operation=Operation.BACKUP).raise_if_findings()
        server = introspection.read_server(origin)
        catalogue = bind(JBPM, schema, clob_mode)
        if lock is not None:
            _require_pairing(lock.connection, server)
        bound = filtering.resolve(filters, now=selection.server_now(origin), time_zone=settings.engine.time_zone)
        row = ledger.open_operation("backup", filters.as_json(), options.model_dump(by_alias=True), bound)
        move = Move(
            settings=settings,
            audit_id=audit_id,
            filters=filters,
            options=options,
            catalogue=catalogue,
            bound_filters=row["bound_filters"],
            ledger=ledger,
            audit=audit,
            lock=lock,
            control=control,
            lanes=Lanes([lane() for _ in range(options.lanes)], StopSignal()),
            signal=StopSignal(),
            shared_objects=lob_modes.shared_objects(origin, catalogue, JBPM),
            # Each unlink holds one entry of the lock table until the commit; leave most of it to the engine.
            object_cap=max(100, server.max_locks // 2),
            fingerprint=preflight.fingerprint(origin, [table.name for table in catalogue.tables]),
        )
        move.signal = move.lanes.signal
        origin.rollback()
        destination.rollback()
    except BaseException:
        control.close()
        raise
    return move


def _require_pairing(backup: psycopg.Connection[Any], primary: introspection.ServerFacts) -> None:
    finding = pairing.record_or_check(backup, primary)
    if finding:
        raise errors.PreflightError([finding])
