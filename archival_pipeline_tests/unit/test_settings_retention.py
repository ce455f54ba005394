"""The settings of times to live: what they mean, and that a wrong one is named."""

from __future__ import annotations

from datetime import time

import pytest

from archival_pipeline.errors import ConfigurationError
from archival_pipeline.settings_retention import load_backup_retention, load_process_cleanup


@pytest.mark.usefixtures("clean_environment")
def test_nothing_set_means_off() -> None:
    for settings in (load_process_cleanup(), load_backup_retention()):
        assert not settings.enabled
        assert settings.default_days is None
        assert settings.window == (time(20), time(22))


def test_times_to_live_are_days_and_null_is_never(clean_environment: pytest.MonkeyPatch) -> None:
    clean_environment.setenv("processHistoryCleanupEnabled", "true")
    clean_environment.setenv("processHistoryTimeToLive", "P30D")
    clean_environment.setenv("processHistoryTimeToLiveOfDefinitions", '{"invoice": "P3650D", "order": 7, "deed": null}')
    settings = load_process_cleanup()
    assert settings.default_days == 30
    assert settings.time_to_live_of == {"invoice": 3650, "order": 7, "deed": None}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("processHistoryTimeToLive", "P0D"),
        ("processHistoryTimeToLive", "P1M"),
        ("processHistoryTimeToLiveOfDefinitions", '["invoice"]'),
        ("processHistoryTimeToLiveOfDefinitions", '{"invoice": "soon"}'),
        ("processHistoryCleanupBatchWindowStartTime", "24:00"),
        ("processHistoryCleanupBatchWindowEndTime", "22:00+0200"),
        ("processHistoryCleanupEnabled", "true"),
        ("backupRetentionEnabled", "true"),
        ("backupTimeToLive", "-1"),
        ("backupTimeToLiveSince", "born"),
        ("backupRetentionPauseMs", "-1"),
    ],
)
def test_a_wrong_value_is_named(clean_environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    clean_environment.setenv(name, value)
    load = load_process_cleanup if name.startswith("process") else load_backup_retention
    with pytest.raises(ConfigurationError, match=name):
        load()
