"""A real OAuth 2 server for tests, as a process of its own: its clients, and what a test asks of it.

Not here: the program itself (``identity_program.py``).
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from archival_pipeline.local.dagster_home import REPOSITORY
from archival_pipeline_tests.support.processes import started, wait_until
from archival_pipeline_tests.support.rest import answers, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READ, OPERATE = "archival.read", "archival.operate"
SERVICE = "archival-service"
SECRET = "service-secret-XYZZY"
_SECONDS = 3_600
# Client id -> secret, scopes, seconds that its tokens live.
CLIENTS: dict[str, tuple[str, str, int]] = {
    SERVICE: (SECRET, "", _SECONDS),
    "operator": ("operator-secret", f"{READ} {OPERATE}", _SECONDS),
    "reader": ("reader-secret", READ, _SECONDS),
    "stranger": ("stranger-secret", "other", _SECONDS),
    "late": ("late-secret", f"{READ} {OPERATE}", -1),
}


@dataclass(frozen=True, slots=True)
class IdentityServer:
    """The server as a test sees it."""

    url: str

    def variables(self, **more: str) -> dict[str, str]:
        """What the service is told about it."""
        return {
            "IDS_URL": self.url,
            "IDS_CLIENT_ID": SERVICE,
            "IDS_CLIENT_SECRET": SECRET,
            "IDS_READ_ROLE": READ,
            "IDS_OPERATE_ROLE": OPERATE,
            **more,
        }

    def token(self, client: str) -> str:
        """A token of a client."""
        secret, scope, _ = CLIENTS[client]
        data = {"grant_type": "client_credentials", "scope": scope}
        return str(self._post("/oauth2/token", client, secret, data).json()["access_token"])

    def revoke(self, client: str, token: str) -> None:
        """End a token before its time."""
        self._post("/oauth2/revoke", client, CLIENTS[client][0], {"token": token})

    def asked(self) -> int:
        """How many introspections there were."""
        return int(httpx.get(f"{self.url}/asked", trust_env=False).text)

    def _post(self, path: str, client: str, secret: str, data: dict[str, str]) -> httpx.Response:
        answer = httpx.post(f"{self.url}{path}", data=data, auth=(client, secret), trust_env=False)
        return answer.raise_for_status()


@contextmanager
def identity_server(folder: Path) -> Iterator[IdentityServer]:
    """Start the server; stopped afterwards."""
    port = free_port()
    command = [sys.executable, "-m", "archival_pipeline_tests.support.identity_program", str(port)]
    log = folder / "identity.log"
    with started(command, {"PATH": os.environ["PATH"], "AUTHLIB_INSECURE_TRANSPORT": "1"}, log, REPOSITORY) as process:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: process.poll() is not None or answers(f"{url}/asked"), "the identity server is up")
        assert process.poll() is None, log.read_text(encoding="utf-8")
        yield IdentityServer(url)
