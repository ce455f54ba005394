"""Every ``curl`` of docs/rest.md, in its order, against the servers of ``make dev``."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from archival_pipeline.local.dagster_home import REPOSITORY
from archival_pipeline_tests.support.processes import started, wait_until
from archival_pipeline_tests.support.rest import BASE, free_port, is_ready

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow
_BLOCK = re.compile(r"```bash\n(curl .*?)```", re.DOTALL)
_ENDS = {"completed", "failed", "cancelled"}
_BUSY = "Previous operation is still in progress, please wait for it to complete before retrying"


@dataclass(slots=True)
class Client:
    """Sends the examples as they stand; only host, audit id and candidates are filled in.

    Attributes:
        url: of the service.
        audit_id: of the newest operation.
        candidates: ids of the newest list.
    """

    url: str
    audit_id: str = ""
    candidates: tuple[int, ...] = ()

    def send(self, example: str) -> httpx.Response:
        """Do what ``curl`` would do with this example."""
        text = example.replace("http://localhost:3000", self.url).replace("<auditId>", self.audit_id)
        text = text.replace("[/* candidate IDs here */]", json.dumps(self.candidates))
        program, *words = shlex.split(text.replace("\\\n", " "))
        assert program == "curl"
        method, headers, body, urls = "GET", {}, None, []
        while words:
            word = words.pop(0)
            if word == "-X":
                method = words.pop(0)
            elif word == "-H":
                name, _, value = words.pop(0).partition(": ")
                headers[name] = value
            elif word == "-d":
                body = words.pop(0)
            elif word != "-i":
                urls.append(word)
        [url] = urls
        answer = httpx.request(method, url, headers=headers, content=body, timeout=320, trust_env=False)
        document = answer.json()
        if isinstance(document, dict):
            self.audit_id = document.get("auditId", self.audit_id)
            self.candidates = tuple(document.get("processInstanceIds") or self.candidates)
        return answer

    def wait_for_the_end(self) -> dict[str, Any]:
        """Poll the newest operation until it has ended."""
        row: dict[str, Any] = {}

        def ended() -> bool:
            answer = httpx.get(f"{self.url}{BASE}/bpm/processes/audits/{self.audit_id}/latest", trust_env=False)
            assert answer.status_code == 200, answer.text
            row.update(answer.json())
            return row["auditStatus"] in _ENDS

        wait_until(ended, f"the operation {self.audit_id} has ended", 120)
        return row


@pytest.fixture(scope="module")
def dev(server_folder: Path) -> Iterator[Client]:
    """``make dev`` on ports and in a folder of its own."""
    port, ui_port = free_port(), free_port()
    folder = server_folder / "dev"
    folder.mkdir()
    names = ("DB_", "BPM_", "DAGSTER_", "IDS_", "API_", "BASE_PATH")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    command = [sys.executable, "-m", "archival_pipeline.local.dev", "--port", str(port), "--ui-port", str(ui_port)]
    command += ["--trees", "200", "--folder", str(folder / "servers")]
    log = folder / "dev.log"
    with started(command, environment, log, REPOSITORY) as process:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: process.poll() is not None or is_ready(url), "make dev is up", 180)
        assert process.poll() is None, log.read_text(encoding="utf-8")[-4_000:]
        yield Client(url)
        # As Ctrl-C does, so that the databases are stopped in order.
        process.send_signal(signal.SIGINT)
        process.wait(120)


def test_every_example_of_the_contract(dev: Client) -> None:
    examples = iter(_BLOCK.findall((REPOSITORY / "docs" / "rest.md").read_text(encoding="utf-8")))

    def send(status: int = 200) -> Any:
        answer = dev.send(next(examples))
        assert answer.status_code == status, answer.text
        return answer.json()

    # Quick start
    count = send()["totalCount"]
    assert count > 0
    started_backup = send(201)
    assert started_backup == {"message": "Backup initiated successfully", "auditId": dev.audit_id}
    assert send()["auditId"] == dev.audit_id
    assert {row["auditId"] for row in send()} == {dev.audit_id}
    moved = dev.wait_for_the_end()
    assert (moved["auditStatus"], moved["remainingCount"], moved["processedCount"] > 0) == ("completed", 0, True)
    assert send(201) == {"message": "Restore initiated successfully", "auditId": dev.audit_id}
    back = dev.wait_for_the_end()
    assert (back["auditStatus"], back["processedCount"]) == ("completed", moved["processedCount"])

    # Delete flow
    candidates = send()["processInstanceIds"]
    assert candidates
    assert send() == {"totalCount": 0}
    status = send()["status"]
    kept = re.match(r"FAILURE: (\d+) of the given trees stay: ", status)
    assert status == "SUCCESS" or kept is not None
    stayed = int(kept[1]) if kept else 0
    left = httpx.post(f"{dev.url}{BASE}/bpm/processes/count", json={"piids": candidates}, trust_env=False).json()
    assert left["totalCount"] == stayed < len(candidates)

    # Auditing
    assert [row["auditType"] for row in send()] == ["backup"]
    assert send() == {"totalCount": 0}

    # Minimal examples
    assert send()["totalCount"] > 0
    assert len(send()["processInstanceIds"]) <= 50
    assert isinstance(send()["childProcessInstanceIds"], list)
    script = send()["backupSqlScript"]
    assert (script[0], script[-1]) == ("BEGIN;", "COMMIT;")
    assert send(201)["message"] == "Backup initiated successfully"
    first = dev.audit_id
    assert send(201) == {"message": _BUSY, "auditId": first}
    assert dev.wait_for_the_end()["auditStatus"] == "completed"
    assert send()["status"] == "SUCCESS"
    assert next(examples, None) is None
