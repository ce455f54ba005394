"""The ledger: one row per batch with its state, in the backup database.

A batch goes ``planned`` → ``copying`` → ``copied`` → ``deleting`` → ``deleted``; or it ends ``empty`` (no tree of it
may move), ``failed`` or ``abandoned`` (its run ended before its turn). ``copying``, ``copied`` and ``deleting`` are the
open states: the trees may stand in both databases. ``copying`` and ``deleting`` name the primary's transaction that was
about to commit, because the ledger cannot commit with it; a side that shares a transaction with the ledger skips the
state.

Not here: what is done to get from one state to the next (``transfer.py``, ``removal.py``).
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import psycopg
from psycopg.rows import class_row, dict_row

from archival_pipeline.archival.digests import Digest, Measure
from archival_pipeline.archival.keys import array_literal
from archival_pipeline.database.sqlfiles import load_sql
from archival_pipeline.errors import FencedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Row = TypeVar("Row")
Outcome = Literal["skipped", "quarantined"]


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as the ledger has it. ``member_roots[i]`` is the root of the tree of ``member_ids[i]``."""

    batch_id: int
    audit_id: str
    wave: int
    batch: int
    state: str
    root_ids: list[int]
    member_ids: list[int] = field(default_factory=list)
    member_roots: list[int] = field(default_factory=list)
    digests: dict[str, str] | None = None
    table_rows: dict[str, int] | None = None
    row_count: int = 0
    lost_objects: int = 0
    pending_objects: list[int] = field(default_factory=list)
    pending_discards: list[int] = field(default_factory=list)
    primary_transaction: str | None = None
    backup_transaction: str | None = None

    @property
    def expected(self) -> dict[str, Digest]:
        """The digests that were read back at the destination, once they were."""
        return {name: Digest.parse(text) for name, text in (self.digests or {}).items()}

    def trees(self) -> dict[int, list[int]]:
        """Members by root."""
        found: dict[int, list[int]] = {}
        for root, member in zip(self.member_roots, self.member_ids, strict=True):
            found.setdefault(root, []).append(member)
        return found


@dataclass(frozen=True, slots=True)
class TreeReport:
    """A tree that did not move.

    Attributes:
        root_id: its selected instance.
        outcome: skipped (it may not move now) or quarantined (it cannot be moved until somebody acts).
        reason: a short code, such as ``running_member``.
        process_instance_id: the instance that is the reason.
        error_code: SQLSTATE or our code, for quarantined trees.
        detail: what was found and what to do.
    """

    root_id: int
    outcome: Outcome
    reason: str
    process_instance_id: int | None = None
    error_code: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """What became of an operation."""

    batches: int
    planned: int
    open: int
    deleted: int
    empty: int
    failed: int
    rows_moved: int
    instances_moved: int
    lost_objects: int
    trees_skipped: int
    trees_quarantined: int
    trees_moved: int


@dataclass(frozen=True, slots=True)
class WaveSize:
    """One wave: how many batches and trees it has."""

    wave: int
    batches: int
    trees: int


@dataclass(frozen=True, slots=True)
class Control:
    """What an operator asked of a running operation.

    Attributes:
        paused: take no further batch until resumed.
        pause_ms: milliseconds to rest after a batch; None leaves the option as it was launched.
        stop_requested: end after the batches at hand.
    """

    paused: bool
    pause_ms: int | None
    stop_requested: bool


