"""Archives and removes one page of roots, or one set of rows without a hierarchy: what a run of the cleanup calls.

Safe to call again with the same roots after any error: what was copied before is not copied again, and what waits for a
transaction asks for its fate first. Not here: retries and pages (``running.py``).
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import psycopg

from archival_pipeline.catalogue.camunda import HISTORY_TABLES
from archival_pipeline.history.cleanup.archive import copying, ledger
from archival_pipeline.history.cleanup.archive.recovery import of_state, settle
from archival_pipeline.history.cleanup.archive.removal import remove_again, remove_copied
from archival_pipeline.history.cleanup.archive.units import ROWS, Unit
from archival_pipeline.history.cleanup.removal import Removed
from archival_pipeline.history.cleanup.rootless import expired_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archival_pipeline.history.cleanup.archive.removal import Sessions

_NAMES = frozenset(table.name for table in HISTORY_TABLES)


def archive_hierarchies(at: Sessions, wanted: Sequence[str]) -> Removed:
    """Copy these roots with everything that belongs to them, and remove what the backup gives back; commits."""
    known = settle(at, list(ledger.units(at.backup, wanted).values()))
    engaged = {unit.unit_id for unit in known if unit.stands not in ledger.NOT_HERE}
    fresh = [root for root in wanted if root not in engaged]
    copied, removed = copying.copy_hierarchies(at.engine, at.backup, at.archive, at.due, fresh)
    ready = of_state(known, ledger.COPIED) + copied
    if ready:
        removed.add(remove_copied(at, ready))
    for unit in of_state(known, ledger.ARCHIVED):
        # Archived before, and in the engine again: by hand, or because its server lost a commit.
        removed.add(remove_again(at, unit))
    for unit in of_state(known, ledger.RETURNED):
        removed.refused[unit.unit_id] = "its restore is not finished: run `archival-pipeline cleanup restore` again"
    return removed


def archive_rootless(at: Sessions) -> Removed:
    """Archive and remove up to a batch of each kind of expired rows without a hierarchy; commits."""
    with at.due.removing() as now:
        found = {name: ids for name, ids in expired_ids(at.engine, now).items() if name in _NAMES and ids}
        return archive_rows(at, found) if found else Removed()


def archive_rows(at: Sessions, found: dict[str, list[str]]) -> Removed:
    """Archive and remove these rows, ids by table, with the byte arrays that they own; commits."""
    unit = Unit(f"rows:{uuid.uuid4()}", ROWS, run_id=at.archive.run_id, row_ids=found)
    try:
        copying.copy_rows(at.engine, at.backup, at.archive, unit)
    except psycopg.Error as error:
        if not copying.lies_in_rows(error):
            raise
        return _in_halves(at, found, copying.refusal(error, "copying"))
    return remove_copied(at, [unit])


def _in_halves(at: Sessions, found: dict[str, list[str]], reason: str) -> Removed:
    """Find the rows that are refused, so that the others go."""
    flat = [(name, row) for name, ids in found.items() for row in ids]
    if len(flat) == 1:
        return Removed(refused={f"{flat[0][0]} {flat[0][1]}": reason})
    removed = Removed()
    middle = len(flat) // 2
    for half in (flat[:middle], flat[middle:]):
        removed.add(archive_rows(at, {name: [row for n, row in half if n == name] for name in dict(half)}))
    return removed
