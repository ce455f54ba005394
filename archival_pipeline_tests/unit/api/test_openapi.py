"""The OpenAPI document: kept in docs/, and complete."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from archival_pipeline_tests.support import openapi

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENT: dict[str, Any] = json.loads(openapi.PATH.read_text(encoding="utf-8"))
OPERATIONS = {
    f"{method} {path}": operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}
OPEN = {"get /archivalservice/ping", "get /archivalservice/ping/ready"}


@pytest.mark.usefixtures("clean_environment")
def test_document_is_what_the_code_says() -> None:
    again = "run `python -m archival_pipeline_tests.support.openapi`"
    assert openapi.made() == openapi.PATH.read_text(encoding="utf-8"), again


def fields() -> Iterator[Any]:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        for field, about in schema.get("properties", {}).items():
            yield pytest.param(about, id=f"{name}.{field}")


@pytest.mark.parametrize("about", list(fields()))
def test_every_field_is_described(about: dict[str, Any]) -> None:
    assert about.get("description")


@pytest.mark.parametrize("name", list(OPERATIONS))
def test_every_operation_is_complete(name: str) -> None:
    operation = OPERATIONS[name]
    assert operation["summary"]
    assert operation["description"]
    assert operation["tags"]
    assert all(parameter["description"] for parameter in operation.get("parameters", []))
    statuses = operation["responses"].keys()
    if name not in OPEN:
        assert {"401", "403", "503"} <= statuses
        assert operation["security"] == [{"bearer": []}]
    if "requestBody" in operation:
        assert {"400", "413"} <= statuses
    for status, response in operation["responses"].items():
        assert "X-Request-Id" in response["headers"]
        if status >= "400" and name not in OPEN:
            assert response["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/ErrorBody"}


def test_paths_are_those_of_the_contract() -> None:
    bpm = "/archivalservice/bpm/processes"
    variables = "/archivalservice/bpm/variables"
    assert OPERATIONS.keys() == OPEN | {
        "get /archivalservice/metrics",
        f"get {variables}/process-instances/{{processInstanceId}}/activity-instances",
        f"get {variables}/process-instances/{{processInstanceId}}/snapshot",
        f"get {variables}/activity-instances/{{activityInstanceId}}/snapshot",
        f"get {variables}/diff",
        f"get {variables}/changes/{{changeId}}/content",
        f"get {variables}/process-instances/{{processInstanceId}}/restores",
        f"get {variables}/stored-snapshots",
        f"get {variables}/stored-snapshots/{{storedSnapshotId}}",
        f"post {variables}/plans",
        f"post {variables}/plans/apply",
        f"post {bpm}/count",
        f"post {bpm}",
        f"post {bpm}/children/find",
        f"post {bpm}/generate-sql",
        f"post {bpm}/backup",
        f"post {bpm}/restore",
        f"post {bpm}/delete-bulk",
        f"get {bpm}/audits",
        f"get {bpm}/audits/summary",
        f"get {bpm}/audits/{{auditId}}",
        f"get {bpm}/audits/{{auditId}}/latest",
        f"get {bpm}/audits/{{auditId}}/summary",
    }


def test_bearer_scheme_is_declared() -> None:
    assert DOCUMENT["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
