"""The snapshot of an activity instance or of a moment: rows in, owners and last changes out.

Every name is in one of these lists: ``visible`` (innermost), ``shadowed`` (hidden by an inner one), ``uncertain`` (may
have been visible; flagged, never chosen), ``own_inputs`` and ``task_local`` (apart from the execution's view).

Not here: values, which the caller reads for the entries that came out (``reading``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from archival_pipeline.variables import cut, failures
from archival_pipeline.variables.cut import Boundary, Flag, Kept
from archival_pipeline.variables.history import MULTI_INSTANCE_BODY, TECHNICAL
from archival_pipeline.variables.loops import Loops
from archival_pipeline.variables.owners import Owner, OwnerKind, Path

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from archival_pipeline.variables.history import Activity, Change, History, Process

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Entry:
    """One variable of a snapshot, without its value.

    Attributes:
        name: of the variable.
        variable_id: VARINST.ID_.
        change: the change that holds the value; None where only a tie makes the variable known, or it was removed.
        owner: where it lived.
        flags: what a reader must know.
    """

    name: str
    variable_id: str
    change: Change | None
    owner: Owner
    flags: frozenset[Flag] = frozenset()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was visible, and what history cannot say for sure.

    Attributes:
        process: the instance.
        activity: the activity instance; None for a moment of the whole instance.
        parent: the activity instance around it; None at the top.
        boundary: which moment of it.
        after_outputs: whether output parameters count.
        moment: the time asked for, in the engine's zone; None for an activity instance.
        path: activity instances from the one that looks up to the process instance.
    """

    process: Process
    activity: Activity | None
    boundary: Boundary | None
    after_outputs: bool = False
    moment: datetime | None = None
    path: tuple[str, ...] = ()
    parent: Activity | None = None
    visible: tuple[Entry, ...] = ()
    shadowed: tuple[Entry, ...] = ()
    uncertain: tuple[Entry, ...] = ()
    own_inputs: tuple[Entry, ...] = ()
    task_local: tuple[Entry, ...] = ()

    def entries(self) -> tuple[Entry, ...]:
        """All of them."""
        return self.visible + self.shadowed + self.uncertain + self.own_inputs + self.task_local

    def flags_of(self, name: str) -> frozenset[Flag]:
        """The flags of a name: of the visible variable and of what may stand in its place."""
        return frozenset(
            flag for entry in (*self.visible, *self.uncertain) if entry.name == name for flag in entry.flags
        )


def of_activity(
    history: History, activity_instance_id: str, boundary: Boundary, *, after_outputs: bool = False
) -> Snapshot:
    """The variables that an activity instance saw.

    Raises:
        SnapshotError: the activity instance has no row or still runs, or history is not whole.
    """
    require_whole(history)
    activity = history.activities.get(activity_instance_id)
    if activity is None:
        raise failures.SnapshotError(
            f"The instance {history.process.id} has no activity instance {activity_instance_id}.",
            resolve="Take an id from the list of its activity instances.",
            code=failures.NOT_FOUND,
        )
    if boundary is Boundary.START:
        made = cut.at_start(history, activity)
    else:
        require_ended(activity)
        made = cut.at_end(history, activity, after_outputs=after_outputs)
    path = Path(history, activity, boundary, Loops(history))
    sorted_out = _Sorting(history, path)
    own = _own_inputs(history, activity) if boundary is Boundary.START else []
    for kept in cut.apply(history, made):
        sorted_out.take(kept)
    return replace(
        sorted_out.snapshot(),
        activity=activity,
        boundary=boundary,
        after_outputs=after_outputs and boundary is Boundary.END,
        path=tuple(path.ids),
        parent=history.activities.get(activity.parent_id or ""),
        own_inputs=tuple(own),
    )


def require_ended(activity: Activity) -> None:
    """Refuse the end of an activity instance that has none yet.

    Raises:
        SnapshotError: it still runs.
    """
    if activity.end is None:
        raise failures.SnapshotError(
            f"The activity instance {activity.id} still runs: it has no end.",
            resolve="Ask for its start, or for a moment of the whole instance.",
            code=failures.STILL_RUNNING,
        )


def require_whole(history: History) -> None:
    """Refuse a history with holes.

    Raises:
        SnapshotError: a variable has no changes, or its first ones are gone.
    """
    holes = sorted({row.name for row in history.variables.values() if _has_holes(history.changes.get(row.id, []))})
    orphans = history.changes.keys() - history.variables.keys()
    if not holes and not orphans:
        return
    listing = ", ".join(holes[:_SHOWN]) + (", …" if len(holes) > _SHOWN else "")
    said = f"changes of {len(holes)} variable(s) are missing: {listing}" if holes else ""
    lost = f"{len(orphans)} variable(s) have changes but no row of their own" if orphans else ""
    raise failures.SnapshotError(
        f"The history of {history.process.id} is not whole: {'; '.join(filter(None, (said, lost)))}.",
        resolve="It was partly cleaned, or began below history level full; there is no snapshot of it.",
    )


