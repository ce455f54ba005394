"""Writes ``docs/openapi.json`` from the code: ``python -m archival_pipeline_tests.support.openapi``.

A unit test fails on drift.
"""

from __future__ import annotations

import json

from archival_pipeline.api.archival.app import archival_app
from archival_pipeline.errors import ConfigurationError
from archival_pipeline.settings_api import ApiSettings, LimitSettings, SecuritySettings, ServiceSettings
from archival_pipeline_tests.support.reference_docs import ROOT

PATH = ROOT / "docs" / "openapi.json"


def made() -> str:
    """The document of a service with default settings, as text."""
    service = ServiceSettings.model_validate({"BASE_PATH": "archivalservice"})
    settings = ApiSettings(
        service, LimitSettings.model_validate({}), SecuritySettings.model_validate({"IDS_ENABLE": False})
    )
    app = archival_app(ConfigurationError("No database is needed to describe the service."), settings)
    return json.dumps(app.openapi(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(made(), encoding="utf-8")
