"""Measurements, and what is worked out from them. Not here: how they are taken, how they are shown."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PUMPED = ("raw_pipe", "raw_restore")
"""Lines that are measured with two pumps, under ``<line>_<pump>``."""
YARDSTICK_PUMP = "psql"
"""The pipe as one would type it; what is faster than it is shown beside it, as the fastest pipe."""

# Start of a line's key -> the line it is held against; the raw pipe for all others.
_YARDSTICKS = {
    "restore": "raw_restore",
    "raw_restore": "raw_restore",
    "delete": "raw_delete",
    "raw_delete": "raw_delete",
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What a line uses up. The backup's server also holds Dagster's storage, the ledger and the audit.

    Attributes:
        wal_primary_bytes: write-ahead log of the primary's server.
        wal_backup_bytes: the same of the backup's.
        server_cpu_seconds: processor time of both servers; unlike the clock it hardly changes with what else the
            machine does. Always 0 where the system does not count the time of ended processes.
        client_cpu_seconds: processor time of whatever drives the servers.
    """

    wal_primary_bytes: int
    wal_backup_bytes: int
    server_cpu_seconds: float
    client_cpu_seconds: float

    def __sub__(self, other: Cost) -> Cost:
        return Cost(
            self.wal_primary_bytes - other.wal_primary_bytes,
            self.wal_backup_bytes - other.wal_backup_bytes,
            self.server_cpu_seconds - other.server_cpu_seconds,
            self.client_cpu_seconds - other.client_cpu_seconds,
        )


@dataclass(frozen=True, slots=True)
class Measurement:
    """One line, once.

    Attributes:
        line: what was measured; also its key in the JSON.
        seconds: how long it took; for a job from start to end as Dagster's run record says.
        rows: rows that it moved or deleted.
        trees: trees among them; None where a line knows no trees.
        cost: what it used up.
        parts: seconds by part of the work.
        wall_seconds: for a job from the start of its interpreter to its exit.
        peak_bytes: for a job the largest resident memory of its process.
        problems: why the line does not count; empty if it does.
    """

    line: str
    seconds: float
    rows: int
    trees: int | None
    cost: Cost
    parts: dict[str, float] = field(default_factory=dict)
    wall_seconds: float | None = None
    peak_bytes: int | None = None
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
        """Medians and ratios by line; the yardstick's pump stands under the key without a pump as well."""
        found = {name: summarise(group) for name, group in _by_line(self.measurements).items()}
        for line in PUMPED:
            yardstick = f"{line}_{YARDSTICK_PUMP}"
            if yardstick in found:
                found[line] = found[yardstick] | {"pump": YARDSTICK_PUMP}
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
        **asdict(middle.cost),
        "cpu_microseconds_per_row": _microseconds_per_row(group),
        "parts_seconds": middle.parts,
    }
    if middle.trees:
        numbers["trees_per_second"] = median(m.trees / m.seconds for m in group if m.trees)
        numbers["milliseconds_per_tree"] = 1_000 / numbers["trees_per_second"]
    if middle.wall_seconds is not None:
        numbers["wall_seconds"] = median(m.wall_seconds for m in group if m.wall_seconds is not None)
        numbers["peak_memory_bytes"] = max(m.peak_bytes for m in group if m.peak_bytes is not None)
    return numbers


def _microseconds_per_row(group: Sequence[Measurement]) -> float | None:
    costs = [(m.cost.server_cpu_seconds + m.cost.client_cpu_seconds) / m.rows for m in group if m.rows]
    return median(costs) * 1e6 if costs else None


def _by_line(measurements: Iterable[Measurement]) -> dict[str, list[Measurement]]:
    found: dict[str, list[Measurement]] = {}
    for measurement in measurements:
        if not measurement.problems:
            found.setdefault(measurement.line, []).append(measurement)
    return found


def _ratios(name: str, numbers: dict[str, Any], found: dict[str, dict[str, Any]]) -> dict[str, float]:
    """How a line compares with its yardstick, where that was measured."""
    other = next((mark for line, mark in _YARDSTICKS.items() if name.startswith(line)), "raw_pipe")
    if other not in found:
        return {}
    rate = numbers["rows_per_second"]
    if other == "raw_delete":
        return {"ratio_to_raw_delete": rate / found[other]["rows_per_second"]}
    fastest = max(found[name]["rows_per_second"] for name in found if name.startswith(other))
    return {"ratio_to_raw_pipe": rate / found[other]["rows_per_second"], "ratio_to_fastest_pipe": rate / fastest}
