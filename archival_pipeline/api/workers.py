"""Threads for work that blocks, in groups of fixed size, so that a flood of one kind leaves room for the others.

Reused by every service. A group is also the bound on database sessions: a worker opens one at a time, so a group of
four never has more than four, whatever the number of callers. Who finds no free worker waits, without a thread, until
the request's time is up.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Workers:
    """Named groups of threads."""

    def __init__(
        self, sizes: Mapping[str, int], within: Callable[[], AbstractContextManager[object]] = nullcontext
    ) -> None:
        """Set the sizes.

        Args:
            sizes: name of a group to how many of its calls may run at the same time.
            within: what surrounds each call in its thread, such as the pools that sessions come from.
        """
        self._within = within
        self._groups = {name: CapacityLimiter(size) for name, size in sizes.items()}

    async def run(self, group: str, function: Callable[_P, _R], *arguments: _P.args, **named: _P.kwargs) -> _R:
        """Call a blocking function in a thread of a group.

        A caller that gives up leaves at once; the thread ends by the time limits of what it calls, and keeps its place
        in the group until then.
        """

        def call() -> _R:
            with self._within():
                return function(*arguments, **named)

        return await to_thread.run_sync(call, limiter=self._groups[group], abandon_on_cancel=True)

    def waiting(self) -> dict[str, int]:
        """How many calls wait for a worker, by group."""
        return {name: group.statistics().tasks_waiting for name, group in self._groups.items()}
