"""schemathesis over the OpenAPI document: whatever it allows, and what it does not. No 5xx, every answer as described.

With tokens, real databases and a real Dagster webserver. Nobody takes from the queue: the first run waits there, and
every other move is answered with its id.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from archival_pipeline.variables import storing
from archival_pipeline_tests.support import camunda, dagster_runs, rest
from archival_pipeline_tests.support.engine_server import engine_server
from archival_pipeline_tests.support.identity_server import identity_server

if TYPE_CHECKING:
    from archival_pipeline.settings_camunda import CamundaSettings
    from archival_pipeline_tests.e2e.conftest import Archive

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
# Left out: positive_data_acceptance. A document cannot say that an empty filter is refused, or a window that ends
# before it begins.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)


def test_service_keeps_to_its_document(
    dagster_archive: Archive, camunda_database: CamundaSettings, tmp_path: Path
) -> None:
    storing.prepare(camunda_database)
    environment = dagster_archive.environment | camunda.variables(camunda_database)
    with (
        identity_server(tmp_path) as identity,
        engine_server(tmp_path, {"definitions": {}, "instances": {}, "history": {}}) as engine,
        dagster_runs.ui(environment, tmp_path) as ui,
    ):
        environment |= engine.variables()
        told = {"DAGSTER_WEBSERVER_URL": f"http://127.0.0.1:{ui.port}", "API_DELETE_SECONDS": "4"}
        with rest.service(environment, tmp_path, **told, **identity.variables()) as client:
            command = [
                str(Path(sys.executable).with_name("schemathesis")),
                *("run", f"{client.base_url}api-docs-json"),
                *("--header", f"Authorization: Bearer {identity.token('operator')}"),
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
    assert "unforeseen error" not in (tmp_path / "rest.log").read_text(encoding="utf-8")
