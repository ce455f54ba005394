"""What to generate (``Profile``) and what was generated (``Summary``). Not here: how.

The summary is the tests' own knowledge of the forest: which trees may be archived and why the others may not. It comes
from the plan of the generator, never from a query, so that a selection can be checked against it.
"""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, Self

Flavour = Literal["kie_server", "embedded"]
ClobMode = Literal["pointer", "text"]


class Obstacle(enum.StrEnum):
    """Why a tree must stay with the engine."""

    ROOT_RUNNING = "the root is running"
    DESCENDANT_RUNNING = "the root has ended, a descendant is running"
    OPEN_TASK = "a task is still open"
    OPEN_JOB = "a job is still to run"
    LIVE_STATE = "the log says ended, the engine still holds its state"
    CASE_OPEN = "another instance of its case is running"


@dataclass(frozen=True, slots=True)
class Profile:
    """The recipe of a forest. The same profile in an empty database gives the same rows.

    Attributes:
        seed: start of the random numbers.
        trees: number of ordinary root trees; traps come on top.
        now: the moment at which the engine is looked at, taken as UTC; nothing reads the clock.
        flavour: a KIE server removes the tasks of ended instances, an embedded engine keeps them.
        clob_mode: whether text columns hold the number of a large object or the text itself.
        traps: whether to add one tree or row for each known oddity of real databases.
        oldest_days: end dates reach back this many days.
        newest_days: no ordinary tree ended within the last so many days.
        orphans: fewest and most large objects without a row, per ended instance.
        blob_median: size in bytes of the middle binary value; the largest have 64 kB.
        running_share: share of the trees whose root is running.
        aborted_share: share of the trees whose root was aborted.
        chunk_trees: trees per chunk; one chunk is one transaction and bounds the memory.
    """

    seed: int
    trees: int
    now: datetime
    flavour: Flavour = "kie_server"
    clob_mode: ClobMode = "pointer"
    traps: bool = True
    oldest_days: int = 400
    newest_days: int = 0
    orphans: tuple[int, int] = (5, 20)
    blob_median: int = 500
    running_share: float = 0.08
    aborted_share: float = 0.04
    chunk_trees: int = 250

    def __post_init__(self) -> None:
        if self.trees < 0 or self.chunk_trees < 1 or not 0 <= self.newest_days < self.oldest_days:
            message = "a profile needs trees >= 0, chunk_trees >= 1 and 0 <= newest_days < oldest_days"
            raise ValueError(message)

    @classmethod
    def lean(cls, *, seed: int, trees: int, now: datetime, flavour: Flavour = "kie_server") -> Self:
        """Return the recipe of a benchmark: the usual rows, no oddities, no orphaned large objects."""
        return cls(seed=seed, trees=trees, now=now, flavour=flavour, traps=False, orphans=(0, 0), blob_median=300)

    @property
    def engine_now(self) -> datetime:
        """``now`` as the engine writes it: UTC without a zone, milliseconds."""
        moment = self.now.astimezone(UTC).replace(tzinfo=None) if self.now.tzinfo else self.now
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@dataclass(frozen=True, slots=True)
class TreeFact:
    """One tree as planned.

    Attributes:
        root: process instance id of its root.
        members: all its process instance ids, the root first.
        obstacle: why it must not be archived; None means that it may be.
        ended_at: latest end of a member, None while one is running. A date limit must lie behind it.
        process_name: name of the root's process.
        kind: ``ordinary`` or the name of the trap.
    """

    root: int
    members: tuple[int, ...]
    obstacle: Obstacle | None
    ended_at: datetime | None
    process_name: str
    kind: str = "ordinary"


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run of the generator left in the database.

    Attributes:
        rows: number of rows written, by table.
        large_objects: number of large objects written, orphans included.
        orphaned_large_objects: of these, how many no row points to.
        trees: every tree with a sound parent chain.
        traps: name of each oddity -> the process instance ids (or task ids, where no instance exists) that show it.
    """

    rows: dict[str, int]
    large_objects: int
    orphaned_large_objects: int
    trees: tuple[TreeFact, ...]
    traps: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def safe_roots(self) -> tuple[int, ...]:
        """Roots of the trees that may be archived when no date limit is set."""
        return tuple(tree.root for tree in self.trees if tree.obstacle is None)

    @property
    def unsafe_roots(self) -> dict[int, Obstacle]:
        """Roots of the other trees, each with its reason."""
        return {tree.root: tree.obstacle for tree in self.trees if tree.obstacle is not None}

    @property
    def trees_by_kind(self) -> dict[str, int]:
        """Number of trees by kind: ``ordinary`` ones and each trap."""
        return dict(Counter(tree.kind for tree in self.trees))

    @property
    def instances(self) -> int:
        """Number of process instances in all trees."""
        return sum(len(tree.members) for tree in self.trees)

    def safe_before(self, limit: datetime) -> tuple[int, ...]:
        """Return the roots of the trees that may be archived and whose last member ended before a limit.

        Args:
            limit: the date limit, UTC without a zone as the engine writes it.
        """
        return tuple(
            tree.root
            for tree in self.trees
            if tree.obstacle is None and tree.ended_at is not None and tree.ended_at < limit
        )
