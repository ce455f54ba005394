"""What a dry run uses in place of ledger and audit: it remembers in memory and writes nowhere."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from archival_pipeline.archival.ledger import Batch, Control, Totals, TreeReport, WaveSize

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from archival_pipeline.archival.audit import AuditEntry


class SilentAudit:
    """Takes audit rows and writes none: nothing happened that an audit should tell."""

    def write(self, *entries: AuditEntry) -> None:
        """Do nothing with the rows."""


class RehearsalLedger:
    """The part of the ledger that a dry run needs, in memory. See ``ledger.py`` for the meaning of each method."""

    def __init__(self, audit_id: str) -> None:
        self.audit_id = audit_id
        self._operation: dict[str, Any] = {}
        self._batches: dict[int, Batch] = {}
        self._reports: dict[int, TreeReport] = {}

    def open_operation(
        self, operation: str, filters: Mapping[str, Any], options: Mapping[str, Any], bound: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Begin the operation."""
        self._operation = {
            "audit_id": self.audit_id,
            "operation": operation,
            "filters": dict(filters),
            "options": dict(options),
            "bound_filters": dict(bound),
            "selected_count": 0,
        }
        return self._operation

    def operation(self) -> dict[str, Any]:
        """The operation's row."""
        return self._operation

    def moved_rows(self) -> dict[str, int]:
        """A dry run moves none."""
        return {}

    def control(self) -> Control:
        """Nobody can ask anything of a dry run."""
        return Control(paused=False, pause_ms=None, stop_requested=False)

    def abandon(self, code: str, summary: str) -> int:  # noqa: ARG002 - the ledger's signature
        """A dry run leaves every batch planned."""
        return 0

    def close_operation(self, status: str) -> None:
        """End the operation."""
        self._operation["status"] = status

    def plan(self, selected_count: int, waves: Sequence[Sequence[Sequence[int]]]) -> None:
        """Remember the batches."""
        self._operation["selected_count"] = selected_count
        for wave, batches in enumerate(waves, start=1):
            for roots in batches:
                number = len(self._batches) + 1
                self._batches[number] = Batch(number, self.audit_id, wave, number, "planned", list(roots))

    def waves(self) -> list[WaveSize]:
        """The waves with their numbers of batches and trees."""
        sizes: dict[int, WaveSize] = {}
        for batch in self._batches.values():
            size = sizes.get(batch.wave, WaveSize(batch.wave, 0, 0))
            sizes[batch.wave] = WaveSize(batch.wave, size.batches + 1, size.trees + len(batch.root_ids))
        return list(sizes.values())

    def batches(self, wave: int | None = None) -> list[Batch]:
        """Batches, of one wave if given, in order."""
        return [batch for batch in self._batches.values() if wave is None or batch.wave == wave]

    def open_batches(self) -> list[Batch]:
        """None: a dry run leaves nothing open."""
        return []

    def judge(self, judged: Iterable[tuple[Batch, Mapping[int, Sequence[int]], Sequence[TreeReport]]]) -> None:
        """Remember for each batch the trees that would move and the reports of those that would stay."""
        for batch, trees, stay in judged:
            self.set_members(batch, trees)
            self.report(batch, stay)

    def set_members(self, batch: Batch, trees: Mapping[int, Sequence[int]]) -> None:
        """Remember the trees of a batch."""
        pairs = [(root, member) for root, members in trees.items() for member in members]
        self._batches[batch.batch] = replace(
            batch,
            state="planned" if pairs else "empty",
            member_ids=[member for _, member in pairs],
            member_roots=[root for root, _ in pairs],
        )

    def report(self, batch: Batch, trees: Iterable[TreeReport]) -> None:  # noqa: ARG002 - the ledger's signature
        """Remember trees that would stay."""
        self._reports.update({tree.root_id: tree for tree in trees})

    def reports(self, limit: int | None = None) -> list[TreeReport]:
        """Trees that would stay, by root id."""
        return [self._reports[root] for root in sorted(self._reports)][:limit]

    def totals(self) -> Totals:
        """Sums over the operation; nothing has moved."""
        states = Counter(batch.state for batch in self._batches.values())
        outcomes = Counter(report.outcome for report in self._reports.values())
        return Totals(
            batches=len(self._batches),
            planned=states["planned"],
            open=0,
            deleted=0,
            empty=states["empty"],
            failed=0,
            rows_moved=0,
            instances_moved=0,
            lost_objects=0,
            trees_skipped=outcomes["skipped"],
            trees_quarantined=outcomes["quarantined"],
            trees_moved=0,
        )
