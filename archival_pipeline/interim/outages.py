"""What is done when a store does not answer: a few tries with growing pauses, then its part waits in the books.

Not here: what the stores do (``redis_store.py``, ``file_store.py``); how long a part waits (``books.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential, wait_random

from archival_pipeline.errors import ArchivalError

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")


class StoreError(ArchivalError):
    """A store of interim data cannot be used now.

    Attributes:
        transient: whether the same call may pass in a moment.
    """

    code = "STORE_UNAVAILABLE"

    def __init__(self, store: str, reason: str, *, transient: bool) -> None:
        self.store = store
        self.transient = transient
        super().__init__(
            f"The {store} store does not do what it is asked: {reason}.",
            resolve=(
                "Nothing is lost: what it missed waits in the backlog. See that the store is up; the next run goes on."
                if transient
                else "Correct its credentials or rights, as docs/interim.md lists them; the backlog waits until then."
            ),
        )


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a call is tried, and how the time between is spent.

    Attributes:
        sleep: waits.
        attempts: tries in all.
        longest: longest pause in seconds.
    """

    sleep: Callable[[float], None]
    attempts: int = 5
    longest: float = 8.0

    def trying(self, call: Callable[[], Result]) -> Result:
        """Make a call that may be made again.

        Raises:
            StoreError: it did not pass in so many tries, or never will.
        """
        retrying = Retrying(
            sleep=self.sleep,
            stop=stop_after_attempt(self.attempts),
            wait=wait_exponential(multiplier=0.25, max=self.longest) + wait_random(0, 0.25),
            retry=retry_if_exception(lambda error: isinstance(error, StoreError) and error.transient),
            reraise=True,
        )
        return retrying(call)
