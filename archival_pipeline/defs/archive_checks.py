"""The archive as an asset, with checks that look whether it is as it should be, and the schedule that runs them.

Not here: the questions themselves (``archival/health.py``).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dagster import (
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetSelection,
    AssetSpec,
    DefaultScheduleStatus,
    MetadataValue,
    ScheduleDefinition,
    TableColumn,
    TableRecord,
    TableSchema,
    asset_check,
    define_asset_job,
    in_process_executor,
)

from archival_pipeline.archival import health
from archival_pipeline.defs.ops import ARCHIVE, reported
from archival_pipeline.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from archival_pipeline.archival.health import Finding
    from archival_pipeline.settings import Settings

process_archive = AssetSpec(
    key=ARCHIVE,
    group_name="archival",
    kinds={"postgresql"},
    description=(
        "The process trees in the backup database. Each finished backup, restore and bulk deletion adds an event with "
        "what it moved; nothing can be materialized from here. The checks tell whether the archive is as it should be."
    ),
)


def _check(name: str, question: Callable[[Settings], Finding], description: str) -> AssetChecksDefinition:
    @asset_check(name=name, asset=ARCHIVE, description=description)
    def check() -> AssetCheckResult:
        with reported():
            finding = question(load_settings())
        return AssetCheckResult(
            passed=finding.passed,
            severity=AssetCheckSeverity.ERROR,
            description=finding.summary if finding.passed else f"{finding.summary} {finding.next_step}",
            metadata=dict(finding.numbers) | ({"found": _table(finding.rows)} if finding.rows else {}),
        )

    return check


def _table(rows: list[dict[str, str]]) -> MetadataValue:
    return MetadataValue.table(
        [TableRecord(row) for row in rows],
        schema=TableSchema([TableColumn(name, "string") for name in rows[0]]),
    )


def _freshness(settings: Settings) -> Finding:
    return health.backup_is_fresh(settings, datetime.now(UTC))


ASSETS = [process_archive]

ASSET_CHECKS = [
    _check(
        "ledger_has_no_open_batch",
        health.ledger_is_settled,
        "Every batch has its end, except those of the operation at work. Reads the ledger.",
    ),
    _check(
        "conservation_nothing_twice",
        health.nothing_is_in_both,
        "No instance is in primary and backup at once, open batches left out. Walks the ids of both logs once.",
    ),
    _check(
        "conservation_nothing_missing",
        health.nothing_is_missing,
        "What the newest 1,000 batches of backups moved is in the archive, unless a restore or deletion took it out.",
    ),
    _check(
        "audit_is_complete",
        health.audit_tells_every_end,
        "The newest audit row of each operation of the last 90 days tells the end that the ledger has.",
    ),
    _check(
        "nightly_backup_is_fresh",
        _freshness,
        "With the nightly backup on, a backup has completed within 26 hours.",
    ),
]

check_archive = define_asset_job(
    "check_archive",
    selection=AssetSelection.checks_for_assets(ARCHIVE),
    description=(
        "Look whether the archive is as it should be.\n\n**Locks** nothing and writes nothing; beside a move it may "
        "run. **Safe to run again** at any time."
    ),
    executor_def=in_process_executor,
    tags={"archival/kind": "check"},
)

JOBS = [check_archive]

SCHEDULES = [
    ScheduleDefinition(
        name="daily_archive_check",
        job=check_archive,
        cron_schedule="30 6 * * *",
        default_status=DefaultScheduleStatus.STOPPED,
        description="Every day at 06:30 UTC. Off until somebody switches it on; it needs both databases.",
    )
]