class Ledger:
    """Reads and writes the ledger through the session that holds the operation lock.

    Args:
        connection: that session, in autocommit.
        audit_id: the operation at work.
    """

    def __init__(self, connection: psycopg.Connection[Any], audit_id: str) -> None:
        self._connection = connection
        self.audit_id = audit_id

    def open_operation(
        self, operation: str, filters: Mapping[str, Any], options: Mapping[str, Any], bound: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Begin the operation, or take it up again: then the stored filters are returned, not the given ones."""
        parameters = {
            "audit_id": self.audit_id,
            "operation": operation,
            "filters": json.dumps(filters),
            "options": json.dumps(options),
            "bound_filters": json.dumps(bound),
        }
        return self._row("backup/ledger_open_operation", parameters)

    def operation(self, audit_id: str | None = None) -> dict[str, Any]:
        """The row of this operation, or of another."""
        return self._row("backup/ledger_operation", {"audit_id": audit_id or self.audit_id})

    def close_operation(self, status: str) -> None:
        """End the operation."""
        with self._guarded() as connection:
            connection.execute(load_sql("backup/ledger_close_operation"), {"audit_id": self.audit_id, "status": status})

    def plan(self, selected_count: int, waves: Sequence[Sequence[Sequence[int]]]) -> None:
        """Write the batches: for each wave its batches, for each batch its root ids. All or nothing."""
        rows = []
        number = 0
        for wave, batches in enumerate(waves, start=1):
            for roots in batches:
                number += 1
                rows.append(
                    {"audit_id": self.audit_id, "wave": wave, "batch": number, "root_ids": array_literal(roots)}
                )
        with self._guarded() as connection, connection.transaction(), connection.cursor() as cursor:
            cursor.execute(
                load_sql("backup/ledger_set_selected"), {"audit_id": self.audit_id, "selected_count": selected_count}
            )
            cursor.executemany(load_sql("backup/ledger_plan_batch"), rows)

    def waves(self) -> list[WaveSize]:
        """The waves of this operation with their numbers of batches and trees."""
        return self._objects(WaveSize, "backup/ledger_waves", {"audit_id": self.audit_id})

    def dead_operations(self) -> list[dict[str, Any]]:
        """Operations whose runs died without a word, as the lock in our hands proves."""
        with self._guarded() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(load_sql("backup/ledger_dead_operations"), {"audit_id": self.audit_id}).fetchall()

    def batches(self, wave: int | None = None) -> list[Batch]:
        """Batches of this operation, of one wave if given, in order."""
        return self._batches("backup/ledger_batches", {"audit_id": self.audit_id, "wave": wave})

    def open_batches(self) -> list[Batch]:
        """Open batches of every operation: what dead runs have left."""
        return self._batches("backup/ledger_open_batches", {})

    def judge(self, judged: Iterable[tuple[Batch, Mapping[int, Sequence[int]], Sequence[TreeReport]]]) -> None:
        """Record for each batch the trees that may move and the reports of those that stay. All or nothing."""
        with self._guarded() as connection, connection.transaction():
            for batch, trees, stay in judged:
                self.set_members(batch, trees)
                self.report(batch, stay)

    def set_members(self, batch: Batch, trees: Mapping[int, Sequence[int]]) -> None:
        """Record the trees of a planned batch; without trees it is ``empty``."""
        with self._guarded() as connection:
            connection.execute(load_sql("backup/ledger_set_members"), {"batch_id": batch.batch_id, **_members(trees)})

    def copying(
        self,
        batch: Batch,
        trees: Mapping[int, Sequence[int]],
        rows: Mapping[str, int],
        proof: Measure | None,
        transaction: str,
    ) -> None:
        """Record the primary's transaction that is about to commit the batch's rows there."""
        values = _copied(trees, rows, proof) | {"primary_transaction": transaction}
        self._change("backup/ledger_copying", batch, values)

    def copied(
        self,
        batch: Batch,
        trees: Mapping[int, Sequence[int]],
        rows: Mapping[str, int],
        proof: Measure | None,
        session: psycopg.Connection[Any] | None = None,
    ) -> None:
        """Record that the batch was copied.

        Args:
            batch: the batch.
            trees: what stands at the destination.
            rows: rows by table.
            proof: what both sides agreed on, where it was measured.
            session: the session whose transaction holds the rows, if that is in the backup; else the ledger's own.
        """
        self._change("backup/ledger_copied", batch, _copied(trees, rows, proof), session)

    def deleting(
        self,
        batch: Batch,
        transaction: str,
        pending_objects: Sequence[int],
        pending_discards: Sequence[int],
        proof: Measure | None,
    ) -> None:
        """Record the proof, the primary's transaction that is about to delete, and what is to be done after it."""
        parameters = {
            "primary_transaction": transaction,
            "pending_objects": array_literal(pending_objects),
            "pending_discards": array_literal(pending_discards),
            "digests": _digests(proof),
            "lost_objects": proof.lost if proof else 0,
        }
        self._change("backup/ledger_deleting", batch, parameters)

    def back_to(self, batch: Batch, state: Literal["planned", "copied"]) -> None:
        """Record that the transaction the batch waited for was rolled back."""
        self._change("backup/ledger_back_to", batch, {"state": state})

    def put_back(self) -> None:
        """Record that the accepted batches of this bulk deletion did not get their turn."""
        with self._guarded() as connection:
            connection.execute(load_sql("backup/ledger_put_back"), {"audit_id": self.audit_id})

    def deleted(
        self,
        batch: Batch,
        trees: Mapping[int, Sequence[int]] | None = None,
        session: psycopg.Connection[Any] | None = None,
        rows: Mapping[str, int] | None = None,
    ) -> None:
        """Record that the batch stands in the destination alone.

        Args:
            batch: the batch.
            trees: the trees that were deleted, where some were left out.
            session: the session whose transaction deletes, if that is in the backup; else the ledger's own.
            rows: rows that were deleted, by table, where they are known; else those that were copied stand.
        """
        parameters = {
            **_members(batch.trees() if trees is None else trees),
            "table_rows": None if rows is None else json.dumps(rows),
            "row_count": None if rows is None else sum(rows.values()),
        }
        self._change("backup/ledger_deleted", batch, parameters, session)

    def report(self, batch: Batch, trees: Iterable[TreeReport]) -> None:
        """Record trees of a batch that stay where they are."""
        rows = [
            {
                "audit_id": batch.audit_id,
                "batch": batch.batch,
                "root_id": tree.root_id,
                "outcome": tree.outcome,
                "reason": tree.reason,
                "process_instance_id": tree.process_instance_id,
                "error_code": tree.error_code,
                "detail": tree.detail,
            }
            for tree in trees
        ]
        if rows:
            with self._guarded() as connection, connection.cursor() as cursor:
                cursor.executemany(load_sql("backup/ledger_report_tree"), rows)

    def reports(self, limit: int | None = None) -> list[TreeReport]:
        """Trees of this operation that did not move, by root id."""
        with self._guarded() as connection, connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(
                load_sql("backup/ledger_trees"), {"audit_id": self.audit_id, "limit": limit}
            ).fetchall()
        return [TreeReport(**{k: v for k, v in row.items() if k != "batch"}) for row in rows]

    def moved_rows(self) -> dict[str, int]:
        """Rows that this operation has moved, by table."""
        with self._guarded() as connection:
            rows = connection.execute(load_sql("backup/ledger_moved_rows"), {"audit_id": self.audit_id})
            return {row[0]: row[1] for row in rows}

    def control(self) -> Control:
        """What an operator asks of this operation now."""
        with self._guarded() as connection, connection.cursor(row_factory=class_row(Control)) as cursor:
            row = cursor.execute(load_sql("backup/ledger_control"), {"audit_id": self.audit_id}).fetchone()
        return row or Control(paused=False, pause_ms=None, stop_requested=False)

    def abandon(self, code: str, summary: str) -> int:
        """Give up the batches that did not get their turn; return how many trees they have."""
        parameters = {"audit_id": self.audit_id, "error_code": code, "error_summary": summary}
        with self._guarded() as connection:
            return sum(row[0] for row in connection.execute(load_sql("backup/ledger_abandon"), parameters))

    def totals(self) -> Totals:
        """Sums over the operation."""
        with self._guarded() as connection, connection.cursor(row_factory=class_row(Totals)) as cursor:
            row = cursor.execute(load_sql("backup/ledger_totals"), {"audit_id": self.audit_id}).fetchone()
        assert row is not None  # noqa: S101 - an aggregate returns one row
        return row

    @contextmanager
    def _guarded(self) -> Iterator[psycopg.Connection[Any]]:
        """The lock's session; if it is gone, so is the lock, and nothing may go on."""
        try:
            yield self._connection
        except psycopg.OperationalError as error:
            if not self._connection.closed:
                raise
            raise FencedError(
                "The session that holds the operation lock was lost, and the lock with it.",
                resolve="Run the same job again: it takes up what the ledger says is open.",
            ) from error

    def _objects(self, kind: type[Row], name: str, parameters: Mapping[str, Any]) -> list[Row]:
        with self._guarded() as connection, connection.cursor(row_factory=class_row(kind)) as cursor:
            return cursor.execute(load_sql(name), parameters).fetchall()

    def _change(
        self,
        name: str,
        batch: Batch,
        parameters: Mapping[str, Any],
        session: psycopg.Connection[Any] | None = None,
    ) -> None:
        """Change a batch's state; a change that meets no row means that somebody else changed it first."""
        values = {"batch_id": batch.batch_id, **parameters}
        if session is not None:
            row = session.execute(load_sql(name), values).fetchone()
        else:
            with self._guarded() as connection:
                row = connection.execute(load_sql(name), values).fetchone()
        if row is None:
            raise FencedError(
                f"Batch {batch.batch} of operation {batch.audit_id} is no longer in the state this run left it in.",
                resolve="Another run has taken it over; look at its audit.",
            )

    def reload(self, batch: Batch) -> Batch:
        """The batch as the ledger has it now."""
        return self._batches("backup/ledger_batch", {"batch_id": batch.batch_id})[0]

    def _batches(self, name: str, parameters: dict[str, Any]) -> list[Batch]:
        with self._guarded() as connection, connection.cursor(row_factory=class_row(Batch)) as cursor:
            return cursor.execute(load_sql(name), parameters).fetchall()

    def _row(self, name: str, parameters: dict[str, Any]) -> dict[str, Any]:
        with self._guarded() as connection, connection.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(load_sql(name), parameters).fetchone()
        if row is None:
            message = f"the ledger has no operation {self.audit_id}"
            raise LookupError(message)
        return row


def _members(trees: Mapping[int, Sequence[int]]) -> dict[str, str]:
    pairs = [(root, member) for root, members in trees.items() for member in members]
    return {
        "member_ids": array_literal([member for _, member in pairs]),
        "member_roots": array_literal([root for root, _ in pairs]),
    }


def _copied(trees: Mapping[int, Sequence[int]], rows: Mapping[str, int], proof: Measure | None) -> dict[str, Any]:
    return {
        "digests": _digests(proof),
        "table_rows": json.dumps(rows),
        "row_count": sum(rows.values()),
        "lost_objects": proof.lost if proof else 0,
        **_members(trees),
    }


def _digests(proof: Measure | None) -> str | None:
    if proof is None:
        return None
    return json.dumps({name: str(digest) for name, digest in proof.filled().items()})
