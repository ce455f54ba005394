"""What a run of any kind tells: numbers, and what went wrong with which document."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from archival_pipeline.imixs.failures import FindingsError

if TYPE_CHECKING:
    from archival_pipeline.errors import ArchivalError

# More are counted, but not listed: a dead server makes one of each document.
_MOST = 1000


@dataclass(frozen=True, slots=True)
class Problem:
    """One document that failed: its snapshot or file, the code, what happened."""

    what: str
    code: str
    summary: str


@dataclass(slots=True)
class Report:
    """Numbers and problems of a run.

    Attributes:
        numbers: by name; the names are those of the metrics.
        problems: the first of them.
        alarm: a reason to look at once, in words.
    """

    numbers: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    alarm: str | None = None

    def count(self, name: str, number: int = 1) -> None:
        """Add to a number."""
        self.numbers[name] += number

    def failed(self, what: str, error: ArchivalError) -> None:
        """Note a document that failed."""
        self.note(what, error.code, error.summary)
        self.count("failed")

    def note(self, what: str, code: str, summary: str) -> None:
        """Note something that a person should read."""
        if len(self.problems) < _MOST:
            self.problems.append(Problem(what, code, summary))

    @property
    def is_good(self) -> bool:
        """Whether nothing failed."""
        return self.alarm is None and not self.numbers["failed"]

    def problem(self) -> str | None:
        """The first thing to say about what went wrong."""
        if self.alarm is not None:
            return self.alarm
        if not self.numbers["failed"]:
            return None
        first = next(iter(self.problems), None)
        told = f", the first: {first.what}: {first.summary}" if first else ""
        return f"{self.numbers['failed']} failed{told}"

    def raise_if_bad(self) -> None:
        """Fail with the first problem.

        Raises:
            FindingsError: something failed; what was done stays done.
        """
        problem = self.problem()
        if problem is not None:
            raise FindingsError(
                f"The run ended with findings: {problem}.",
                resolve="What was done stays done; mend the cause and run it again.",
            )
