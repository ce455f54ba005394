"""The recipe of a forest and the summary of one, without a database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any

import pytest

from archival_pipeline.local.sample_data import Obstacle, Profile, Summary, TreeFact, vocabulary

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OLD, NEW = datetime(2025, 1, 1), datetime(2026, 1, 1)  # noqa: DTZ001  # as the engine writes them: without a zone


def test_engine_writes_utc_without_zone_in_milliseconds() -> None:
    local = datetime(2026, 3, 1, 14, 0, 0, 123_999, tzinfo=timezone(timedelta(hours=2)))
    assert Profile(seed=1, trees=1, now=local).engine_now.isoformat() == "2026-03-01T12:00:00.123000"


@pytest.mark.parametrize("wrong", [{"trees": -1}, {"chunk_trees": 0}, {"newest_days": 400}, {"newest_days": -1}])
def test_impossible_recipes_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="profile needs"):
        replace(Profile(seed=1, trees=1, now=NOW), **wrong)


def test_lean_recipe_has_no_oddities() -> None:
    lean = Profile.lean(seed=1, trees=5, now=NOW)
    assert not lean.traps
    assert lean.orphans == (0, 0)


def test_summary_sorts_trees_by_obstacle_and_end() -> None:
    trees = (
        TreeFact(1, (1, 2), None, OLD, "a"),
        TreeFact(3, (3,), None, NEW, "a"),
        TreeFact(4, (4,), Obstacle.OPEN_JOB, OLD, "a"),
    )
    summary = Summary(rows={}, large_objects=0, orphaned_large_objects=0, trees=trees)
    assert summary.safe_roots == (1, 3)
    assert summary.safe_before(NEW) == (1,)
    assert summary.unsafe_roots == {4: Obstacle.OPEN_JOB}
    assert summary.instances == 4


def test_contents_are_small_with_a_tail() -> None:
    rng = Random(1)  # noqa: S311  # sample values, nothing secret
    sizes = sorted(len(vocabulary.content(rng, 500)) for _ in range(2_000))
    assert 450 < sizes[1_000] < 550
    assert sizes[-1] > 4_000
    assert len(vocabulary.content(rng, 10_000_000)) == 65_536


def test_awkward_texts_fit_the_columns() -> None:
    assert all(len(text) <= 255 for text in vocabulary.AWKWARD_TEXTS)
