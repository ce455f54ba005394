"""The report: one table for people, one JSON document for programs. Not here: the numbers themselves."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from archival_pipeline_tests.bench.results import SizeResult

_MEGABYTE = 1_000_000
_NAMES = {
    "raw_pipe_psql": "raw pipe, psql | psql",
    "raw_pipe_psycopg": "raw pipe, psycopg",
    "raw_delete": "raw pipe, its deletes only",
    "raw_restore_psql": "raw pipe back, psql | psql",
    "raw_restore_psycopg": "raw pipe back, psycopg",
    "insert_script": "INSERT script (some batches)",
    "backup": "ours: process_backup",
    "restore": "ours: process_restore",
    "delete": "ours: process_delete_bulk",
}
_HEADS = (
    "line",
    "rows/s",
    "min..max",
    "rows",
    "seconds",
    "trees/s",
    "ms/tree",
    "ratio",
    "to fastest",
    "peak MB",
    "WAL MB p/b",
    "CPU µs/row",
    "wall s",
)


def machine() -> dict[str, Any]:
    """What ran it."""
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": version("archival-pipeline"),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "platform": platform.platform(),
        "python": platform.python_version(),
        "dagster": version("dagster"),
        "psycopg": version("psycopg"),
    }


def document(context: Mapping[str, Any], results: Sequence[SizeResult], *, main_size: int) -> dict[str, Any]:
    """Put everything into one document; the lines of the main size stand at its top, each under its key."""
    sizes = {str(result.data["trees"]): {"data": result.data, "lines": result.lines()} for result in results}
    main = sizes[str(main_size)]
    return {
        "context": dict(context),
        "data": main["data"],
        **main["lines"],
        "scaling": _scaling(sizes),
        "sizes": sizes,
        "problems": [problem for result in results for problem in result.problems],
    }


def _scaling(sizes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Cost of a tree and peak memory of our line at each size, and the largest against the smallest."""
    ours = {size: found["lines"]["backup"] for size, found in sizes.items() if "backup" in found["lines"]}
    figures: dict[str, Any] = {
        key: {size: numbers[key] for size, numbers in ours.items()}
        for key in ("milliseconds_per_tree", "peak_memory_bytes")
    }
    if len(ours) > 1:
        small, large = min(ours, key=int), max(ours, key=int)
        figures["from"], figures["to"] = int(small), int(large)
        figures["cost_per_tree_ratio"] = ours[large]["milliseconds_per_tree"] / ours[small]["milliseconds_per_tree"]
        figures["peak_memory_ratio"] = ours[large]["peak_memory_bytes"] / ours[small]["peak_memory_bytes"]
    return figures


def write(content: Mapping[str, Any], path: Path) -> None:
    """Write the document."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def table(content: Mapping[str, Any]) -> str:
    """The document as text: a block for each size, and where our time goes."""
    context = content["context"]
    settings = ", ".join(f"{name} {value}" for name, value in context["settings"].items())
    memory = context["memory_bytes"] / 1e9
    parts = [
        f"archival-pipeline {context['version']}, {context['variant']}, {context['flavour']}",
        f"machine: {context['cores']} cores, {memory:.0f} GB; PostgreSQL {context['postgresql']}",
        f"servers: {settings}",
    ]
    for size in content["sizes"].values():
        parts += ["", *_block(size["data"], size["lines"])]
    parts += ["", *_remarks(content)]
    return "\n".join(parts)


def _block(data: Mapping[str, Any], lines: Mapping[str, Mapping[str, Any]]) -> list[str]:
    megabytes = data["table_and_index_bytes"] / _MEGABYTE
    head = (
        f"{data['trees']} trees, {data['instances']} instances, {data['rows']} rows in {data['tables_with_rows']} "
        f"tables, {megabytes:.0f} MB with indexes, {data['large_objects']} large objects; "
        f"{data['movable_trees']} trees may move"
    )
    rows = [_HEADS, *(_row(name, lines[name]) for name in _NAMES if name in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
    return [head, *(_justify(row, widths) for row in rows)]


def _row(name: str, line: Mapping[str, Any]) -> tuple[str, ...]:
    ratio = line.get("ratio_to_raw_pipe", line.get("ratio_to_raw_delete"))
    wal = [f"{line[f'wal_{side}_bytes'] / _MEGABYTE:.0f}" for side in ("primary", "backup")]
    cpu = line["cpu_microseconds_per_row"]
    return (
        _NAMES[name],
        f"{line['rows_per_second']:.0f}",
        f"{line['rows_per_second_min']:.0f}..{line['rows_per_second_max']:.0f}",
        f"{line['rows']}",
        f"{line['seconds']:.2f}",
        f"{line['trees_per_second']:.0f}" if "trees_per_second" in line else "",
        f"{line['milliseconds_per_tree']:.2f}" if "milliseconds_per_tree" in line else "",
        f"{ratio:.2f}" if ratio is not None else "",
        f"{line['ratio_to_fastest_pipe']:.2f}" if "ratio_to_fastest_pipe" in line else "",
        f"{line['peak_memory_bytes'] / _MEGABYTE:.0f}" if "peak_memory_bytes" in line else "",
        "/".join(wal),
        f"{cpu:.1f}" if cpu is not None else "",
        f"{line['wall_seconds']:.2f}" if "wall_seconds" in line else "",
    )


def _justify(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (
        text.ljust(width) if i == 0 else text.rjust(width)
        for i, (text, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join([first, *others]).rstrip()


def _remarks(content: Mapping[str, Any]) -> list[str]:
    lines = []
    if "backup" in content:
        steps = content["backup"]["parts_seconds"]
        split = ", ".join(f"{name} {seconds:.2f}" for name, seconds in steps.items())
        lines.append(f"seconds of ours by step: {split}")
    scaling = content["scaling"]
    if "from" in scaling:
        lines.append(
            f"ours at {scaling['to']} trees against {scaling['from']}: cost per tree × "
            f"{scaling['cost_per_tree_ratio']:.2f}, peak memory × {scaling['peak_memory_ratio']:.2f}"
        )
    lines.append(
        "The raw pipe moves whole tables, running trees too, and leaves large objects where they are. ratio: rows/s "
        "against psql | psql; to fastest: against the faster of the two pumps."
    )
    return lines
