"""A move: everything the steps of one operation share, from the lock to the sessions.

Opened once per operation and closed at its end, however it ends. The steps themselves are in ``steps.py``.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg

from archival_pipeline import errors
from archival_pipeline.archival import filters as filtering
from archival_pipeline.archival import keys, selection
from archival_pipeline.archival.audit import AuditEntry, AuditLog, AuditStatus, AuditStep, AuditType
from archival_pipeline.archival.direction import BACKUP, RESTORE, Direction, Side, direction_of
from archival_pipeline.archival.keys import NOTHING_SCANNED
from archival_pipeline.archival.lanes import Lane, Lanes, StopSignal
from archival_pipeline.archival.ledger import Ledger
from archival_pipeline.archival.options import Options, parse_options
from archival_pipeline.archival.pace import Pace
from archival_pipeline.archival.rehearsal import RehearsalLedger, SilentAudit
from archival_pipeline.catalogue import lob_modes, pairing, preflight
from archival_pipeline.catalogue.binding import BoundCatalogue, bind
from archival_pipeline.catalogue.jbpm import JBPM
from archival_pipeline.catalogue.preflight_rights import Operation
from archival_pipeline.database import introspection, migrations
from archival_pipeline.database.connections import Limits, connect
from archival_pipeline.database.locks import OperationLock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from archival_pipeline.archival.filters import Filters, SqlFilters
    from archival_pipeline.archival.keys import Scanned
    from archival_pipeline.archival.ledger import Batch
    from archival_pipeline.settings import DatabaseSettings, Settings

# Nothing may wait long for a lock, or hold one for long: on one side the engine is at work.
LIMITS = Limits(lock_timeout=5_000, statement_timeout=300_000, idle_in_transaction=120_000)


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
        direction: which way it goes.
        lock: None in a dry run, which needs none.
        control: the main thread's sessions.
        lanes: the workers' sessions.
        signal: stops the work.
        pace: how fast, and until when.
        engine_role: the role that large objects are made for, if it is not the session's own.
        shared_objects: large objects that more than one row points to.
        object_cap: how many large objects one transaction may unlink.
        fingerprint: of the primary's columns when the operation began.
        scanned: what was found, for the batches at hand, in the origin's tables that have no index on the instance.
        processed: trees dealt with so far.
        beyond: picked trees that ``maxBatches`` left out of the plan.
        ended: how the operation ended; None while it goes on.
    """

    settings: Settings
    audit_id: str
    filters: Filters
    options: Options
    catalogue: BoundCatalogue
    bound_filters: SqlFilters
    ledger: Ledger | RehearsalLedger
    audit: AuditLog | SilentAudit
    direction: Direction
    lock: OperationLock | None
    control: Lane
    lanes: Lanes
    signal: StopSignal
    pace: Pace
    engine_role: str | None = None
    shared_objects: frozenset[int] = frozenset()
    object_cap: int = 1_000
    fingerprint: str = ""
    scanned: Scanned = NOTHING_SCANNED
    processed: int = 0
    beyond: int = 0
    ended: str | None = None

    @property
    def date_limit(self) -> str | None:
        """The time before which every member of a tree must have ended, on the engine's clock."""
        names = ("endedBefore",) if self.options.roots_only else ("endedBefore", "endedTo")
        limits = [self.bound_filters[name] for name in names if name in self.bound_filters]
        return min(limits) if limits else None

    @property
    def must_be_over(self) -> bool:
        """Whether only trees that are over may go: whatever leaves the primary, unless the user said otherwise."""
        return self.direction.origin == "primary" and not self.options.include_running and not self.options.force

    @property
    def obstacles_that_count(self) -> tuple[str, ...] | None:
        """Which reasons keep a tree in the primary: all of them, or where running ones may go, the shared case."""
        return None if self.must_be_over else ("case_shared",)

    @property
    def compares(self) -> bool:
        """Whether what is deleted must stand at the destination."""
        return self.direction.copies or self.options.only_if_backed_up

    def as_operation(self, row: Mapping[str, Any], ledger: Ledger) -> Move:
        """This move's sessions, put to work for another operation of the ledger."""
        filters, options = filtering.parse_filters(row["filters"]), parse_options(row["options"])
        lock, _ = self.books()
        return replace(
            self,
            audit_id=ledger.audit_id,
            filters=filters,
            options=options,
            bound_filters=row["bound_filters"],
            ledger=ledger,
            audit=AuditLog(lock.connection, ledger.audit_id, AuditType(row["operation"]), filters),
            direction=direction_of(row["operation"], options.database),
        )

    def scan(self, batches: Sequence[Batch]) -> None:
        """Read the origin's tables without an index on the instance, once for all these batches."""
        with self.control.snapshot(self.direction.origin) as origin:
            members = [member for batch in batches for member in batch.member_ids]
            self.scanned = keys.scan(origin, self.catalogue, members)

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
        if self.ended is not None:
            # Dagster goes on with the other waves when one has failed.
            raise errors.CancelledError(
                f"Not begun: the operation has {self.ended}.", resolve="Run the same job again to go on."
            )
        started = datetime.now(UTC)
        try:
            yield started
        except BaseException as error:
            status, failure = _told(error, f"the step {step}")
            self.signal.stop(failure.summary)
            self.end(status, step, failure, started)
            if isinstance(error, psycopg.Error):
                raise failure from error
            raise

    def end(
        self, status: AuditStatus, step: AuditStep, error: errors.ArchivalError | None, started: datetime, **more: Any
    ) -> None:
        """Write the last audit row of this run and close the operation in the ledger."""
        self.ended = str(status)
        entry = AuditEntry(
            step=step, status=status, error=error, started_at=started, ended_at=datetime.now(UTC), **more
        )
        if self.lock is None or not self.lock.connection.closed:
            self.audit.write(entry)
            self.ledger.close_operation(str(status))
            return
        # The lock's session is gone; what happened must still be told.
        with connect(self.settings.backup, purpose=f"last words of {self.audit_id}", autocommit=True) as session:
            AuditLog(session, self.audit_id, AuditType(self.direction.operation), self.filters).write(entry)
            Ledger(session, self.audit_id).close_operation(str(status))

    def give_up_rest(self) -> int:
        """Where the work ended early on purpose, leave the other batches to the next run; return their trees."""
        if self.pace.ended_because is None:
            return 0
        return self.ledger.abandon("WINDOW_CLOSED", f"Not begun: {self.pace.ended_because}.")

    def end_if_open(self, error: BaseException | None = None) -> None:
        """Close the books where the run ended between two steps; each step closes its own."""
        if self.ended is not None or self.lock is None:
            return
        status, failure = _told(error or errors.CancelledError("The run ended before its last step."), "a run")
        self.end(status, AuditStep.COMPLETE, failure, datetime.now(UTC))

    def close(self) -> None:
        """Close every session; the lock goes with its own."""
        self.lanes.close()
        self.control.close()
        if self.lock is not None:
            self.lock.release()


