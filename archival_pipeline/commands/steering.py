"""Commands for an operation at work, or for what a dead one has left: pause, resume, slow, stop, reconcile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from archival_pipeline.archival import operating
from archival_pipeline.commands.output import JsonCommand, answer, table
from archival_pipeline.settings import load_settings

if TYPE_CHECKING:
    from rich.console import Console

    from archival_pipeline.archival.ledger import Batch

_AUDIT_ID = click.argument("audit_id", metavar="AUDIT_ID")


@click.command(cls=JsonCommand)
@_AUDIT_ID
def pause(audit_id: str) -> None:
    """Let a running operation finish the batches at hand and wait, without an open transaction, until resumed."""
    _steer(audit_id, "pauses after the batches at hand", paused=True)


@click.command(cls=JsonCommand)
@_AUDIT_ID
def resume(audit_id: str) -> None:
    """Let a paused operation go on."""
    _steer(audit_id, "goes on", paused=False)


@click.command(cls=JsonCommand)
@_AUDIT_ID
@click.argument("milliseconds", type=click.IntRange(0, 600_000))
def slow(audit_id: str, milliseconds: int) -> None:
    """Change how long each lane of a running operation rests after a batch."""
    _steer(audit_id, f"rests {milliseconds} ms after each batch", pause_ms=milliseconds)


@click.command(cls=JsonCommand)
@_AUDIT_ID
def stop(audit_id: str) -> None:
    """End a running operation after the batches at hand; its audit says cancelled, and finished work stays."""
    _steer(audit_id, "stops after the batches at hand", stop_requested=True)


@click.command(cls=JsonCommand)
@click.option("--repair", is_flag=True, help="Finish them now; refused while an operation is at work.")
def reconcile(*, repair: bool) -> None:
    """Show the batches that stand in both databases, or may; with --repair, bring each to its end.

    A running operation has open batches, too. The next run of any kind repairs what a dead one has left by itself.
    """
    settings = load_settings()
    batches = operating.reconcile(settings) if repair else operating.open_batches(settings)
    title = "Finished" if repair else "Open"
    rows = [_row(batch) for batch in batches]

    def show(console: Console) -> None:
        columns = ("audit", "batch", "state", "instances", "rows")
        console.print(table(f"{title} batches: {len(rows)}", columns, [list(row.values()) for row in rows]))

    answer({"finished" if repair else "open": rows}, show)


def _row(batch: Batch) -> dict[str, Any]:
    return {
        "auditId": batch.audit_id,
        "batchNumber": batch.batch,
        "state": batch.state,
        "instances": len(batch.member_ids),
        "rows": batch.row_count,
    }


def _steer(audit_id: str, meaning: str, **asked: Any) -> None:
    control = operating.steer(load_settings(), audit_id, **asked)
    document = {
        "auditId": audit_id,
        "paused": control.paused,
        "pauseBetweenBatchesMs": control.pause_ms,
        "stopRequested": control.stop_requested,
    }
    answer(document, lambda console: console.print(f"Operation {audit_id} {meaning}.", markup=False))
