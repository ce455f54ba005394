"""The steps of a move, in order: count → fetch → children → generate SQL → execute → delete → complete.

Each step is one function over a ``Move``; the ledger carries the state from one to the next, so that a step may be run
again after any failure. Dagster ops and the command line call these and nothing deeper.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from archival_pipeline import errors
from archival_pipeline.archival import conflicts, digests, eligibility, keys, picking, recovery, script, vacuum_advice
from archival_pipeline.archival.audit import AuditEntry, AuditStatus, AuditStep
from archival_pipeline.archival.direction import BACKUP, is_archive
from archival_pipeline.archival.options import MAX_WAVES
from archival_pipeline.archival.statistics import Analyzer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archival_pipeline.archival.ledger import Batch, Totals, TreeReport
    from archival_pipeline.archival.move import Move
    from archival_pipeline.archival.removal import Removed
    from archival_pipeline.archival.transfer import Copied
    from archival_pipeline.archival.trees import Trees


@dataclass(frozen=True, slots=True)
class Wave:
    """Several batches that go through the graph together; what is in them stands in the ledger."""

    number: int
    of: int
    batches: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What ``fetch`` planned.

    Attributes:
        selected: instances that the filters picked.
        trees: trees they form; a picked descendant of a picked instance belongs to that one's tree.
        batches: how many batches.
        waves: the waves.
    """

    selected: int
    trees: int
    batches: int
    waves: tuple[Wave, ...]


@dataclass(slots=True)
class WaveResult:
    """What a step did to a wave; numbers for people.

    Attributes:
        trees: trees it worked on.
        instances: instances in them.
        rows: rows by table.
        size: bytes of rows.
        objects: large objects unlinked.
        seconds: how long it took.
        stayed: trees that stay, with the reason.
    """

    trees: int = 0
    instances: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    size: int = 0
    objects: int = 0
    seconds: float = 0.0
    stayed: list[TreeReport] = field(default_factory=list)

    @property
    def row_count(self) -> int:
        """Rows of all tables."""
        return sum(self.rows.values())

    def add_rows(self, rows: dict[str, int]) -> None:
        """Add the rows of one batch."""
        for name, number in rows.items():
            self.rows[name] = self.rows.get(name, 0) + number


def count(move: Move) -> int:
    """How many instances the filters pick now."""
    with move.step(AuditStep.COUNT) as started:
        total = picking.count(move)
        move.audit.write(_done(AuditStep.COUNT, started, total_count=total))
        return total


def fetch(move: Move) -> Plan:
    """Finish what a dead run left open, then freeze the selection into batches and waves.

    An operation that was planned before keeps its plan.
    """
    with move.step(AuditStep.FETCH) as started:
        recovery.reconcile(move)
        if not move.ledger.waves():
            _plan(move)
        plan = _read_plan(move)
        move.audit.write(
            _done(
                AuditStep.FETCH,
                started,
                total_count=plan.trees,
                total_batches=plan.batches,
                remaining_count=plan.trees,
                processed_count=0,
                details={"selectedInstances": plan.selected, "waves": len(plan.waves)},
            )
        )
        return plan