def _has_holes(changes: Iterable[Change]) -> bool:
    sequence = 0
    for change in changes:
        sequence += 1
        if change.sequence != sequence:
            return True
    return sequence == 0


def _own_inputs(history: History, activity: Activity) -> list[Entry]:
    """Input parameters: set on the activity's own execution before its start event was written.

    What the activity itself did in the same millisecond looks the same and is flagged.
    """
    inside = history.subtree(activity)
    if activity.type == MULTI_INSTANCE_BODY or activity.execution_id == history.process.id:
        return []
    if any(row.id not in inside for row in history.by_execution[activity.execution_id]):
        return []
    owner = Owner(OwnerKind.SCOPE, activity.id, activity.activity_id, activity.execution_id, 0)
    keys = history.keys
    found = []
    for variable in history.variables.values():
        changes = [
            change
            for change in history.changes.get(variable.id, ())
            if change.source == activity.id
            and change.execution_id == activity.execution_id
            and change.time <= activity.start
            and (not keys.comparable or keys[change.id] > keys[activity.id])
        ]
        if changes and changes[0].sequence == 1:
            tied = {Flag.TIE} if changes[-1].time == activity.start else set()
            found.append(Entry(variable.name, variable.id, changes[-1], owner, frozenset(tied)))
    return found


class _Sorting:
    """Puts what the cut left into the lists of a snapshot."""

    def __init__(self, history: History, path: Path) -> None:
        self._history = history
        self._path = path
        self._sure: dict[str, list[Entry]] = {}
        self._uncertain: list[Entry] = []
        self._task: list[Entry] = []

    def take(self, kept: Kept) -> None:
        """Find the owner and the list of one variable."""
        if kept.variable.task_id is not None:
            self._take_task(kept)
            return
        owner = self._path.owner_of(kept)
        if owner is None:
            return
        flags = kept.flags | technical(self._history, kept)
        if owner.kind is OwnerKind.UNKNOWN:
            flags |= {Flag.AMBIGUOUS}
        doubtful = kept.last is None or kept.gone
        if doubtful and not flags & {Flag.TIE, Flag.DELETE_AMBIGUOUS}:
            return
        entry = Entry(kept.variable.name, kept.variable.id, kept.last, owner, frozenset(flags))
        if doubtful or owner.kind is OwnerKind.UNKNOWN:
            self._uncertain.append(entry)
        else:
            self._sure.setdefault(entry.name, []).append(entry)

    def snapshot(self) -> Snapshot:
        """What was taken, the innermost of each name first."""
        in_doubt: dict[str, list[Entry]] = {}
        for entry in self._uncertain:
            in_doubt.setdefault(entry.name, []).append(entry)
        visible, shadowed = [], []
        for name, entries in self._sure.items():
            entries.sort(key=lambda entry: entry.owner.depth)
            nearest, *hidden = entries
            visible.append(_marked(nearest, hidden, in_doubt.get(name, [])))
            shadowed += hidden
        return Snapshot(
            self._history.process,
            None,
            None,
            visible=_by_name(visible),
            shadowed=_by_name(shadowed),
            uncertain=_by_name(self._uncertain),
            task_local=_by_name(self._task),
        )

    def _take_task(self, kept: Kept) -> None:
        activity = self._path.activity
        if kept.variable.activity_instance_id != activity.id or kept.gone or kept.last is None:
            return
        owner = Owner(OwnerKind.TASK, activity.id, activity.activity_id, kept.last.execution_id, 0)
        self._task.append(Entry(kept.variable.name, kept.variable.id, kept.last, owner, frozenset(kept.flags)))


def technical(history: History, kept: Kept) -> set[Flag]:
    """Whether the engine keeps this variable for a multi-instance body."""
    if kept.variable.name not in TECHNICAL:
        return set()
    source = history.activities.get(kept.first.source or "")
    return {Flag.TECHNICAL} if source is not None and source.type == MULTI_INSTANCE_BODY else set()


def _marked(nearest: Entry, hidden: list[Entry], in_doubt: list[Entry]) -> Entry:
    """The visible entry, flagged where something in doubt may have stood before it."""
    flags = set(nearest.flags)
    for other in in_doubt:
        inner = other.owner.kind is OwnerKind.UNKNOWN or other.owner.depth <= nearest.owner.depth
        if inner and nearest.owner.depth > 0:
            flags |= {Flag.AMBIGUOUS} | (other.flags - {Flag.TECHNICAL})
    if hidden and hidden[0].owner.depth == nearest.owner.depth:
        flags.add(Flag.AMBIGUOUS)
    return replace(nearest, flags=frozenset(flags))


def _by_name(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda entry: (entry.name, entry.owner.depth, entry.variable_id)))
