"""Starts the engine's stand-in (``engine_program``) as a process, and looks into it."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from archival_pipeline.local.dagster_home import REPOSITORY
from archival_pipeline.settings_variables import CamundaRestSettings
from archival_pipeline_tests.support.processes import started, wait_until
from archival_pipeline_tests.support.rest import free_port

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class EngineServer:
    """The server as a test sees it."""

    url: str
    client: httpx.Client

    def variables(self, **more: str) -> dict[str, str]:
        """What the product is told about it."""
        return {"CAMUNDA_REST_URL": f"{self.url}/engine-rest", **more}

    def settings(self, **more: str) -> CamundaRestSettings:
        """The same as settings."""
        return CamundaRestSettings.model_validate(self.variables(**more))

    def state(self) -> dict[str, Any]:
        """What the engine remembers."""
        found: dict[str, Any] = self.client.get("/state").json()["state"]
        return found

    def change(self, **state: Any) -> None:
        """Let it remember something else, or misbehave."""
        self.client.put("/state", json=state).raise_for_status()

    def reset(self, state: dict[str, Any]) -> None:
        """Let it forget everything."""
        self.client.post("/state", json=state).raise_for_status()

    def sent(self) -> list[dict[str, Any]]:
        """Every request that was to change something."""
        found: list[dict[str, Any]] = self.client.get("/state").json()["log"]
        return found


@contextmanager
def engine_server(
    folder: Path, state: dict[str, Any], *, bundle: Path | None = None, trust: ssl.SSLContext | None = None
) -> Iterator[EngineServer]:
    """Start the server.

    Args:
        folder: for its log and its first state.
        state: what it remembers at first.
        bundle: key and certificate for TLS.
        trust: how the test itself trusts that certificate.
    """
    port = free_port()
    first = folder / "engine.json"
    first.write_text(json.dumps(state), encoding="utf-8")
    command = [sys.executable, "-m", "archival_pipeline_tests.support.engine_program", str(port), str(first)]
    command += [str(bundle)] if bundle else []
    log = folder / "engine.log"
    url = f"{'https' if bundle else 'http'}://127.0.0.1:{port}"
    verify: ssl.SSLContext | bool = trust if trust is not None else True
    with (
        started(command, {"PATH": os.environ["PATH"]}, log, REPOSITORY) as process,
        httpx.Client(base_url=url, trust_env=False, verify=verify) as client,
    ):
        wait_until(lambda: process.poll() is not None or _up(client), "the engine is up")
        assert process.poll() is None, log.read_text(encoding="utf-8")
        yield EngineServer(url, client)


def _up(client: httpx.Client) -> bool:
    try:
        client.get("/state")
    except httpx.HTTPError:
        return False
    return True
