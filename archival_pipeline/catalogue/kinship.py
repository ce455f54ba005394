"""Which instances belong together, and whether one of them is on hold: a hold of any member holds the whole family.

Not here: where the relatives of an instance are looked up, and what is done with a family on hold (whoever removes).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Id = TypeVar("Id", int, str)

KINDS = {"instance": "an instance", "business_key": "a business key", "definition": "a process definition"}
"""The kinds of holds, as people read them."""


class Families(Generic[Id]):
    """Who is related to whom, and who of them is on hold."""

    def __init__(self) -> None:
        self._elder: dict[Id, Id] = {}
        self._why: dict[Id, tuple[Id, str]] = {}

    def join(self, one: Id, other: Id) -> None:
        """Two instances, or one by itself, belong together."""
        first, second = self._oldest(one), self._oldest(other)
        self._elder[second] = first

    def explore(self, relatives: Callable[[list[Id]], Iterable[tuple[Id, Id | None, str | None]]]) -> None:
        """Follow parents and children until nobody new comes up.

        Args:
            relatives: answers for instances: they and their children, each with its parent and with the kind of hold
                that it meets by itself.
        """
        new = set(self._elder)
        while new:
            known = set(self._elder)
            for instance, parent, held_by in relatives(sorted(new)):
                self.join(instance if parent is None else parent, instance)
                if held_by is not None:
                    self._why.setdefault(self._oldest(instance), (instance, held_by))
            new = set(self._elder) - known

    def hold(self, instance: Id) -> None:
        """An instance is on hold by its id; nothing where it is nobody's relative."""
        if instance in self._elder:
            self._why.setdefault(self._oldest(instance), (instance, "instance"))

    def held(self, instances: Iterable[Id]) -> dict[Id, tuple[Id, str]]:
        """Those that stay: for each the relative that is on hold, and the kind of that hold."""
        why = {self._oldest(elder): found for elder, found in self._why.items()}
        return {one: why[elder] for one in instances if one in self._elder and (elder := self._oldest(one)) in why}

    def _oldest(self, instance: Id) -> Id:
        elder = self._elder.setdefault(instance, instance)
        while elder != self._elder[elder]:
            # Each look shortens the way of the next.
            self._elder[elder] = elder = self._elder[self._elder[elder]]
        self._elder[instance] = elder
        return elder