def _told(error: BaseException, doing: str) -> tuple[AuditStatus, errors.ArchivalError]:
    """What audit and ledger say about an error: an interrupt cancels, ours says it itself, the rest is a defect."""
    name = type(error).__name__
    if isinstance(error, errors.CancelledError):
        return AuditStatus.CANCELLED, error
    if isinstance(error, errors.ArchivalError):
        return AuditStatus.FAILED, error
    if isinstance(error, psycopg.Error):
        return AuditStatus.FAILED, errors.from_database(error, doing)
    if isinstance(error, Exception):
        return AuditStatus.FAILED, errors.ArchivalError(f"Unexpected {name}: {error}.", resolve="Please report it.")
    return AuditStatus.CANCELLED, errors.CancelledError(
        f"The operation was stopped from outside ({name}).",
        resolve="Finished batches stay finished; run the same job again to go on.",
    )


def open_move(
    settings: Settings, audit_id: str, filters: Filters, options: Options, direction: Direction = BACKUP
) -> Move:
    """Take the lock, check both databases, freeze the filters. Whoever opens a move closes it.

    Args:
        settings: where the databases are.
        audit_id: the operation's id; one that the ledger knows is taken up again with its frozen filters.
        filters: which instances.
        options: how.
        direction: which way.

    Raises:
        BusyError: another operation is at work.
        RequestError: the filters are empty and ``allowAll`` is not set.
        PreflightError: the databases do not fit; everything that is wrong is listed.
        DatabaseError: a server refused.
    """
    filtering.require_scope(filters, options.allow_all or options.audit_id is not None)
    if options.dry_run:
        return _open(
            _Opening(settings, audit_id, filters, options, direction, None), RehearsalLedger(audit_id), SilentAudit()
        )
    lock = OperationLock.acquire(settings.backup, audit_id)
    try:
        _require_migrated(settings)
        ledger = Ledger(lock.connection, audit_id)
        audit = AuditLog(lock.connection, audit_id, AuditType(direction.operation), filters)
        started = datetime.now(UTC)
        audit.write(AuditEntry(step=AuditStep.INITIATE, status=AuditStatus.INITIATED, started_at=started))
        try:
            return _open(_Opening(settings, audit_id, filters, options, direction, lock), ledger, audit)
        except BaseException as error:
            status, failure = _told(error, "opening the operation")
            audit.write(AuditEntry(step=AuditStep.INITIATE, status=status, error=failure, started_at=started))
            if isinstance(error, psycopg.Error):
                raise failure from error
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
    options = parse_options(row["options"])
    direction = direction_of(row["operation"], options.database)
    return open_move(settings, audit_id, filtering.parse_filters(row["filters"]), options, direction)


