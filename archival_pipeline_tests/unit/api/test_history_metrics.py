"""The lag of the history's stream as Prometheus reads it: kept for a while, and honest when nobody answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest

from archival_pipeline.api.history.metrics import LagCollector
from archival_pipeline.errors import ArchivalError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def _read(lag: Callable[[], Mapping[str, int]], clock: Callable[[], float] = lambda: 0.0) -> Callable[[], str]:
    registry = CollectorRegistry()
    registry.register(LagCollector(lag, clock))
    return lambda: generate_latest(registry).decode()


def test_each_topic_has_its_number() -> None:
    text = _read(lambda: {"tasks": 7, "tasks.DLT": 0})()
    assert 'archival_history_lag_records{topic="tasks"} 7.0' in text
    assert 'archival_history_lag_records{topic="tasks.DLT"} 0.0' in text
    assert "archival_history_stream_up 1.0" in text


def test_nobody_is_asked_more_often_than_needed() -> None:
    asked: list[float] = []
    now = [0.0]

    def lag() -> Mapping[str, int]:
        asked.append(now[0])
        return {"tasks": len(asked)}

    read = _read(lag, lambda: now[0])
    assert asked == [], "registering asks nobody"
    read()
    now[0] = 14.9
    assert '{topic="tasks"} 1.0' in read()
    now[0] = 15.0
    assert '{topic="tasks"} 2.0' in read()
    assert asked == [0.0, 15.0]


def test_a_stream_that_is_away_is_no_error_of_the_service() -> None:
    def away() -> Mapping[str, int]:
        raise ArchivalError("nobody there", resolve="wait", code="X")

    text = _read(away)()
    assert "archival_history_stream_up 0.0" in text
    assert "archival_history_lag_records{" not in text
