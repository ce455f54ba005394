"""What Prometheus is told of interim data, by the REST service and by the command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from archival_pipeline.api.archival.interim import InterimCollector, interim_collector
from archival_pipeline.local.interim_servers import free_port
from archival_pipeline_tests.support.interim import FORMS

if TYPE_CHECKING:
    from archival_pipeline_tests.support.interim import Stage


def text_of(collector: InterimCollector) -> str:
    registry = CollectorRegistry()
    registry.register(collector)
    return generate_latest(registry).decode()


@pytest.fixture
def told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A stage whose databases and Redis stand in the environment."""
    backup, prefix = stage.places.backup, "BPM_BACKUP_DB_"
    given = {
        "HOST": backup.host, "PORT": str(backup.port), "USERNAME": backup.username,
        "PASSWORD": backup.password.get_secret_value(), "NAME": backup.database, "SCHEMA_NAME": backup.schema_name,
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(f"{prefix}{name}", value)
    monkeypatch.setenv("STORAGE_BACKEND_REDIS_HOST", "127.0.0.1")
    return stage


def test_totals_last_run_backlog_and_orphans_are_told(told: Stage) -> None:
    told.engine.start("1")
    told.data.task_form("1")
    told.engine.end("1")
    told.clean()
    told.engine.start("2")
    told.data.task_form("2")
    told.engine.end("2")
    told.with_redis(port=free_port()).clean()
    told.data.start_form()
    told.sweep(dry_run=True)
    collector = interim_collector()
    assert collector is not None
    text = text_of(collector)
    assert "archival_interim_up 1.0" in text
    assert f'archival_interim_deleted_total{{place="{FORMS}"}} 1.0' in text
    assert 'archival_interim_last_run_down{what="redis"} 1.0' in text
    assert 'archival_interim_last_run_down{what="files"} 0.0' in text
    assert 'archival_interim_last_run_timestamp_seconds{what="redis"}' in text
    assert 'archival_interim_backlog_processes{store="redis"}' in text
    assert 'archival_interim_orphans{shape="start form",store="redis"} 1.0' in text


def test_books_are_read_once_in_a_while(told: Stage) -> None:
    now = [0.0]
    collector = InterimCollector(clock=lambda: now[0])
    before = text_of(collector)
    told.engine.start("1")
    told.data.task_form("1")
    told.engine.end("1")
    told.clean()
    now[0] = 29.0
    assert text_of(collector) == before
    now[0] = 31.0
    assert text_of(collector) != before


def test_books_that_are_away_are_told(told: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BPM_BACKUP_DB_PORT", str(free_port()))
    collector = interim_collector()
    assert collector is not None
    assert told.places.backup.password.get_secret_value() not in text_of(collector)
    assert "archival_interim_up 0.0" in text_of(collector)


def test_nothing_is_told_of_a_room_that_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert interim_collector() is None
    monkeypatch.setenv("STORAGE_BACKEND_REDIS_PORT", "no port")
    collector = interim_collector()
    assert collector is not None
    assert "archival_interim_up 0.0" in text_of(collector)
