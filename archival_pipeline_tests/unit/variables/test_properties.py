"""Random processes: what a snapshot says without a flag is what the activity saw."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archival_pipeline.variables.cut import Flag
from archival_pipeline.variables.snapshot import of_activity
from archival_pipeline_tests.support.camunda_simulator import Simulator

_QUICKLY = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
_SEEDS = st.integers(min_value=0, max_value=2**32)


def _wrong(seed: int, *, counters: bool) -> tuple[list[str], int, int]:
    """What is wrong without a flag; how many names were looked at; how many of them are in doubt."""
    simulator = Simulator(seed, counters=counters)
    simulator.run()
    history = simulator.story.history()
    wrong, looked, doubted = [], 0, 0
    for seen in simulator.seen:
        snapshot = of_activity(history, seen.row, seen.boundary)
        have = {entry.name: entry.change.id for entry in snapshot.visible if entry.change}
        for name in have.keys() | seen.visible.keys():
            looked += 1
            flagged = bool(snapshot.flags_of(name) - {Flag.TECHNICAL})
            doubted += flagged
            if have.get(name) != seen.visible.get(name) and not flagged:
                wrong.append(f"{seen.row} {seen.boundary} {name}: {have.get(name)} for {seen.visible.get(name)}")
    return wrong, looked, doubted


@_QUICKLY
@given(_SEEDS)
def test_nothing_is_wrong_without_a_flag(seed: int) -> None:
    wrong, _, _ = _wrong(seed, counters=False)
    assert not wrong


@_QUICKLY
@given(_SEEDS)
def test_nothing_is_wrong_without_a_flag_where_ids_are_counters(seed: int) -> None:
    wrong, _, _ = _wrong(seed, counters=True)
    assert not wrong


def test_most_is_said_without_a_flag() -> None:
    """A tool that flags everything is never wrong, and of no use."""
    looked = doubted = 0
    for seed in range(30):
        _, more, flagged = _wrong(seed, counters=False)
        looked, doubted = looked + more, doubted + flagged
    assert doubted < looked * 0.6


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 2000, 250))
def test_two_thousand_runs(first: int) -> None:
    assert [seed for seed in range(first, first + 250) if _wrong(seed, counters=bool(seed % 2))[0]] == []