def _plan(move: Move) -> None:
    selected, roots = picking.pick(move)
    if move.direction.operation == "restore":
        conflicts.require_issued(move, roots)
    size = move.options.batch_size
    batches = [roots[i : i + size] for i in range(0, len(roots), size)][: move.options.max_batches]
    move.beyond = len(roots) - sum(map(len, batches))
    per_wave = max(move.options.batches_per_wave, -(-len(batches) // MAX_WAVES))
    move.ledger.plan(selected, [batches[i : i + per_wave] for i in range(0, len(batches), per_wave)])


def _read_plan(move: Move) -> Plan:
    waves = move.ledger.waves()
    return Plan(
        selected=move.ledger.operation()["selected_count"],
        trees=sum(wave.trees for wave in waves),
        batches=sum(wave.batches for wave in waves),
        waves=tuple(Wave(wave.wave, len(waves), wave.batches) for wave in waves),
    )


def children(move: Move, wave: Wave) -> WaveResult:
    """Find the trees of a wave and take out those that may not move."""
    with move.step(AuditStep.CHILDREN) as started:
        result = WaveResult()
        if move.pace.ended_because is not None:
            # No batch of this wave will get its turn; the engine is spared the search.
            return result
        batches = [batch for batch in move.ledger.batches(wave.number) if batch.state == "planned"]
        entries = []
        judged = list(eligibility.eligible(move, batches))
        move.ledger.judge(judged)
        for batch, found, stay in judged:
            entries.append(_children_row(batch, found, stay, started))
            result.trees += len(found)
            result.instances += sum(map(len, found.values()))
            result.stayed += stay
        move.audit.write(*entries)
        result.seconds = _since(started)
        return result


def _children_row(batch: Batch, found: Trees, stay: Sequence[TreeReport], started: datetime) -> AuditEntry:
    return _done(
        AuditStep.CHILDREN,
        started,
        batch_number=batch.batch,
        process_instance_ids=[member for members in found.values() for member in members],
        skipped_count=len(stay),
        details={"trees": len(found), "skipped": [asdict(report) for report in stay]},
    )


def generate_sql(move: Move, wave: Wave) -> list[str]:
    """The statements that ``execute`` and ``delete`` run for the first batch of the wave, keys left as parameters."""
    with move.step(AuditStep.GENERATE_SQL) as started:
        batches = [batch for batch in move.ledger.batches(wave.number) if batch.member_ids]
        if not batches:
            return []
        with move.control.snapshot(move.direction.origin) as origin:
            found = keys.resolve(origin, move.catalogue, batches[0].member_ids)
        statements = script.statements_of(move.catalogue, found, move.direction, compares=move.compares)
        details = {"statements": len(statements)}
        move.audit.write(
            *(_done(AuditStep.GENERATE_SQL, started, batch_number=b.batch, details=details) for b in batches)
        )
        return statements


def execute(move: Move, wave: Wave) -> WaveResult:
    """Copy the batches of a wave to the destination and verify them there."""
    with move.step(AuditStep.EXECUTE) as started:
        if move.options.dry_run:
            return _rehearse(move, wave)
        result = WaveResult()
        analyzer = Analyzer(move.control.session("backup"))

        def report(done: tuple[Batch, Copied]) -> None:
            batch, copied = done
            _count_copied(result, batch, copied)
            if move.direction == BACKUP:
                analyzer.grew(copied.rows)
            move.audit.write(_copied_row(batch, copied, started))

        batches = [b for b in move.ledger.batches(wave.number) if b.state in ("planned", "copying") and b.member_ids]
        if not move.direction.copies:
            return _accept(move, batches, started)
        move.scan(batches)
        move.lanes.run(
            move.pace.copying(batches),
            lambda lane, some: recovery.copy(lane, move, some, thorough=some[0] is batches[0]),
            report,
        )
        result.seconds = _since(started)
        move.signal.check()
        return result


def _accept(move: Move, batches: Sequence[Batch], started: datetime) -> WaveResult:
    """A bulk deletion copies nothing: its batches are ready to be deleted as they are."""
    _, ledger = move.books()
    result = WaveResult()
    for batch in batches:
        ledger.copied(batch, batch.trees(), {}, None)
        result.trees += len(batch.trees())
        result.instances += len(batch.member_ids)
    result.seconds = _since(started)
    return result


def _count_copied(result: WaveResult, batch: Batch, copied: Copied) -> None:
    result.trees += copied.trees
    result.instances += len(batch.member_ids)
    result.size += copied.size
    result.add_rows(copied.rows)
    result.stayed += copied.quarantined


def _copied_row(batch: Batch, copied: Copied, started: datetime) -> AuditEntry:
    details = {"rows": copied.rows, "bytes": copied.size, "lostLargeObjects": copied.lost_objects}
    if copied.together:
        # The bytes of all of them stand with the first.
        details["copiedTogether"] = copied.together
    if copied.quarantined:
        details["quarantined"] = [asdict(report) for report in copied.quarantined]
    return _done(
        AuditStep.EXECUTE,
        started,
        batch_number=batch.batch,
        process_instance_ids=batch.member_ids,
        details=details,
        error=recovery.as_error(copied.quarantined),
    )


def _rehearse(move: Move, wave: Wave) -> WaveResult:
    """Count what would be copied, in read-only sessions."""
    result = WaveResult()
    archive = is_archive(move.direction.origin)
    for batch in move.ledger.batches(wave.number):
        if batch.member_ids:
            with move.control.snapshot(move.direction.origin) as origin:
                found = keys.resolve(origin, move.catalogue, batch.member_ids)
                ours = digests.measure(origin, move.catalogue, found, archive=archive)
            result.add_rows({name: digest.rows for name, digest in ours.filled().items()})
            result.trees += len(batch.trees())
            result.instances += len(batch.member_ids)
    return result


def delete(move: Move, wave: Wave) -> WaveResult:
    """Delete from the origin what the destination gave back equal."""
    with move.step(AuditStep.DELETE) as started:
        result = WaveResult()
        if move.options.dry_run:
            return result

        def report(done: tuple[Batch, Removed]) -> None:
            batch, removed = done
            result.trees += len(batch.trees()) - len(removed.stayed)
            result.instances += len(batch.member_ids)
            result.objects += removed.objects
            result.add_rows(removed.rows)
            result.stayed += removed.stayed
            move.audit.write(_deleted_row(move, batch, removed, started))

        batches = [b for b in move.ledger.batches(wave.number) if b.state in ("copied", "deleting")]
        move.scan(batches)
        turns = move.pace.deleting(batches) if move.direction.copies else move.pace.removing(batches)
        move.lanes.run(turns, lambda lane, batch: [(batch, recovery.delete(lane, move, batch))], report)
        if not move.direction.copies and move.pace.ended_because is not None:
            move.books()[1].put_back()
        result.seconds = _since(started)
        move.signal.check()
        return result


def _deleted_row(move: Move, batch: Batch, removed: Removed, started: datetime) -> AuditEntry:
    move.processed += len(batch.root_ids)
    return _done(
        AuditStep.DELETE,
        started,
        batch_number=batch.batch,
        process_instance_ids=batch.member_ids,
        processed_count=move.processed,
        skipped_count=len(removed.stayed),
        details={
            "rows": removed.rows,
            "largeObjectsUnlinked": removed.objects,
            "changed": [asdict(report) for report in removed.stayed],
        },
        error=recovery.as_error([report for report in removed.stayed if report.outcome == "quarantined"]),
    )


def complete(move: Move) -> Totals:
    """Do what the ledger says is left, hold it against the plan, and end the operation.

    Raises:
        LedgerGapError: a planned batch reached no end state; the operation ends as failed.
    """
    _catch_up(move)
    with move.step(AuditStep.COMPLETE) as started:
        left = move.give_up_rest()
        totals = move.ledger.totals()
        if not move.options.dry_run and (totals.open or totals.planned):
            raise errors.LedgerGapError(
                f"{totals.planned} planned and {totals.open} open batch(es) of {totals.batches} reached no end.",
                resolve="Run the same job again: it takes up the open batches first.",
            )
        stayed = move.ledger.reports(limit=1_000)
        move.end(
            AuditStatus.COMPLETED,
            AuditStep.COMPLETE,
            recovery.as_error([report for report in stayed if report.outcome == "quarantined"]),
            started,
            total_count=totals.trees_moved + totals.trees_skipped + totals.trees_quarantined,
            processed_count=totals.trees_moved,
            skipped_count=totals.trees_skipped + totals.trees_quarantined,
            remaining_count=left + move.beyond,
            total_batches=totals.batches,
            details={
                **asdict(totals),
                "endedBecause": move.pace.ended_because or _why_done(move),
                "stayed": [asdict(report) for report in stayed],
                "vacuum": vacuum_advice.advise(move),
            },
        )
        return totals


def _why_done(move: Move) -> str:
    if move.beyond:
        return f"maxBatches was reached; {move.beyond} picked tree(s) are for the next run"
    return "nothing is left to do"


def _catch_up(move: Move) -> None:
    """Do the waves that were passed over: after a crash, Dagster's re-execution from failure drops mapped steps."""
    if move.options.dry_run:
        return
    with move.step(AuditStep.COMPLETE):
        # What a closing window left is left on purpose; what was begun is finished all the same.
        left = {"copying", "copied", "deleting"} | (set() if move.pace.ended_because else {"planned"})
        waves = [
            wave
            for wave in _read_plan(move).waves
            if any(batch.state in left for batch in move.ledger.batches(wave.number))
        ]
    for wave in waves:
        children(move, wave)
        execute(move, wave)
        delete(move, wave)


def _done(step: AuditStep, started: datetime, **more: Any) -> AuditEntry:
    return AuditEntry(step=step, status=AuditStatus.IN_PROGRESS, started_at=started, ended_at=datetime.now(UTC), **more)


def _since(started: datetime) -> float:
    return (datetime.now(UTC) - started).total_seconds()
