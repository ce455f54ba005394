"""What the service does with bad input, big input, slow input, and with servers that are not there."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from archival_pipeline_tests.support import rest

if TYPE_CHECKING:
    from pathlib import Path

    from archival_pipeline_tests.integration.api.conftest import Pair, Service

COUNT = "/bpm/processes/count"
SQL_WORDS = ("SELECT", "Traceback", "psycopg", "process_count_fn", 'File "')


def refusal(answer: httpx.Response, status: int, code: str = "INVALID_REQUEST") -> dict[str, Any]:
    """Hold an error against its form; return its body."""
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["errorCode"]) == (status, code), answer.text
    assert body["errorSummary"]
    assert body["errorResolve"]
    assert body["requestId"] == answer.headers["X-Request-Id"]
    assert not [word for word in SQL_WORDS if word in answer.text]
    return body


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/count", {"procesName": "a"}, "procesName"),
        ("/count", {"process_name": "a"}, "process_name"),
        ("/count", {"processStatus": "DONE"}, "processStatus"),
        ("/count", {"beforeNoOfDays": "90"}, "beforeNoOfDays"),
        ("/count", {"beforeNoOfDays": -1}, "beforeNoOfDays"),
        ("/count", {"piids": []}, "piids"),
        ("/count", {"piids": [0]}, "piids[0]"),
        ("/count", {"piids": [9223372036854775808]}, "piids[0]"),
        ("/count", {"piids": ["9223372036854775808"]}, "piids[0]"),
        ("/count", {"piids": [True]}, "piids[0]"),
        ("/count", {"piids": [1.5]}, "piids[0]"),
        ("/count", {"processName": ""}, "processName"),
        ("/count", {"processName": "a\x00b"}, "processName"),
        ("/count", {"endedFrom": "2025-01-01"}, "endedFrom"),
        ("/count", {"processVariables": []}, "processVariables"),
        ("/count", {"processVariables": [{"name": "a"}]}, "processVariables[0].value"),
        ("/count", {"database": "elsewhere"}, "database"),
        ("/count", [], "body"),
        ("", {"pageSize": 0}, "pageSize"),
        ("", {"pageNumber": -1}, "pageNumber"),
        ("", {"pageSize": "many"}, "pageSize"),
        ("/children/find", {}, "parentProcessInstanceIds"),
        ("/generate-sql", {"processInstanceIds": list(range(1, 102))}, "processInstanceIds"),
        ("/backup", {}, "filters"),
        ("/backup", {"processName": "a", "options": {"batchSize": 101}}, "options.batchSize"),
        ("/backup", {"processName": "a", "options": {"force": True}}, "options.force"),
        ("/restore", {"processName": "a", "options": {"includeRunning": True}}, "options.includeRunning"),
        ("/delete-bulk", {"processInstanceIds": [1], "force": "yes"}, "force"),
    ],
)
def test_bad_body_is_refused_with_field_and_reason(service: Service, path: str, body: object, field: str) -> None:
    told = refusal(service.client.post(f"/bpm/processes{path}", json=body), 400)
    assert field in [problem["field"] for problem in told["errors"]]
    assert all(problem["reason"] for problem in told["errors"])


@pytest.mark.parametrize("content", [b"", b"{", b'"text"', b"\xff\xfe", b'{"piids": [1,]}', b"[" * 10_000])
def test_broken_json_is_refused(service: Service, content: bytes) -> None:
    answer = service.client.post(COUNT, content=content, headers={"Content-Type": "application/json"})
    refusal(answer, 400)


def test_other_content_type_is_refused(service: Service) -> None:
    answer = service.client.post(COUNT, content=b"processName=a", headers={"Content-Type": "text/plain"})
    refusal(answer, 400)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("auditType=copy", "auditType"),
        ("auditStatus=done", "auditStatus"),
        ("from=yesterday", "from"),
        ("from=2025-01-01T00:00:00", "from"),
        ("from=2025-02-01T00:00:00Z&to=2025-01-01T00:00:00Z", "from"),
        ("pageNumber=0", "pageNumber"),
        ("pageNumber=x", "pageNumber"),
        ("pageSize=-5", "pageSize"),
    ],
)
def test_bad_parameter_is_refused_with_field_and_reason(service: Service, query: str, field: str) -> None:
    told = refusal(service.client.get(f"/bpm/processes/audits?{query}"), 400)
    assert [problem["field"] for problem in told["errors"]] == [field]


@pytest.mark.parametrize("query", ["pageSize=51", "pageSize=100000"])
def test_page_has_a_cap(service: Service, query: str) -> None:
    told = refusal(service.client.get(f"/bpm/processes/audits?{query}"), 400)
    assert "50" in told["errorSummary"]


def test_empty_parameters_are_as_good_as_none(service: Service) -> None:
    names = ("auditType", "auditStatus", "processName", "deploymentId", "from", "to", "pageNumber", "pageSize")
    answer = service.client.get("/bpm/processes/audits?" + "&".join(f"{name}=" for name in names))
    assert (answer.status_code, answer.headers["X-Total-Count"], answer.json()) == (200, "0", [])


def test_ids_beyond_two_to_the_53_are_exact(service: Service) -> None:
    ids = [9007199254740993, "9223372036854775807"]
    assert service.client.post(COUNT, json={"piids": ids}).json() == {"totalCount": 0}


def test_pages_follow_one_another(service: Service) -> None:
    pages = [
        service.client.post("/bpm/processes", json={"pageSize": 7, "pageNumber": number}).json()["processInstanceIds"]
        for number in (1, 2, 3)
    ]
    ids = [number for page in pages for number in page]
    assert len(ids) == 21
    assert ids == sorted(set(ids))


def test_backup_side_is_asked_when_told(service: Service) -> None:
    assert service.client.post(COUNT, json={"database": "backup"}).json() == {"totalCount": 0}
    assert service.client.post(COUNT, json={"database": "primary"}).json()["totalCount"] > 0


def test_unknown_path_and_method(service: Service) -> None:
    refusal(service.client.get("/bpm/nowhere"), 404, "NOT_FOUND")
    answer = service.client.get(COUNT)
    refusal(answer, 405, "METHOD_NOT_ALLOWED")


def test_large_body_is_refused_by_its_length(service: Service) -> None:
    refusal(service.client.post(COUNT, json={"processName": "a" * 30_000}), 413, "BODY_TOO_LARGE")


def test_large_body_without_a_length_is_refused(service: Service) -> None:
    chunks = (b"x" * 1_000 for _ in range(100))
    answer = service.client.post(COUNT, content=chunks, headers={"Content-Type": "application/json"})
    refusal(answer, 413, "BODY_TOO_LARGE")


def test_slow_sender_is_not_waited_for_for_ever(service: Service) -> None:
    url = httpx.URL(str(service.client.base_url))
    with socket.create_connection((url.host, url.port or 0), timeout=30) as client:
        client.sendall(
            f"POST {rest.BASE}{COUNT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            "Content-Length: 100\r\n\r\n{".encode()
        )
        with client.makefile("rb") as stream:
            status, *headers = iter(stream.readline, b"\r\n")
            length = next(int(line.split(b":")[1]) for line in headers if line.lower().startswith(b"content-length"))
            body = json.loads(stream.read(length))
    assert status.startswith(b"HTTP/1.1 503")
    assert body["errorCode"] == "REQUEST_TIMEOUT"


def test_request_id_is_kept_or_made(service: Service) -> None:
    given = service.client.post(COUNT, json={}, headers={"X-Request-Id": "my-id.1"})
    assert given.headers["X-Request-Id"] == "my-id.1"
    forged = service.client.post(COUNT, json={}, headers={"X-Request-Id": 'x" injected'})
    assert forged.headers["X-Request-Id"] not in ("", 'x" injected')
    lines = [json.loads(line) for line in service.log.read_text(encoding="utf-8").splitlines()]
    [line] = [line for line in lines if line["requestId"] == "my-id.1" and line["message"] == "request"]
    assert (line["route"], line["status"]) == ("/processes/count", 200)


def test_missing_security_is_said_loudly(service: Service) -> None:
    assert "NOBODY IS ASKED FOR A TOKEN" in service.log.read_text(encoding="utf-8")


def test_dagster_away_refuses_moves_and_says_so(service: Service) -> None:
    answer = service.client.post("/bpm/processes/backup", json={"processStatus": "COMPLETED"})
    refusal(answer, 503, "DAGSTER_UNAVAILABLE")
    ready = service.client.get("/ping/ready")
    assert (ready.status_code, ready.json()) == (
        503,
        {"status": "error", "primary": "ok", "backup": "ok", "dagster": "unreachable"},
    )
    assert service.client.get("/ping").json() == {"status": "ok"}


def test_metrics_count_requests_and_say_what_is_away(service: Service) -> None:
    service.client.post(COUNT, json={})
    text = service.client.get("/metrics").text
    assert 'archival_http_requests_total{method="POST",route="/processes/count",status="200"}' in text
    assert 'archival_up{source="ledger"} 1.0' in text
    assert 'archival_up{source="dagster"} 0.0' in text
    assert 'archival_rows_moved_total{operation="backup"} 0.0' in text


def test_same_database_twice_is_unhealthy_and_refuses_everything(pair: Pair, tmp_path: Path) -> None:
    ours = {name: value for name, value in pair.environment.items() if not name.startswith("BPM_BACKUP")}
    names = {"HOST": "DB_HOST", "PORT": "DB_PORT", "USERNAME": "DB_USERNAME", "PASSWORD": "DB_PASSWORD"}
    same = {f"BPM_BACKUP_DB_{ending}": ours[name] for ending, name in names.items()}
    same["BPM_BACKUP_DB_NAME"] = ours["BPM_DB_NAME"]
    with rest.service(ours | same, tmp_path) as client:
        ping = client.get("/ping")
        assert ping.status_code == 503
        assert ping.json().keys() == {"status", "errorCode", "errorMessage"}
        assert (ping.json()["status"], ping.json()["errorCode"]) == ("error", "INVALID_DB_CONFIG")
        for path, body in (
            (COUNT, {}),
            ("/bpm/processes/backup", {"processName": "a"}),
            ("/bpm/processes/restore", {"processName": "a"}),
            ("/bpm/processes/delete-bulk", {"processInstanceIds": [1]}),
        ):
            refusal(client.post(path, json=body), 503, "INVALID_DB_CONFIG")
        refusal(client.get("/bpm/processes/audits"), 503, "INVALID_DB_CONFIG")
        assert client.get("/ping/ready").json()["primary"] == "not configured"


def test_database_away_is_told_without_its_address(pair: Pair, tmp_path: Path) -> None:
    with rest.service(pair.environment | {"DB_HOST": "127.0.0.1", "DB_PORT": "1"}, tmp_path) as client:
        answer = client.post(COUNT, json={})
        refusal(answer, 503, "08006")
        assert "127.0.0.1" not in answer.text
        assert client.post(COUNT, json={"database": "backup"}).status_code == 200
        assert client.get("/ping/ready").json()["primary"] == "unreachable"


def test_swagger_ui_needs_no_outside_host(service: Service) -> None:
    page = service.client.get("/api-docs").text
    assert "//" not in page.replace("//#", "").replace("://", "") or "http" not in page
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"):
        assert f"api-docs/files/{name}" in page
        assert service.client.get(f"/api-docs/files/{name}").status_code == 200
