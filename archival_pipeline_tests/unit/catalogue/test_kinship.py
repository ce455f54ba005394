"""Families of instances, and which of them are on hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archival_pipeline.catalogue.kinship import Families

if TYPE_CHECKING:
    from collections.abc import Callable

    Relatives = Callable[[list[int]], list[tuple[int, int | None, str | None]]]

# Two trees: 1 with 2 and 3, 3 with 4; 5 with 6.
PARENTS = {2: 1, 3: 1, 4: 3, 6: 5}


def asked_of(held: dict[int, str], log: list[list[int]]) -> Relatives:
    def relatives(ids: list[int]) -> list[tuple[int, int | None, str | None]]:
        log.append(ids)
        wanted = {one for one in range(1, 7) if one in ids or PARENTS.get(one) in ids}
        return [(one, PARENTS.get(one), held.get(one)) for one in sorted(wanted)]

    return relatives


def test_a_hold_reaches_ancestors_and_their_descendants_and_nobody_else() -> None:
    families: Families[int] = Families()
    for one in (2, 6):
        families.join(one, one)
    log: list[list[int]] = []
    families.explore(asked_of({4: "definition"}, log))
    assert families.held([2, 6, 9]) == {2: (4, "definition")}
    # Nobody is asked about twice.
    assert sorted(one for ids in log for one in ids) == [1, 2, 3, 4, 5, 6]


def test_a_hold_by_id_counts_for_relatives_only() -> None:
    families: Families[int] = Families()
    families.join(1, 1)
    families.explore(asked_of({}, []))
    families.hold(6)
    assert families.held([1]) == {}
    families.hold(4)
    assert families.held([1, 6]) == {1: (4, "instance")}
