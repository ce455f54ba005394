"""Medians, ratios and the document of the benchmark. What is measured needs servers and is not tested here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archival_pipeline_tests.bench import report
from archival_pipeline_tests.bench.results import Cost, Measurement, SizeResult

if TYPE_CHECKING:
    from typing import Any

COST = Cost(2_000_000, 3_000_000, 1.5, 0.5)
CONTEXT: dict[str, Any] = {
    "version": "1.2.3",
    "variant": "standard_oid",
    "flavour": "kie_server",
    "postgresql": "18.4",
    "cores": 2,
    "memory_bytes": 8e9,
    "settings": {"fsync": "on"},
}


def measured(line: str, seconds: float, *, rows: int = 1_000, problems: tuple[str, ...] = ()) -> Measurement:
    return Measurement(line, seconds, rows, trees=10, cost=COST, problems=problems)


def our_run(seconds: float, *, peak: int = 100_000_000) -> Measurement:
    return Measurement("backup", seconds, 1_000, 10, COST, {"execute": 0.8}, seconds + 3, peak)


def result(*measurements: Measurement, trees: int = 10) -> SizeResult:
    data = {
        "trees": trees,
        "instances": 20,
        "rows": 1_000,
        "tables_with_rows": 3,
        "table_and_index_bytes": 1_000_000,
        "large_objects": 5,
        "movable_trees": 9,
    }
    return SizeResult(data, measurements)


def test_the_median_of_the_repeats_counts() -> None:
    line = result(our_run(1.0), our_run(4.0), our_run(2.0)).lines()["backup"]
    assert line["rows_per_second"] == 500
    assert (line["rows_per_second_min"], line["rows_per_second_max"]) == (250, 1_000)
    assert line["repeats"] == 3
    assert line["milliseconds_per_tree"] == pytest.approx(200)


def test_ours_is_held_against_the_pipe_of_two_psql_and_against_the_fastest() -> None:
    lines = result(measured("raw_pipe_psql", 1.0), measured("raw_pipe_psycopg", 0.5), our_run(2.0)).lines()
    assert lines["raw_pipe"]["pump"] == "psql"
    assert lines["backup"]["ratio_to_raw_pipe"] == pytest.approx(0.5)
    assert lines["backup"]["ratio_to_fastest_pipe"] == pytest.approx(0.25)
    assert lines["raw_pipe"]["ratio_to_raw_pipe"] == 1


def test_restore_and_bulk_deletion_have_yardsticks_of_their_own() -> None:
    lines = result(
        measured("raw_pipe_psql", 0.1),
        measured("raw_restore_psql", 1.0),
        measured("raw_delete", 0.25),
        measured("restore", 2.0),
        measured("delete", 1.0),
    ).lines()
    assert lines["restore"]["ratio_to_raw_pipe"] == pytest.approx(0.5)
    assert lines["delete"]["ratio_to_raw_delete"] == pytest.approx(0.25)
    assert "ratio_to_raw_pipe" not in lines["delete"]


def test_processor_time_per_row_counts_servers_and_client() -> None:
    assert result(our_run(1.0)).lines()["backup"]["cpu_microseconds_per_row"] == pytest.approx(2_000)


def test_a_line_with_a_problem_does_not_count_and_is_told() -> None:
    broken = result(our_run(1.0), measured("raw_pipe_psql", 1.0, problems=("3 rows were left",)))
    assert set(broken.lines()) == {"backup"}
    assert broken.problems == ["raw_pipe_psql at 10 trees: 3 rows were left"]


def test_the_document_holds_the_main_size_at_its_top_and_compares_the_sizes() -> None:
    small = result(our_run(1.0), trees=5)
    main = result(measured("raw_pipe_psql", 1.0), our_run(2.0, peak=110_000_000))
    document = report.document(CONTEXT, [small, main], main_size=10)
    assert document["backup"]["ratio_to_raw_pipe"] == pytest.approx(0.5)
    assert document["scaling"]["cost_per_tree_ratio"] == pytest.approx(2)
    assert document["scaling"]["peak_memory_ratio"] == pytest.approx(1.1)
    assert document["problems"] == []


def test_the_table_has_a_row_for_each_line() -> None:
    document = report.document(CONTEXT, [result(measured("raw_pipe_psql", 1.0), our_run(2.0))], main_size=10)
    text = report.table(document)
    assert "raw pipe, psql | psql" in text
    assert "ours: process_backup" in text
    assert "execute 0.80" in text
