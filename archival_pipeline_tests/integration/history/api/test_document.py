"""schemathesis over the OpenAPI document, against the interface on a port of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvicorn

from archival_pipeline.database.connections import connect
from archival_pipeline.history.store.writing import write
from archival_pipeline_tests.support.history import START, process_event, task_event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline_tests.integration.history.api.conftest import NewApp, Tokens

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
# Left out: positive_data_acceptance. A document cannot say which fields a list sorts by, or how large a page may be.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)


def _fill(database: DatabaseSettings) -> None:
    with connect(database, purpose="test") as session:
        for number in range(20):
            over = {"state": "COMPLETED", "end_time": START} if number % 2 else {}
            end = START if number % 3 else None
            write(session, [process_event(number, 1, **over), task_event(number, 1, assignee="olena", end_time=end)])  # type: ignore[arg-type]


@pytest.fixture
def address(new_app: NewApp) -> Iterator[str]:
    """The interface on a port."""
    app, database = new_app()
    _fill(database)
    server = _Server(app)
    yield server.start()
    server.stop()


class _Server:
    def __init__(self, app: FastAPI) -> None:
        self._server = uvicorn.Server(
            uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False, server_header=False)
        )
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def start(self) -> str:
        self._thread.start()
        deadline = time.monotonic() + 30
        while not self._server.started:
            assert time.monotonic() < deadline, "the interface did not start"
            self._thread.join(0.05)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)


def test_the_interface_keeps_to_its_document(address: str, tokens: Tokens, tmp_path: Path) -> None:
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        *("run", f"{address}/api-docs-json"),
        *("--header", f"X-Access-Token: {tokens.make(exp=int(time.time()) + 3_600)}"),
        *("--checks", ",".join(CHECKS)),
        *("--phases", "examples,coverage,fuzzing"),
        *("--max-examples", os.environ.get("REST_EXAMPLES", "30")),
        *("--request-timeout", "60", "--seed", "1", "--generation-deterministic", "--no-color"),
        *("--suppress-health-check", "all", "--continue-on-failure"),
    ]
    done = subprocess.run(
        command, check=False, cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"COLUMNS": "120"}
    )
    print(done.stdout[-12_000:])
    assert done.returncode == 0, done.stderr[-2_000:]
