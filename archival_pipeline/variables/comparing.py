"""The difference between two snapshots, name by name and owner by owner.

Not here: how a difference is shown.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from archival_pipeline.variables.snapshot import Entry
    from archival_pipeline.variables.values import Value

Kind = Literal["added", "removed", "changed", "moved", "uncertain"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One name that is not the same on both sides.

    Attributes:
        name: of the variable.
        kind: ``moved`` is the same value owned by another place; ``uncertain`` says that a side is in doubt.
        before: the entry of the first snapshot.
        after: the entry of the second one.
    """

    name: str
    kind: Kind
    before: Described | None
    after: Described | None


@dataclass(frozen=True, slots=True)
class Described:
    """An entry with its value."""

    entry: Entry
    value: Value | None


def differences(before: Iterable[Described], after: Iterable[Described], doubted: set[str]) -> list[Difference]:
    """What differs between the visible variables of two snapshots.

    Args:
        before: those of the first.
        after: those of the second.
        doubted: names that either snapshot cannot say for sure.
    """
    first, second = _keyed(before), _keyed(after)
    found = []
    for key in sorted(first.keys() | second.keys(), key=lambda key: (key[0], str(key[1]))):
        one, two = first.get(key), second.get(key)
        kind = _kind(one, two)
        name = key[0]
        if name in doubted:
            kind = "uncertain"
        if kind is not None:
            found.append(Difference(name, kind, one, two))
    known = {difference.name for difference in found}
    return found + [Difference(name, "uncertain", None, None) for name in sorted(doubted - known)]


def _keyed(entries: Iterable[Described]) -> Mapping[tuple[str, str | None], Described]:
    """By name; by name and owner where a name stands in several places, as in a whole instance."""
    listed = list(entries)
    names = Counter(item.entry.name for item in listed)
    return {
        (item.entry.name, item.entry.owner.execution_id if names[item.entry.name] > 1 else None): item
        for item in listed
    }


def _kind(one: Described | None, two: Described | None) -> Kind | None:
    if one is None or two is None:
        return "added" if one is None else "removed"
    if one.value != two.value:
        return "changed"
    before, after = one.entry.owner, two.entry.owner
    same = (before.kind, before.execution_id) == (after.kind, after.execution_id)
    return None if same else "moved"
