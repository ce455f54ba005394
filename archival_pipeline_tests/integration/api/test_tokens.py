"""Bearer tokens, against a real OAuth 2 server: who gets in, and that everybody else stays out."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from archival_pipeline.api.auth import Access, Introspection
from archival_pipeline.api.errors import ApiError
from archival_pipeline.settings_api import SecuritySettings
from archival_pipeline_tests.support import rest
from archival_pipeline_tests.support.identity_server import OPERATE, READ, SECRET, SERVICE, identity_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from archival_pipeline_tests.integration.api.conftest import Pair
    from archival_pipeline_tests.support.identity_server import IdentityServer

COUNT = "/bpm/processes/count"


@pytest.fixture(scope="module")
def guarded(pair: Pair, folder: Path, identity: IdentityServer) -> Iterator[httpx.Client]:
    with rest.service(pair.environment, folder, **identity.variables()) as client:
        yield client


def settings(url: str, cache_seconds: float = 30.0, **more: str) -> SecuritySettings:
    names = {"IDS_URL": url, "IDS_CLIENT_ID": SERVICE, "IDS_CLIENT_SECRET": SECRET, "IDS_READ_ROLE": READ}
    return SecuritySettings.model_validate(
        names | {"IDS_OPERATE_ROLE": OPERATE, "IDS_CACHE_SECONDS": cache_seconds, "IDS_ENABLE": True} | more
    )


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_reader_reads(guarded: httpx.Client, identity: IdentityServer) -> None:
    answer = guarded.post(COUNT, json={}, headers=bearer(identity.token("reader")))
    assert (answer.status_code, answer.json()["totalCount"] > 0) == (200, True)


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic dXNlcjpwYXNzd29yZA=="},
        {"Authorization": "nonsense"},
        {"Authorization": "Bearer not-a-token-that-anybody-issued"},
        {"Authorization": "Bearer " + "x" * 9_000},
        {"Authorization": b"Bearer \xff\xfe\xfd"},
    ],
)
def test_missing_or_malformed_token_is_refused(guarded: httpx.Client, header: dict[str, str]) -> None:
    answer = guarded.post(COUNT, json={}, headers=header)
    assert (answer.status_code, answer.json()["errorCode"]) == (401, "UNAUTHORIZED")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_expired_token_is_refused(guarded: httpx.Client, identity: IdentityServer) -> None:
    assert guarded.post(COUNT, json={}, headers=bearer(identity.token("late"))).status_code == 401


def test_revoked_token_is_refused(guarded: httpx.Client, identity: IdentityServer) -> None:
    token = identity.token("operator")
    identity.revoke("operator", token)
    assert guarded.post(COUNT, json={}, headers=bearer(token)).status_code == 401


@pytest.mark.parametrize(
    ("client", "path", "body"),
    [
        ("stranger", COUNT, {}),
        ("reader", "/bpm/processes/backup", {"processStatus": "COMPLETED"}),
        ("reader", "/bpm/processes/restore", {"processStatus": "COMPLETED"}),
        ("reader", "/bpm/processes/delete-bulk", {"processInstanceIds": [1]}),
    ],
)
def test_wrong_role_is_refused(
    guarded: httpx.Client, identity: IdentityServer, client: str, path: str, body: dict[str, object]
) -> None:
    answer = guarded.post(path, json=body, headers=bearer(identity.token(client)))
    assert (answer.status_code, answer.json()["errorCode"]) == (403, "FORBIDDEN")


def test_operator_gets_past_the_door(guarded: httpx.Client, identity: IdentityServer) -> None:
    answer = guarded.post("/bpm/processes/backup", json={}, headers=bearer(identity.token("operator")))
    assert answer.status_code == 400


def test_every_route_but_ping_and_docs_asks_for_a_token(guarded: httpx.Client) -> None:
    described = guarded.get("/api-docs-json").json()
    open_paths = {"/archivalservice/ping", "/archivalservice/ping/ready"}
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            url = path.removeprefix("/archivalservice").replace("{auditId}", "x")
            status = guarded.request(method, url, json={} if method == "post" else None).status_code
            assert (status == 401) == (path not in open_paths), path
            assert ("security" in operation) == (path not in open_paths), path
    assert guarded.get("/api-docs").status_code == 200


def test_token_and_secret_are_not_in_the_log(guarded: httpx.Client, identity: IdentityServer, folder: Path) -> None:
    token = identity.token("operator")
    guarded.post(COUNT, json={}, headers=bearer(token))
    guarded.get(f"/bpm/processes/audits?access_token={token}", headers=bearer(token))
    log = (folder / "rest.log").read_text(encoding="utf-8")
    assert '"caller": "operator"' in log
    assert token not in log
    assert SECRET not in log


def test_identity_server_down_lets_nobody_in(pair: Pair, tmp_path: Path, identity: IdentityServer) -> None:
    token = identity.token("operator")
    with rest.service(pair.environment, tmp_path, **identity.variables(IDS_URL=rest.NOBODY)) as client:
        answer = client.post(COUNT, json={}, headers=bearer(token))
        assert (answer.status_code, answer.json()["errorCode"]) == (503, "IDENTITY_SERVER_UNAVAILABLE")
        assert "Retry-After" in answer.headers
        assert client.get("/ping").status_code == 200


def test_service_that_may_not_introspect_lets_nobody_in(pair: Pair, tmp_path: Path, identity: IdentityServer) -> None:
    with rest.service(pair.environment, tmp_path, **identity.variables(IDS_CLIENT_SECRET="wrong")) as client:
        answer = client.post(COUNT, json={}, headers=bearer(identity.token("operator")))
        assert (answer.status_code, answer.json()["errorCode"]) == (503, "IDENTITY_SERVER_UNAVAILABLE")


def test_answer_is_kept_for_a_short_time_only(identity: IdentityServer) -> None:
    now = [1_000.0]

    async def ask() -> list[int]:
        checker = Introspection(settings(identity.url), clock=lambda: now[0])
        token, before, counts = identity.token("operator"), identity.asked(), []
        for moment in (1_000.0, 1_029.0, 1_031.0):
            now[0] = moment
            await asyncio.gather(*(checker.check(token) for _ in range(20)))
            counts.append(identity.asked() - before)
        await checker.close()
        return counts

    assert asyncio.run(ask()) == [1, 1, 2]


def test_token_ends_on_time_even_while_it_is_remembered(identity: IdentityServer) -> None:
    now = [time.time()]

    async def ask() -> int:
        checker = Introspection(settings(identity.url, 300.0), clock=lambda: now[0])
        token = identity.token("operator")
        await checker.check(token)
        # The identity server's tokens live for an hour.
        now[0] += 3_601
        try:
            with pytest.raises(ApiError) as refused:
                await checker.check(token)
        finally:
            await checker.close()
        return refused.value.status

    # By our clock the token is over, whatever anybody remembers.
    assert asyncio.run(ask()) == 401


def test_remembered_answer_does_not_open_the_door_after_the_server_is_gone(tmp_path: Path) -> None:
    now = [1_000.0]

    async def ask() -> str:
        with identity_server(tmp_path) as server:
            checker = Introspection(settings(server.url), clock=lambda: now[0])
            token = server.token("operator")
            caller = await checker.check(token)
        checker.require(caller, Access.OPERATE)
        now[0] += 31
        try:
            with pytest.raises(ApiError) as refused:
                await checker.check(token)
        finally:
            await checker.close()
        return refused.value.code

    assert asyncio.run(ask()) == "IDENTITY_SERVER_UNAVAILABLE"
