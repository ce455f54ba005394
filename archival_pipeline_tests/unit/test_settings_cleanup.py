"""Settings of the history cleanup: the defaults of the reference, the engine's rules, every wrong name said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archival_pipeline.errors import ConfigurationError
from archival_pipeline.settings_cleanup import days_of, load_cleanup

if TYPE_CHECKING:
    from pytest import MonkeyPatch  # noqa: PT013 - a name for annotations


@pytest.fixture
def environment(monkeypatch: MonkeyPatch) -> MonkeyPatch:
    return monkeypatch


def test_defaults(environment: MonkeyPatch) -> None:
    environment.delenv("historyTimeToLive", raising=False)
    found = load_cleanup()
    assert (found.enabled, found.strategy, found.removal_time_strategy) == (True, "removalTimeBased", "end")
    assert (found.time_to_live, found.default_days) == ("P1D", 1)
    assert (found.opens, found.closes) == ("20:00", "22:00")
    assert (found.degree_of_parallelism, found.batch_size) == (1, 500)
    assert found.archive_days is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("historyCleanupEnabled", "perhaps"),
        ("historyCleanupStrategy", "removaltimebased"),
        ("historyRemovalTimeStrategy", "never"),
        ("historyRemovalTimeStrategy", "none"),
        ("historyTimeToLive", "P1W"),
        ("historyTimeToLive", "-1"),
        ("historyTimeToLive", "P2147483648D"),
        ("historyTimeToLiveOfDefinitions", "invoice"),
        ("historyTimeToLiveOfDefinitions", '{"invoice": "PT5H"}'),
        ("historyCleanupBatchWindowStartTime", "2000"),
        ("historyCleanupBatchWindowStartTime", "25:00"),
        ("historyCleanupBatchWindowEndTime", "23"),
        ("mondayHistoryCleanupBatchWindowEndTime", "23:00"),
        ("historyCleanupHolds", '{"instance": []}'),
        ("historyCleanupHolds", '{"instances": "x"}'),
        ("historyCleanupDegreeOfParallelism", "0"),
        ("historyCleanupDegreeOfParallelism", "9"),
        ("historyCleanupBatchSize", "0"),
        ("historyCleanupBatchSize", "501"),
        ("historyCleanupArchiveBeforeDelete", "later"),
        ("historyArchiveTimeToLive", "P0D"),
        ("historyArchiveTimeToLive", "P1M"),
        ("historyArchiveTimeToLive", "P36501D"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name(environment: MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name):
        load_cleanup()


def test_legal_values(environment: MonkeyPatch) -> None:
    given = {
        "historyCleanupStrategy": "endTimeBased",
        "historyRemovalTimeStrategy": "none",
        "historyTimeToLive": "0",
        "historyTimeToLiveOfDefinitions": '{"invoice": "P30D", "order": 5}',
        "historyCleanupBatchWindowStartTime": "20:00+0200",
        "sundayHistoryCleanupBatchWindowStartTime": "01:00",
    }
    for name, value in given.items():
        environment.setenv(name, value)
    assert load_cleanup().time_to_live_of == {"invoice": 30, "order": 5}


@pytest.mark.parametrize(("given", "days"), [("P1D", 1), ("P0D", 0), ("7", 7), (" P365D ", 365)])
def test_days(given: str, days: int) -> None:
    assert days_of(given) == days
