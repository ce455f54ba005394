"""Fixtures of the fault tests: one mover and the start states, built once a session."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from archival_pipeline_tests.faults.harness import Mover
from archival_pipeline_tests.faults.stage import Stages
from archival_pipeline_tests.faults.tally import LONG, MIDDLE, SHORT, TALLY
from archival_pipeline_tests.support.moves import Pairs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline_tests.support.databases import TestDatabases


# The short form, part of every test run: how many cases of each test. What is not named here has none in it.
_SHORT = {
    "test_f1_i6_killed_at_each_lasting_point_the_next_run_ends_like_an_undisturbed_one": 4,
    "test_f3_i10_a_signal_or_defect_ends_the_run_and_the_audit_says_why": 1,
    "test_f4_i11_a_mover_that_wakes_up_without_its_lock_writes_nothing": 1,
    "test_f5_i3_sessions_terminated_before_data_commits": 1,
    "test_f6_the_connection_is_cut_in_mid_copy": 1,
    "test_f7_i4_the_answer_to_a_commit_is_lost": 1,
    "test_f15_f16_i3_what_the_engine_writes_meanwhile_is_never_lost": 3,
    "test_f17_i11_a_second_mover_is_refused_and_told_whom_to_ask": 1,
    "test_f17_i11_two_movers_started_at_the_same_moment": 1,
    "test_f21_i2_a_right_revoked_in_mid_run_rolls_the_batch_back": 1,
    "test_f28_i7_an_archive_that_was_changed_after_the_copy_is_found_before_the_deletion": 2,
    "test_f39_i10_without_an_audit_nothing_is_deleted": 1,
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests of this folder into three tiers.

    The short form carries no mark; ``faults`` is what a CI run has time for; ``faults`` and ``slow`` takes hours.
    """
    left = dict(_SHORT)
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        name = getattr(item, "originalname", item.name)
        if item.get_closest_marker("faults") is not None:
            item.add_marker(pytest.mark.slow)
        elif left.get(name, 0) > 0:
            left[name] -= 1
        else:
            item.add_marker(pytest.mark.faults)


@pytest.fixture(autouse=True)
def _tier(request: pytest.FixtureRequest) -> None:
    """Count what the test does under the name of its tier."""
    slow, faults = (request.node.get_closest_marker(name) is not None for name in ("slow", "faults"))
    TALLY.tier = (LONG if slow else MIDDLE) if faults else SHORT


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was tried."""
    lines = list(TALLY.lines())
    if lines:
        terminalreporter.section("faults that happened")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def mover(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mover]:
    """Starts moves in processes of their own."""
    with Mover(tmp_path_factory.mktemp("movers")) as started:
        yield started


@pytest.fixture(scope="session")
def stages(primary_databases: TestDatabases, backup_databases: TestDatabases, mover: Mover) -> Stages:
    """The start states of all jobs."""
    return Stages(Pairs(primary_databases, backup_databases), primary_databases, backup_databases, mover)


@pytest.fixture(scope="session")
def crew(stages: Stages, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stages, ...]]:
    """The stages as often as the machine has cores, each with a mover of its own."""
    with ExitStack() as started:
        folders = [tmp_path_factory.mktemp("crew") for _ in range(os.cpu_count() or 1)]
        yield tuple(stages.beside(started.enter_context(Mover(folder))) for folder in folders)


@pytest.fixture
def other_mover(tmp_path: Path) -> Iterator[Mover]:
    """A second mover, for what happens when two are at work."""
    with Mover(tmp_path) as started:
        yield started
