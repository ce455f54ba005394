"""Runs the REST service as a process of its own and talks to it as a program does."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from archival_pipeline.local import dagster_home
from archival_pipeline_tests.support.processes import started, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BASE = "/archivalservice"
NOBODY = "http://127.0.0.1:1"
"""Where no server listens."""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def answers(url: str) -> bool:
    """Whether a server answers there, with whatever."""
    try:
        httpx.get(url, timeout=5, trust_env=False)
    except httpx.HTTPError:
        return False
    return True


def is_ready(url: str) -> bool:
    """Whether the service there reaches everything that it needs."""
    return answers(url) and httpx.get(f"{url}{BASE}/ping/ready", timeout=30, trust_env=False).status_code == 200


@contextmanager
def service(environment: Mapping[str, str], folder: Path, **variables: str) -> Iterator[httpx.Client]:
    """Start the service; the client's paths are relative to its base path.

    Args:
        environment: where the databases are; nothing else of the developer's shell is needed.
        folder: for ``rest.log``.
        variables: more of the environment. Without IDS_URL nobody is asked for a token.
    """
    port = free_port()
    security = {} if "IDS_URL" in variables else {"IDS_ENABLE": "false"}
    told = {"PATH": os.environ["PATH"], "DAGSTER_WEBSERVER_URL": NOBODY, **security}
    log = folder / "rest.log"
    environment = {**environment, **told, "PORT": str(port), "API_HOST": "127.0.0.1", **variables}
    with started([str(Path(sys.executable).with_name("archival-pipeline")), "api"], environment, log) as process:
        url = f"http://127.0.0.1:{port}{BASE}"
        wait_until(lambda: process.poll() is not None or answers(f"{url}/ping"), "the service is up")
        assert process.poll() is None, log.read_text(encoding="utf-8")
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            yield client


def api_command() -> list[str]:
    """The command that serves the REST interface."""
    return dagster_home.api()
