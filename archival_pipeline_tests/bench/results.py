"""Measurements, and what is worked out from them. Not here: how they are taken, how they are shown."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PUMPS = ("raw_pipe_psql", "raw_pipe_psycopg")
"""Two ways to pump the same bytes; the faster one is the raw pipe."""

_YARDSTICKS = {
    "restore": "raw_restore",
    "raw_restore": "raw_restore",
    "delete": "raw_delete",
    "raw_delete": "raw_delete",
}


@dataclass(frozen=True, slots=True)
class Wal:
    """Bytes of write-ahead log; the backup's server also holds Dagster's storage, the ledger and the audit."""

    primary: int
    backup: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """One line, once.

    Attributes:
        line: what was measured; also its key in the JSON.
        seconds: how long it took; for a job from start to end as Dagster's run record says.
        rows: rows that it moved or deleted.
        trees: trees among them; None where a line knows no trees.
        wal: write-ahead log of both servers.
        parts: seconds by part of the work.
        wall_seconds: for a job from the start of its interpreter to its exit.
        peak_bytes: for a job the largest resident memory of its process.
        cpu_seconds: for a job the processor time of its process, servers not counted.
        problems: why the line does not count; empty if it does.
    """

    line: str
    seconds: float
    rows: int
    trees: int | None
    wal: Wal
    parts: dict[str, float] = field(default_factory=dict)
    wall_seconds: float | None = None
    peak_bytes: int | None = None
    cpu_seconds: float | None = None
    problems: tuple[str, ...] = ()

    @property
    def rows_per_second(self) -> float:
        """The rate by which lines are compared."""
        return self.rows / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class SizeResult:
    """All measurements of one amount of data.

    Attributes:
        data: what the data is: trees, instances, rows, bytes.
        measurements: in the order in which they were taken.
    """

    data: dict[str, Any]
    measurements: tuple[Measurement, ...]

    @property
    def problems(self) -> list[str]:
        """Everything that went wrong, with the line it belongs to."""
        return [f"{m.line} at {self.data['trees']} trees: {text}" for m in self.measurements for text in m.problems]

    def lines(self) -> dict[str, dict[str, Any]]:
        """Each line's medians and ratios by its key; the raw pipe stands under ``raw_pipe`` as well."""
        found = {name: summarise(group) for name, group in _by_line(self.measurements).items()}
        rates = {name: found[name]["rows_per_second"] for name in PUMPS if name in found}
        if rates:
            chosen = max(rates, key=lambda name: rates[name])
            found["raw_pipe"] = found[chosen] | {"pump": chosen.removeprefix("raw_pipe_")}
        return {name: numbers | _ratios(name, numbers, found) for name, numbers in found.items()}


def summarise(group: Sequence[Measurement]) -> dict[str, Any]:
    """Medians over the repeats of a line, with the slowest and the fastest."""
    rates = [m.rows_per_second for m in group]
    middle = min(group, key=lambda m: abs(m.rows_per_second - median(rates)))
    numbers: dict[str, Any] = {
        "rows_per_second": median(rates),
        "rows_per_second_min": min(rates),
        "rows_per_second_max": max(rates),
        "seconds": median(m.seconds for m in group),
        "repeats": len(group),
        "rows": middle.rows,
        "trees": middle.trees,
        "wal_bytes": asdict(middle.wal),
        "parts_seconds": middle.parts,
    }
    if middle.trees:
        numbers["trees_per_second"] = median(m.trees / m.seconds for m in group if m.trees)
        numbers["milliseconds_per_tree"] = 1_000 / numbers["trees_per_second"]
    if middle.wall_seconds is not None:
        numbers["wall_seconds"] = median(m.wall_seconds for m in group if m.wall_seconds is not None)
        numbers["cpu_seconds"] = median(m.cpu_seconds for m in group if m.cpu_seconds is not None)
        numbers["peak_memory_bytes"] = max(m.peak_bytes for m in group if m.peak_bytes is not None)
    return numbers


def _by_line(measurements: Iterable[Measurement]) -> dict[str, list[Measurement]]:
    found: dict[str, list[Measurement]] = {}
    for measurement in measurements:
        if not measurement.problems:
            found.setdefault(measurement.line, []).append(measurement)
    return found


def _ratios(name: str, numbers: dict[str, Any], found: dict[str, dict[str, Any]]) -> dict[str, float]:
    """How a line compares with its yardstick, where that was measured."""
    other = _YARDSTICKS.get(name, "raw_pipe")
    if other not in found:
        return {}
    key = "ratio_to_raw_delete" if other == "raw_delete" else "ratio_to_raw_pipe"
    return {key: numbers["rows_per_second"] / found[other]["rows_per_second"]}
