"""Works on many things at a time with few threads, and keeps the list of results short."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_lanes(items: Iterable[Item], work: Callable[[Item], Result], lanes: int) -> Generator[Result, None, None]:
    """Yield the result of each item, in the order in which they are done.

    No more items are taken than the lanes can use at once. When the caller stops asking, or an item raises, items not
    begun are dropped and those at work are finished: close it, or exhaust it, before closing what the work uses.

    Args:
        items: taken one by one, by the calling thread.
        work: called in a thread.
        lanes: how many threads.
    """
    pending: set[Future[Result]] = set()
    with ThreadPoolExecutor(lanes, thread_name_prefix="imixs") as pool:
        try:
            for item in items:
                pending.add(pool.submit(work, item))
                while len(pending) > lanes:
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield future.result()
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
