"""Runs random processes by the engine's rules for executions and variables, and remembers what each activity saw.

Scopes, branches that join or end (and are pruned), parallel multi-instance, input and output parameters, nulls,
removals, transactions, ties, tokens that wait for a job between activities. The history that comes out holds what the
engine would write, and no more: the truth is kept beside it. Not here: multi-instance whose rounds start through jobs,
compensation, events.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from archival_pipeline.variables.cut import Boundary
from archival_pipeline_tests.support.camunda_story import Story

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NAMES = ("a", "b", "c", "d")


@dataclass(slots=True)
class _Execution:
    parent: str | None
    # The scope's activity instance; None for a branch.
    row: str | None
    variables: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Token:
    execution: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What an activity instance saw: name to id of the change that holds the value."""

    row: str
    boundary: Boundary
    visible: dict[str, str]


class Simulator:
    """One random process instance."""

    def __init__(self, seed: int, *, counters: bool = False) -> None:
        self._random = random.Random(seed)  # noqa: S311 - drawn again from its seed
        self.story = Story(counters=counters)
        self.seen: list[Seen] = []
        self._executions = {self.story.root: _Execution(None, self.story.root)}
        self._values: dict[str, str] = {}
        self._transaction = 0
        self._removed: dict[tuple[str, str], str] = {}
        self._at: dict[str, str] = {}
        self._fresh: set[str] = set()

    def run(self) -> None:
        """Run to the end."""
        for name in _NAMES[:2]:
            self._set(self.story.root, name, self.story.root, local=True)
        for _ in self._block(self.story.root, _Token(self.story.root), 0):
            self._commit()
        self._commit()

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _commit(self) -> None:
        self._fresh.clear()
        self._removed.clear()
        self._transaction += 1
        # Two transactions of one instance do not fit into a millisecond.
        self.story.wait(self._random.choice((1, 2, 5)))

    def _block(self, scope: str, token: _Token, depth: int) -> Iterator[None]:
        for _ in range(self._random.randint(1, 3)):
            kind = self._random.random()
            own = self._executions[token.execution].row == scope
            if depth < 3 and kind < 0.2:
                yield from self._sub(scope, token, depth)
            elif depth < 3 and kind < 0.3:
                yield from self._loop(scope, token, depth)
            elif depth < 3 and kind < 0.5 and own:
                joins = self._chance(0.6)
                yield from self._fork(scope, token, depth, joins=joins)
                if not joins:
                    return
            else:
                yield from self._leaf(scope, token, "L")

    def _leaf(self, scope: str, token: _Token, activity: str) -> Iterator[None]:
        row = f"{activity}:{self.story.new_id()}"
        own = self._child(token.execution, row) if self._chance(0.4) else None
        self._begin(row, scope, token, own or token.execution, "serviceTask")
        if own:
            self._set(own, self._random.choice(_NAMES), row, local=True)
            self.story.enter(activity, parent=scope, execution=own, row_id=row)
        if self._chance(0.5):
            yield
        for _ in range(self._random.randint(0, 2)):
            self._act(own or token.execution, row)
        if self._chance(0.3):
            self.story.wait()
        self._see(row, Boundary.END, own or token.execution)
        self.story.leave(row, execution=own or token.execution)
        if own:
            del self._executions[own]
            if self._chance(0.5):
                self._set(token.execution, self._random.choice(_NAMES), scope)
        if self._chance(0.3):
            yield from self._job(scope, token)

    def _job(self, scope: str, token: _Token) -> Iterator[None]:
        """Between activities a token outlives its transaction only as a job."""
        self._at[token.execution] = scope
        wait = self.story.wait_for_job(token.execution)
        yield
        self.story.job_done(wait)

    def _sub(self, scope: str, token: _Token, depth: int) -> Iterator[None]:
        row = f"sub:{self.story.new_id()}"
        own = self._child(token.execution, row)
        self._begin(row, scope, token, own, "subProcess")
        if self._chance(0.5):
            self._set(own, self._random.choice(_NAMES), row, local=True, named=scope)
        self.story.enter("sub", parent=scope, execution=own, kind="subProcess", row_id=row)
        yield from self._block(row, _Token(own), depth + 1)
        self._see(row, Boundary.END, own)
        self.story.leave(row)
        del self._executions[own]

    def _fork(self, scope: str, token: _Token, depth: int, *, joins: bool) -> Iterator[None]:
        tokens = [_Token(self._child(token.execution, None)) for _ in range(self._random.randint(2, 3))]
        branches = [self._branch(scope, branch, depth, joins=joins) for branch in tokens]
        for branch, commits in self._interleaved(branches):
            if branch is not None:
                ended = tokens[branch]
                if ended.execution != token.execution:
                    del self._executions[ended.execution]
                tokens[branch] = token
                left = [other for other in tokens if other is not token]
                if not joins and len(left) == 1:
                    self._prune(left[0], token.execution)
            if commits:
                yield

    def _branch(self, scope: str, token: _Token, depth: int, *, joins: bool) -> Iterator[None]:
        if self._chance(0.4):
            yield from self._job(scope, token)
        yield from self._block(scope, token, depth + 1)
        yield from self._leaf_without_scope(scope, token, "join" if joins else "end")

    def _leaf_without_scope(self, scope: str, token: _Token, activity: str) -> Iterator[None]:
        row = f"{activity}:{self.story.new_id()}"
        self._begin(row, scope, token, token.execution, "noneEndEvent")
        self._see(row, Boundary.END, token.execution)
        self.story.leave(row, execution=token.execution)
        yield from ()

    def _loop(self, scope: str, token: _Token, depth: int) -> Iterator[None]:
        body = f"M#multiInstanceBody:{self.story.new_id()}"
        own = self._child(token.execution, body)
        self._begin(body, scope, token, own, "multiInstanceBody")
        self.story.enter("M#multiInstanceBody", parent=scope, execution=own, kind="multiInstanceBody", row_id=body)
        rounds = self._random.randint(1, 3)
        executions = {}
        for number in reversed(range(rounds)):
            executions[number] = self._child(own, None)
            self._set(executions[number], "loopCounter", body, local=True, named=body, counter=number)
            self._set(executions[number], self._random.choice(_NAMES), body, local=True, named=body)
        tokens = [_Token(executions[number]) for number in range(rounds)]
        inner = self._sub if self._chance(0.5) else self._wrapped
        for _, commits in self._interleaved([inner(body, branch, depth + 1) for branch in tokens]):
            if commits:
                yield
        for branch in tokens:
            del self._executions[branch.execution]
        self._see(body, Boundary.END, own)
        self.story.leave(body)
        del self._executions[own]

    def _wrapped(self, scope: str, token: _Token, depth: int) -> Iterator[None]:
        del depth
        yield from self._leaf(scope, token, "M")

    def _interleaved(self, branches: Sequence[Iterator[None]]) -> Iterator[tuple[int | None, bool]]:
        """Start each branch in order, in one transaction, then go on with any, each time in a transaction of its own.

        Yields the number of a branch that ended, and whether the transaction ends, with all that are left waiting.
        """
        alive = dict(enumerate(branches))
        order = list(alive)
        while alive:
            number = order.pop(0) if order else self._random.choice(sorted(alive))
            try:
                next(alive[number])
            except StopIteration:
                del alive[number]
                yield number, bool(alive) and not order
            else:
                yield None, not order

    def _prune(self, token: _Token, into: str) -> None:
        """One branch is left: its variables move into the scope.

        That leaves no history but where the scope has a variable of the same name: it takes the value, and the
        branch's is removed.
        """
        gone = token.execution
        kept = self._executions[into].variables
        for name, variable in self._executions.pop(gone).variables.items():
            if name not in kept:
                kept[name] = variable
                continue
            source, now = self._at.get(gone), self._transaction
            last = next(change for change in self.story.changes if change.id == self._values[variable])
            self._values[kept[name]] = self.story.change(
                kept[name], source=source, execution=into, empty=last.empty, revision=now
            )
            self.story.change(variable, source=source, execution=gone, empty=True, revision=now)
            self.story.deleted(variable)
        for execution in self._executions.values():
            if execution.parent == gone:
                execution.parent = into
        token.execution = into

    def _child(self, parent: str, row: str | None) -> str:
        made = self.story.new_id()
        self._executions[made] = _Execution(parent, row)
        return made

    def _begin(self, row: str, scope: str, token: _Token, execution: str, kind: str) -> None:
        """What a token sees before entry; leaves without an own scope are written here."""
        self._see(row, Boundary.START, token.execution)
        if self._executions[token.execution].row is None:
            self._at[token.execution] = row
        if execution == token.execution:
            self.story.enter(row.split(":", 1)[0], parent=scope, execution=execution, kind=kind, row_id=row)

    def _act(self, execution: str, row: str) -> None:
        name = self._random.choice(_NAMES)
        if self._chance(0.2):
            self._remove(execution, name, row)
        else:
            self._set(execution, name, row, local=self._chance(0.3))

    def _holder(self, execution: str, name: str) -> str | None:
        current: str | None = execution
        while current is not None:
            if name in self._executions[current].variables:
                return current
            current = self._executions[current].parent
        return None

    def _set(
        self, execution: str, name: str, source: str, *, local: bool = False, named: str | None = None,
        counter: int | None = None,
    ) -> None:  # fmt: skip
        holder = execution if local else self._holder(execution, name) or self.story.root
        known = self._executions[holder].variables.get(name) or self._removed.pop((holder, name), None)
        how = {"revision": self._transaction, "empty": counter is None and self._chance(0.2), "counter": counter}
        if known is None:
            owner = named or self._executions[holder].row or self._at.get(holder)
            known = self.story.create(name, source=source, execution=holder, named=owner, **how)
            self._values[known] = self.story.changes[-1].id
            if self._executions[holder].row is None:
                self._fresh.add(known)
        else:
            row = self.story.variables[known]
            # The row is inserted at the end of the transaction, as the last change in it left it.
            branch = known in self._fresh and self._executions[holder].row is None
            at = self._at.get(holder) if branch else None
            self.story.variables[known] = row._replace(
                deleted=False, activity_instance_id=at or row.activity_instance_id
            )
            self._values[known] = self.story.change(known, source=source, execution=holder, **how)
        self._executions[holder].variables[name] = known

    def _remove(self, execution: str, name: str, source: str) -> None:
        holder = self._holder(execution, name)
        if holder is None:
            return
        variable = self._executions[holder].variables.pop(name)
        self.story.change(variable, source=source, execution=holder, revision=self._transaction, empty=True)
        self.story.deleted(variable)
        self._removed[holder, name] = variable

    def _see(self, row: str, boundary: Boundary, execution: str) -> None:
        visible: dict[str, str] = {}
        current: str | None = execution
        while current is not None:
            for name, variable in self._executions[current].variables.items():
                visible.setdefault(name, self._values[variable])
            current = self._executions[current].parent
        self.seen.append(Seen(row, boundary, visible))