def _require_migrated(settings: Settings) -> None:
    sides: tuple[tuple[Side, DatabaseSettings], ...] = (("primary", settings.primary), ("backup", settings.backup))
    behind = [
        f"the {name} database is not at the newest migration: run `archival-pipeline migrate`"
        for name, database in sides
        if not migrations.is_current(database, name)
    ]
    if behind:
        raise errors.PreflightError(behind)


@dataclass(frozen=True, slots=True)
class _Opening:
    """What a move is opened with."""

    settings: Settings
    audit_id: str
    filters: Filters
    options: Options
    direction: Direction
    lock: OperationLock | None

    def lane(self, *, worker: bool) -> Lane:
        return Lane(self.settings, self.audit_id, LIMITS, read_only=self.options.dry_run, generic_plans=worker)

    @property
    def checked_as(self) -> Operation:
        if self.options.dry_run:
            return Operation.DRY_RUN
        name = self.direction.operation
        return Operation(f"delete_{self.direction.origin}" if name == "delete" else name)


def _open(opening: _Opening, ledger: Ledger | RehearsalLedger, audit: AuditLog | SilentAudit) -> Move:
    control = opening.lane(worker=False)
    try:
        with control.session("primary").transaction():
            return _checked(opening, ledger, audit, control)
    except BaseException:
        control.close()
        raise


def _checked(opening: _Opening, ledger: Ledger | RehearsalLedger, audit: AuditLog | SilentAudit, control: Lane) -> Move:
    """Look at both databases; everything a move must know about them is read here, once.

    A large primary is scanned for minutes: no transaction of the backup may be open, and idle, meanwhile.
    """
    options, engine = opening.options, opening.settings.engine
    primary, backup = control.session("primary"), control.session("backup")
    schema = introspection.read_schema(primary)
    clob_mode = lob_modes.detect_clob_mode(primary, JBPM, schema, engine.clob_mode)
    with backup.transaction():
        report = preflight.check(primary, backup, JBPM, clob_mode=clob_mode, operation=opening.checked_as)
        report.raise_if_findings()
        now = selection.server_now(control.session(opening.direction.origin))
    server = introspection.read_server(primary)
    if opening.lock is not None:
        _require_pairing(opening.lock.connection, server)
    engine_role = lob_modes.engine_role(primary)
    if opening.direction == RESTORE and engine_role and not lob_modes.may_become(primary, engine_role):
        finding = f"a restore makes large objects for the engine's role: run GRANT {engine_role} TO {server.role}"
        raise errors.PreflightError([finding])
    catalogue = bind(JBPM, schema, clob_mode)
    bound = filtering.resolve(opening.filters, now=now, time_zone=engine.time_zone)
    row = ledger.open_operation(
        opening.direction.operation, opening.filters.as_json(), options.model_dump(mode="json", by_alias=True), bound
    )
    signal = StopSignal()
    return Move(
        settings=opening.settings,
        audit_id=opening.audit_id,
        filters=opening.filters,
        options=options,
        catalogue=catalogue,
        bound_filters=row["bound_filters"],
        ledger=ledger,
        audit=audit,
        direction=opening.direction,
        lock=opening.lock,
        control=control,
        lanes=Lanes([opening.lane(worker=True) for _ in range(options.lanes)], signal),
        signal=signal,
        pace=Pace(signal, ledger.control, options.pause_between_batches_ms, options.stop_at, options.lanes),
        engine_role=engine_role,
        shared_objects=lob_modes.shared_objects(primary, catalogue, JBPM),
        # Each unlink holds one entry of the lock table until the commit; all lanes leave half of it to the engine.
        object_cap=max(100, server.max_locks // (2 * options.lanes)),
        fingerprint=preflight.fingerprint(primary, [table.name for table in catalogue.tables]),
    )


def _require_pairing(backup: psycopg.Connection[Any], primary: introspection.ServerFacts) -> None:
    finding = pairing.record_or_check(backup, primary)
    if finding:
        raise errors.PreflightError([finding])
