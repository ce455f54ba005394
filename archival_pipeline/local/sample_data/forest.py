"""Plans the trees: who starts whom, when, how it ends. Ids are drawn here; not here: the rows of an instance."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from archival_pipeline.local.sample_data import vocabulary
from archival_pipeline.local.sample_data.profile import Obstacle, TreeFact

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from random import Random

    from archival_pipeline.local.sample_data.profile import Profile
    from archival_pipeline.local.sample_data.vocabulary import Definition
    from archival_pipeline.local.sample_data.writer import Writer

ACTIVE, COMPLETED, ABORTED = 1, 2, 3
PROCESS, CASE = 1, 2
NO_PARENT = -1

_CASE_SHARE, _OUTLIVING_SHARE = 0.03, 0.005
_OWN_KEY_SHARE, _ONE_CHILD_SHARE, _WAITED_FOR_SHARE = 0.7, 0.8, 0.5
# share of trees that are at most this deep
_DEPTHS = ((0.60, 0), (0.85, 1), (0.95, 2), (0.98, 3), (1.0, 4))
_MANY_CHILDREN = range(2, 11)
_MANY_WEIGHTS = (40, 25, 13, 8, 5, 4, 2, 2, 1)
_DAY_MS, _YEAR_MS = 86_400_000, 365 * 86_400_000


@dataclass(slots=True)
class Instance:
    """One planned process instance.

    Attributes:
        parent: what the log says about the parent; a root says -1.
        end: None while it is running.
        session: id of the engine session that holds it while it is running.
        case_id: key of the case that it belongs to.
    """

    pid: int
    definition: Definition
    parent: int | None
    key: str
    start: datetime
    end: datetime | None
    status: int
    process_type: int | None = PROCESS
    case_id: str | None = None
    session: int | None = None
    children: list[Instance] = field(default_factory=list)

    @property
    def running(self) -> bool:
        """Whether the instance has not ended."""
        return self.status == ACTIVE

    def walk(self) -> Iterator[Instance]:
        """Yield the instance, then its descendants."""
        yield self
        for child in self.children:
            yield from child.walk()


class Planner:
    """Draws trees. ``case_number`` is the last number given to a case."""

    def __init__(self, profile: Profile, writer: Writer, rng: Random, case_number: int = 0) -> None:
        self._profile = profile
        self._writer = writer
        self.rng = rng
        self.now = profile.engine_now
        self.case_number = case_number

    def ordinary(self, number: int) -> Instance:
        """Plan the n-th tree of the forest; later trees end later."""
        draw, profile = self.rng.random(), self._profile
        status = COMPLETED
        if draw < profile.running_share:
            status = ACTIVE
        elif draw < profile.running_share + profile.aborted_share:
            status = ABORTED
        depth, outliving = self._depth(), status != ACTIVE and self.rng.random() < _OUTLIVING_SHARE
        case = self.rng.random() < _CASE_SHARE
        definition = vocabulary.CASE if case else self.rng.choice(vocabulary.ROOTS)
        share = (number + self.rng.random()) / max(profile.trees, 1)
        days = profile.oldest_days - share * (profile.oldest_days - profile.newest_days)
        end = self.now - timedelta(milliseconds=int(days * _DAY_MS))
        return self.tree(definition, status=status, end=end, depth=max(depth, outliving), outliving=outliving)

    def tree(
        self,
        definition: Definition,
        *,
        status: int = COMPLETED,
        end: datetime,
        depth: int = 0,
        outliving: bool = False,
        key: str | None = None,
    ) -> Instance:
        """Plan one tree.

        Args:
            definition: process of the root.
            status: state of the root.
            end: when the root ended; a running root counts back from now instead.
            depth: levels below the root.
            outliving: the first child is still running although the root has ended.
            key: business key of the root; drawn when missing.
        """
        running = status == ACTIVE
        root = self._root(definition, status, self.now if running else end, key)
        self._grow(root, depth)
        if outliving:
            root.children[0].status, root.children[0].end = ACTIVE, None
        self._give_sessions(root)
        return root

    def _root(self, definition: Definition, status: int, last: datetime, key: str | None) -> Instance:
        pid = self._writer.next_id("processinstanceinfo")
        case = definition is vocabulary.CASE
        if case:
            self.case_number += 1
            key = f"{vocabulary.CASE_PREFIX}-{self.case_number:010d}"
        if key is None:
            key = f"{definition.subject}-{pid}" if self.rng.random() < _OWN_KEY_SHARE else str(pid)
        return Instance(
            pid=pid,
            definition=definition,
            parent=NO_PARENT,
            key=key,
            start=last - timedelta(milliseconds=self._duration()),
            end=None if status == ACTIVE else last,
            status=status,
            process_type=CASE if case else PROCESS,
            case_id=key if case else None,
        )

    def _grow(self, parent: Instance, depth: int) -> None:
        if depth == 0:
            return
        rng = self.rng
        count = 1 if rng.random() < _ONE_CHILD_SHARE else rng.choices(_MANY_CHILDREN, _MANY_WEIGHTS)[0]
        # A child runs in its parent's session, so it carries the parent's deployment, whoever else uses its process.
        called = vocabulary.BY_NAME[rng.choice(parent.definition.children)]
        definition = replace(called, deployment=parent.definition.deployment, strategy=parent.definition.strategy)
        for position in range(count):
            child = self._child(parent, definition, waited_for=position == 0 and rng.random() < _WAITED_FOR_SHARE)
            parent.children.append(child)
            self._grow(child, depth - 1 if position == 0 else 0)

    def _child(self, parent: Instance, definition: Definition, *, waited_for: bool) -> Instance:
        """Plan a child inside the parent's time; one that is waited for shares the parent's end."""
        rng = self.rng
        window = ((parent.end or self.now) - parent.start) // timedelta(milliseconds=1)
        first = int(window * rng.uniform(0.05, 0.4))
        last = int(window * rng.uniform(0.5, 0.95))
        shares_end = waited_for and parent.status != COMPLETED
        return Instance(
            pid=self._writer.next_id("processinstanceinfo"),
            definition=definition,
            parent=parent.pid,
            key=f"{parent.key}:{definition.process_id}:{vocabulary.unique_text(rng)}",
            start=parent.start + timedelta(milliseconds=first),
            end=parent.end if shares_end else parent.start + timedelta(milliseconds=last),
            status=parent.status if shares_end else COMPLETED,
            process_type=PROCESS,
            case_id=parent.case_id,
        )

    def _give_sessions(self, root: Instance) -> None:
        """One session for the running part of a tree, where the strategy of its deployment keeps one per instance."""
        running = [instance for instance in root.walk() if instance.running]
        if running and root.definition.strategy in ("per_process_instance", "per_case"):
            session = self._writer.next_id("sessioninfo")
            for instance in running:
                instance.session = session

    def _depth(self) -> int:
        draw = self.rng.random()
        return next(depth for limit, depth in _DEPTHS if draw < limit)

    def _duration(self) -> int:
        """Milliseconds: log-normal, one day in the middle, at most a year."""
        return min(max(int(_DAY_MS * self.rng.lognormvariate(0.0, 1.4)), 1_000), _YEAR_MS)


def fact(root: Instance, *, kind: str = "ordinary", obstacle: Obstacle | None = None) -> TreeFact:
    """Sum up a planned tree; an obstacle that its states show need not be named."""
    members = tuple(root.walk())
    if root.running:
        obstacle = obstacle or Obstacle.ROOT_RUNNING
    elif any(member.running for member in members):
        obstacle = obstacle or Obstacle.DESCENDANT_RUNNING
    ends = [member.end for member in members if member.end is not None]
    return TreeFact(
        root=root.pid,
        members=tuple(member.pid for member in members),
        obstacle=obstacle,
        ended_at=max(ends) if len(ends) == len(members) else None,
        process_name=root.definition.name,
        kind=kind,
    )
