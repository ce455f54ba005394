"""The REST service with all of Dagster behind it: what it launches, what is in its way, what can be polled."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from archival_pipeline.database.locks import OperationLock
from archival_pipeline_tests.support import dagster_runs, rest
from archival_pipeline_tests.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from archival_pipeline_tests.e2e.conftest import Archive
    from archival_pipeline_tests.support.dagster_runs import Ui

pytestmark = pytest.mark.slow
BUSY = "Previous operation is still in progress, please wait for it to complete before retrying"
COMPLETED = {"processStatus": "COMPLETED"}


@pytest.fixture
def webserver(dagster_archive: Archive, tmp_path: Path) -> Iterator[Ui]:
    """No daemon: what is launched stays in the queue."""
    with dagster_runs.ui(dagster_archive.environment, tmp_path) as found:
        yield found


@pytest.fixture
def client(dagster_archive: Archive, webserver: Ui, tmp_path: Path) -> Iterator[httpx.Client]:
    url = f"http://127.0.0.1:{webserver.port}"
    with rest.service(dagster_archive.environment, tmp_path, DAGSTER_WEBSERVER_URL=url) as found:
        yield found


def latest(client: httpx.Client, audit_id: str) -> dict[str, Any]:
    answer = client.get(f"/bpm/processes/audits/{audit_id}/latest")
    assert answer.status_code == 200, answer.text
    row: dict[str, Any] = answer.json()
    return row


def end_of(client: httpx.Client, audit_id: str) -> str:
    ends = {"completed", "failed", "cancelled"}
    wait_until(lambda: latest(client, audit_id)["auditStatus"] in ends, f"{audit_id} has ended", 120)
    return str(latest(client, audit_id)["auditStatus"])


def test_simultaneous_posts_to_two_services_start_exactly_one(
    dagster_archive: Archive, webserver: Ui, client: httpx.Client, tmp_path: Path
) -> None:
    folder = tmp_path / "second"
    folder.mkdir()
    url = f"http://127.0.0.1:{webserver.port}"
    paths = ("/bpm/processes/backup", "/bpm/processes/restore") * 2
    with (
        rest.service(dagster_archive.environment, folder, DAGSTER_WEBSERVER_URL=url) as second,
        ThreadPoolExecutor(8) as pool,
    ):
        posts = [pool.submit(each.post, path, json=COMPLETED) for each in (client, second) for path in paths]
        answers = [post.result() for post in posts]
    assert [answer.status_code for answer in answers] == [201] * 8
    messages = [answer.json()["message"] for answer in answers]
    assert messages.count(BUSY) == 7
    [audit_id] = {answer.json()["auditId"] for answer in answers}
    with dagster_runs.instance(dagster_archive.environment) as books:
        assert [run.run_id for run in books.get_runs()] == [audit_id]
    # It can be polled although nothing has been written yet.
    row = latest(client, audit_id)
    assert (row["id"], row["auditStatus"], row["details"]) == (0, "initiated", {"dagsterRunStatus": "QUEUED"})
    timeline = client.get(f"/bpm/processes/audits/{audit_id}")
    assert (timeline.headers["X-Total-Count"], timeline.json()) == ("1", [row])
    assert client.get(f"/bpm/processes/audits/{audit_id}/summary").json() == {"totalCount": 1}
    # A run that is ended in the queue has ended for whoever polls it, and is no longer in the way.
    webserver.terminate(audit_id)
    assert end_of(client, audit_id) == "cancelled"
    assert client.post("/bpm/processes/backup", json=COMPLETED).json()["message"] == "Backup initiated successfully"


def test_operation_of_the_command_line_is_in_the_way(dagster_archive: Archive, client: httpx.Client) -> None:
    lock = OperationLock.acquire(dagster_archive.settings.backup, "an-audit-of-the-command-line")
    try:
        answer = client.post("/bpm/processes/backup", json=COMPLETED)
        assert answer.json() == {"message": BUSY, "auditId": "an-audit-of-the-command-line"}
        deletion = client.post("/bpm/processes/delete-bulk", json={"processInstanceIds": [1]})
        assert deletion.json() == {"status": f"FAILURE: {BUSY}", "auditId": "an-audit-of-the-command-line"}
    finally:
        lock.release()
    unknown = client.get("/bpm/processes/audits/nobody/latest")
    assert (unknown.status_code, unknown.json()["errorCode"]) == (404, "NOT_FOUND")


def test_whole_operations_are_runs_of_dagster(dagster_archive: Archive, client: httpx.Client, tmp_path: Path) -> None:
    before = dagster_archive.look_at_primary()
    with dagster_runs.daemon(dagster_archive.environment, tmp_path):
        dry = client.post("/bpm/processes/backup", json=COMPLETED | {"options": {"dryRun": True}}).json()["auditId"]
        assert end_of(client, dry) == "completed"
        assert dagster_archive.look_at_primary() == before
        wait_until(lambda: _started(client), "the next run may start", 60)
        moved = client.get("/bpm/processes/audits?auditType=backup").json()[0]["auditId"]
        assert end_of(client, moved) == "completed"
        counted = [client.post("/bpm/processes/count", json=COMPLETED | {"database": side}).json()["totalCount"]
                   for side in ("primary", "backup")]  # fmt: skip
        assert counted[1] > 0
        assert dagster_archive.what_does_not_add_up(before) == []
        restored = client.post("/bpm/processes/restore", json={"allowAll": True})
        assert restored.status_code == 400
        restored = client.post("/bpm/processes/restore", json={"options": {"auditId": moved}})
        assert end_of(client, restored.json()["auditId"]) == "completed"
        again = client.post("/bpm/processes/count", json=COMPLETED).json()["totalCount"]
        assert again == sum(counted)
        running = client.post("/bpm/processes", json={"processStatus": "ACTIVE"}).json()["processInstanceIds"]
        deletion = client.post("/bpm/processes/delete-bulk", json={"processInstanceIds": running[:1]}).json()
        assert deletion["status"].startswith("FAILURE: ")
    assert "archival_queue_length 0.0" in client.get("/metrics").text
    with dagster_runs.instance(dagster_archive.environment) as books:
        run = books.get_run_by_id(moved)
    assert run is not None
    assert run.tags["archival/caller"] == "anonymous"
    assert run.tags["archival/request"]


def _started(client: httpx.Client) -> bool:
    """A dry run writes no audit, so Dagster alone says when it is out of the way."""
    answer = client.post("/bpm/processes/backup", json=COMPLETED).json()
    if answer["message"] == BUSY:
        return False
    wait_until(lambda: bool(client.get("/bpm/processes/audits?auditType=backup").json()), "the run has begun", 60)
    return True
