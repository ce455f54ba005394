"""What the ops show in the UI: numbers, tables, and how far a run is. Not here: the ops themselves (``ops.py``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dagster import MetadataValue, TableColumn, TableRecord, TableSchema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from archival_pipeline.archival.ledger import TreeReport
    from archival_pipeline.archival.steps import Wave, WaveResult

SHOWN_TREES = 100


def how_far(wave: Wave, seconds: float) -> dict[str, Any]:
    """How much of the run is done when a wave is, and how long the rest will take at the pace so far.

    Waves are of one size but for the last, so their number is a fair measure.
    """
    left = wave.of - wave.number
    return {
        "waves left": left,
        "done %": round(100 * wave.number / wave.of, 1),
        "seconds left (estimate)": round(seconds / wave.number * left),
    }


def vacuum(advice: Mapping[str, Any]) -> dict[str, Any]:
    """What the deletions left behind, and the command that makes the space usable."""
    tables = advice["tables"]
    return {
        "reclaimable bytes": sum(table["reclaimableBytes"] for table in tables),
        "reclaimable space": MetadataValue.table(
            [
                TableRecord(
                    {
                        "table": table["table"],
                        "dead rows": table["deadRows"],
                        "reclaimable bytes": table["reclaimableBytes"],
                    }
                )
                for table in tables[:SHOWN_TREES]
            ],
            schema=TableSchema(
                [
                    TableColumn("table", "string"),
                    TableColumn("dead rows", "int"),
                    TableColumn("reclaimable bytes", "int"),
                ]
            ),
        ),
        "vacuum": MetadataValue.md(f"```sql\n{advice['command'] or '-- nothing to gain'}\n```"),
    }


def progress(result: WaveResult) -> dict[str, Any]:
    """What one step did with one wave."""
    rate = round(result.row_count / result.seconds) if result.seconds else 0
    return {
        "trees": result.trees,
        "instances": result.instances,
        "rows": result.row_count,
        "bytes": result.size,
        "large objects unlinked": result.objects,
        "seconds": result.seconds,
        "rows per second": rate,
        "rows per table": MetadataValue.table(
            [TableRecord({"table": name, "rows": number}) for name, number in sorted(result.rows.items())],
            schema=TableSchema([TableColumn("table", "string"), TableColumn("rows", "int")]),
        ),
    }


def reports(reports: Sequence[TreeReport]) -> MetadataValue:
    """The first trees that stay, as a table; the audit and the ledger have all of them."""
    columns = ["root", "reason", "instance", "code", "detail"]
    return MetadataValue.table(
        [
            TableRecord(
                {
                    "root": str(report.root_id),
                    "reason": report.reason,
                    "instance": str(report.process_instance_id or ""),
                    "code": report.error_code or "",
                    "detail": report.detail or "",
                }
            )
            for report in reports[:SHOWN_TREES]
        ],
        schema=TableSchema([TableColumn(name, "string") for name in columns]),
    )
