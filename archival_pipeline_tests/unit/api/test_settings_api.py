"""Settings of the HTTP services: defaults, refusals in one message, and who may call."""

from __future__ import annotations

import pytest

from archival_pipeline.api.server import host_of
from archival_pipeline.errors import ConfigurationError
from archival_pipeline.settings_api import load_api


@pytest.fixture(autouse=True)
def _clean(clean_environment: pytest.MonkeyPatch) -> None:
    for name in ("BASE_PATH", "PORT"):
        clean_environment.delenv(name, raising=False)


def test_tokens_are_asked_for_unless_somebody_says_otherwise() -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_api()
    assert all(name in refused.value.summary for name in ("IDS_URL", "IDS_CLIENT_ID", "IDS_CLIENT_SECRET"))


def test_without_tokens_only_this_machine_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDS_ENABLE", "false")
    settings = load_api()
    assert (settings.service.port, settings.service.base_path) == (3000, "archivalservice")
    assert host_of(settings) == "127.0.0.1"


def test_with_tokens_everybody_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"URL": "https://ids.example/", "CLIENT_ID": "me", "CLIENT_SECRET": "hunter2"}.items():
        monkeypatch.setenv(f"IDS_{name}", value)
    settings = load_api()
    assert host_of(settings) == "0.0.0.0"  # noqa: S104 - what is tested
    assert settings.security.introspection_url == "https://ids.example/oauth2/introspect"
    assert "hunter2" not in repr(settings.security)


def test_every_wrong_variable_is_named_and_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {
        "PORT": "0",
        "BASE_PATH": "a b",
        "API_MAX_PAGE_SIZE": "none",
        "DAGSTER_WEBSERVER_URL": "dagster:3001",
        "IDS_CACHE_SECONDS": "-1",
        "IDS_CLIENT_SECRET": "hunter2",
    }
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as refused:
        load_api()
    assert all(name in refused.value.summary for name in wrong if name != "IDS_CLIENT_SECRET")
    assert "hunter2" not in str(refused.value)
