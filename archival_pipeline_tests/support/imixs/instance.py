"""The instance from a test's point of view: starts its process, saves documents, orders faults."""

from __future__ import annotations

import base64
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from archival_pipeline.settings_imixs import WorkflowSettings
from archival_pipeline_tests.support.imixs.server import USERS
from archival_pipeline_tests.support.processes import started, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Instance:
    """A running one."""

    http: httpx.Client
    root: str

    @property
    def endpoint(self) -> str:
        return f"{self.root}/api"

    def settings(self, method: str = "BASIC", **changes: Any) -> WorkflowSettings:
        """Settings of a client; the instance is told to ask for this kind of login."""
        self.configure(method=method)
        values: dict[str, Any] = {
            "WORKFLOW_SERVICE_ENDPOINT": self.endpoint,
            "WORKFLOW_SERVICE_USER": "backup",
            "WORKFLOW_SERVICE_PASSWORD": USERS["backup"][0],
            "WORKFLOW_SERVICE_AUTHMETHOD": method,
            "WORKFLOW_SERVICE_READ_SECONDS": 20,
            "OIDC_AUTH_ENDPOINT": f"{self.root}/token",
            "OIDC_AUTH_CLIENT_ID": "archive",
        }
        return WorkflowSettings(**(values | changes))

    def save(
        self,
        document_id: str,
        items: Mapping[str, str] | None = None,
        files: Mapping[str, bytes] | None = None,
        created: int | None = None,
        readers: list[str] | None = None,
    ) -> str:
        """Save a document; return the id of its snapshot."""
        encoded = {name: base64.b64encode(content).decode() for name, content in (files or {}).items()}
        asked = {"items": dict(items or {}), "files": encoded, "created": created, "readers": readers or []}
        return str(self._do("save", document_id=document_id, **asked))

    def blob(self, document_id: str, size: int) -> str:
        return str(self._do("blob", document_id=document_id, size=size))

    def configure(self, **values: Any) -> None:
        self._do("configure", **values)

    def fault(self, call: str, action: str, times: int = 1, skip: int = 0) -> None:
        """Order a fault for the calls that match, such as ``GET .*documents``; see the server for the actions."""
        self._do("fault", call=call, action=action, times=times, skip=skip)

    def calm(self) -> None:
        self._do("calm")

    def calls(self) -> list[str]:
        return list(self._do("calls"))

    def seconds(self) -> float:
        """Between the first and the latest call since this was asked last."""
        return float(self._do("seconds"))

    def entries(self) -> list[list[str]]:
        """Id, topic and snapshot of every entry of the event log."""
        return list(self._do("entries"))

    def topics(self) -> list[str]:
        return [topic for _, topic, _ in self.entries()]

    def turn_round(self) -> None:
        self._do("turn_round")

    def put(self, topic: str, ref: str) -> None:
        self._do("put", topic=topic, ref=ref)

    def delete(self, document_id: str) -> None:
        self._do("delete", document_id=document_id)

    def archive_sync(self, *mirrors: str) -> None:
        self._do("archive_sync", mirrors=list(mirrors))

    def document(self, document_id: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self._do("document", document_id=document_id)
        return found

    def ids(self) -> list[str]:
        return list(self._do("ids"))

    def empty(self) -> None:
        self._do("empty")

    def keep(self) -> None:
        """Remember documents and entries as they are now."""
        self._do("keep")

    def give_back(self) -> None:
        """Have them as they were when they were kept."""
        self._do("give_back")

    def _do(self, verb: str, **asked: Any) -> Any:
        return self.http.post(f"/_control/{verb}", json=asked).raise_for_status().json()


@contextmanager
def running_instance(folder: Path) -> Iterator[Instance]:
    """Start an instance in a process of its own."""
    port_file = folder / "port"
    command = [sys.executable, "-m", "archival_pipeline_tests.support.imixs.server", str(port_file)]
    with started(command, os.environ, folder / "instance.log") as process:
        wait_until(lambda: port_file.exists() or process.poll() is not None, "the instance listens")
        assert port_file.exists(), (folder / "instance.log").read_text(encoding="utf-8")
        root = f"http://127.0.0.1:{port_file.read_text(encoding='utf-8')}"
        with httpx.Client(base_url=root, timeout=120, trust_env=False) as http:
            yield Instance(http, root)
