"""The variables of a whole process instance at a time, each with the place that owned it then.

The end of a scope leaves no trace in the variables' history, so a variable counts as alive while the activity
instances of its execution say so. Not here: what one activity instance saw (``snapshot``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archival_pipeline.variables import cut
from archival_pipeline.variables.cut import Flag
from archival_pipeline.variables.history import MULTI_INSTANCE_BODY
from archival_pipeline.variables.owners import Owner, OwnerKind
from archival_pipeline.variables.snapshot import Entry, Snapshot, require_whole, technical

if TYPE_CHECKING:
    from datetime import datetime

    from archival_pipeline.variables.cut import Kept
    from archival_pipeline.variables.history import Activity, History


def of_process(history: History, moment: datetime) -> Snapshot:
    """The variables of an instance at a time of the engine's zone; changes of that millisecond count.

    Raises:
        SnapshotError: history is not whole.
    """
    require_whole(history)
    visible: list[Entry] = []
    uncertain: list[Entry] = []
    tasks: list[Entry] = []
    for kept in cut.apply(history, cut.at_moment(moment)):
        owner = _owner(history, kept, moment)
        if owner is None or (kept.gone and Flag.DELETE_AMBIGUOUS not in kept.flags):
            continue
        flags = kept.flags | technical(history, kept)
        doubtful = kept.gone or owner.kind is OwnerKind.UNKNOWN
        flags |= {Flag.AMBIGUOUS} if owner.kind is OwnerKind.UNKNOWN else set()
        entry = Entry(kept.variable.name, kept.variable.id, kept.last, owner, frozenset(flags))
        (uncertain if doubtful else tasks if owner.kind is OwnerKind.TASK else visible).append(entry)
    return Snapshot(
        history.process,
        None,
        None,
        moment=moment,
        path=(history.process.id,),
        visible=_ordered(visible),
        uncertain=_ordered(uncertain),
        task_local=_ordered(tasks),
    )


def _owner(history: History, kept: Kept, moment: datetime) -> Owner | None:
    """The owner at the time; None if it was over, UNKNOWN if history does not tell."""
    assert kept.last is not None  # noqa: S101 - this cut knows no ties
    execution = kept.last.execution_id
    if kept.variable.task_id is not None:
        return _while_alive(history, kept, moment, OwnerKind.TASK)
    if execution == history.process.id:
        return Owner(OwnerKind.PROCESS, history.process.id, None, execution, 0)
    rows = history.by_execution.get(execution or "", [])
    scope = next((row for row in rows if row.is_scope), None)
    if scope is not None:
        return _at(scope, OwnerKind.SCOPE, execution) if _alive(scope, moment) else None
    for row in rows:
        if _alive(row, moment):
            kind = OwnerKind.SCOPE if kept.first.source == row.id and len(rows) == 1 else OwnerKind.BRANCH
            return _at(row, kind, execution)
    return None if _over(history, kept, moment) else Owner(OwnerKind.UNKNOWN, None, None, execution, -1)


def _while_alive(history: History, kept: Kept, moment: datetime, kind: OwnerKind) -> Owner | None:
    row = history.activities.get(kept.variable.activity_instance_id or "")
    if row is None:
        return Owner(OwnerKind.UNKNOWN, None, None, kept.variable.execution_id, -1)
    return _at(row, kind, row.execution_id) if _alive(row, moment) else None


def _over(history: History, kept: Kept, moment: datetime) -> bool:
    """Whether the scope that any execution of this variable lay in had ended."""
    creator = history.activities.get(kept.first.source or "")
    if creator is None:
        return history.process.end is not None and history.process.end < moment
    around = creator if creator.type == MULTI_INSTANCE_BODY else history.activities.get(creator.parent_id or "")
    if around is None:
        return history.process.end is not None and history.process.end < moment
    return not _alive(around, moment)


def _alive(row: Activity, moment: datetime) -> bool:
    return row.start <= moment and (row.end is None or row.end >= moment)


def _at(row: Activity, kind: OwnerKind, execution: str | None) -> Owner:
    return Owner(kind, row.id, row.activity_id, execution, 0)


def _ordered(entries: list[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda entry: (entry.name, entry.owner.kind, entry.variable_id)))
