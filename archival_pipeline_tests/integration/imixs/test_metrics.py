"""What Prometheus is told of the Imixs backup, by the service and by the command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest

from archival_pipeline.api.archival.imixs import ImixsCollector, imixs_collector
from archival_pipeline.errors import ConfigurationError
from archival_pipeline.imixs import service
from archival_pipeline_tests.support.imixs import spaces
from archival_pipeline_tests.support.imixs.scene import CREATED, document_id

if TYPE_CHECKING:
    import pytest

    from archival_pipeline_tests.support.imixs.scene import Scene


def text_of(collector: ImixsCollector) -> str:
    registry = CollectorRegistry()
    registry.register(collector)
    return generate_latest(registry).decode()


def test_space_runs_and_queue_are_told(scene: Scene) -> None:
    scene.instance.save(document_id(0), created=CREATED)
    service.backup(scene.settings())
    scene.instance.save(document_id(1), created=CREATED)
    text = text_of(ImixsCollector(scene.settings()))
    assert 'imixs_up{source="record"} 1.0' in text
    assert 'imixs_up{source="instance"} 1.0' in text
    assert "imixs_space_documents 1.0" in text
    assert 'imixs_numbers_total{number="stored",operation="backup"} 1.0' in text
    assert "imixs_queue_length 1.0" in text


def test_instance_that_is_away_leaves_the_rest(scene: Scene) -> None:
    service.backup(scene.settings())
    settings = scene.settings()
    settings.workflow = settings.workflow.model_copy(update={"endpoint": f"http://127.0.0.1:{spaces.free_port()}/"})
    text = text_of(ImixsCollector(settings))
    assert 'imixs_up{source="instance"} 0.0' in text
    assert "imixs_queue_length" not in text
    assert 'imixs_runs_total{operation="backup"} 1.0' in text


def test_sources_are_asked_once_in_a_while(scene: Scene) -> None:
    now = [0.0]
    collector = ImixsCollector(scene.settings(), clock=lambda: now[0])
    before = len(scene.instance.calls())
    for now[0] in (0.0, 29.0, 31.0):
        text_of(collector)
    assert len(scene.instance.calls()) - before == 2


def test_wrong_settings_are_told_and_none_is_no_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    assert imixs_collector() is None
    monkeypatch.setenv("WORKFLOW_SERVICE_ENDPOINT", "nonsense")
    monkeypatch.setenv("BACKUP_STORAGE_URL", "file:///nowhere")
    collector = imixs_collector()
    assert collector is not None
    assert 'imixs_up{source="record"} 0.0' in text_of(collector)
    assert 'imixs_up{source="record"} 0.0' in text_of(ImixsCollector(ConfigurationError("wrong", resolve="mend it")))
