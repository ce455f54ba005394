"""The client against the instance: every login, every way in which an answer is none."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import pytest

from archival_pipeline.imixs.client import WorkflowClient
from archival_pipeline.imixs.failures import LoginError, UnreachableError
from archival_pipeline_tests.support.imixs.scene import CREATED, document_id
from archival_pipeline_tests.support.imixs.server import TOKEN_SECONDS

if TYPE_CHECKING:
    from archival_pipeline_tests.support.imixs.instance import Instance

METHODS = ["BASIC", "FORM", "COOKIE", "JWT", "OIDC"]


def no_sleep(_: float) -> None:
    return


def client_of(instance: Instance, method: str = "BASIC") -> WorkflowClient:
    return WorkflowClient(instance.settings(method), sleep=no_sleep)


@pytest.mark.parametrize("method", METHODS)
def test_every_login_works(instance: Instance, method: str) -> None:
    instance.save(document_id(), created=CREATED)
    with client_of(instance, method) as client:
        assert len(client.events("snapshot.backup", 10)) == 1


@pytest.mark.parametrize("method", METHODS)
def test_wrong_password_is_a_login_error(instance: Instance, method: str) -> None:
    settings = instance.settings(method, WORKFLOW_SERVICE_PASSWORD="wrong")
    with WorkflowClient(settings, sleep=no_sleep) as client, pytest.raises(LoginError) as refused:
        client.events("snapshot.backup", 10)
    assert "wrong" not in str(refused.value)


@pytest.mark.parametrize("method", ["FORM", "OIDC"])
def test_expired_login_is_renewed_and_the_entry_really_goes(instance: Instance, method: str) -> None:
    """The answer to a deletion after the session has ended is a page with status 200."""
    instance.save(document_id(), created=CREATED)
    with client_of(instance, method) as client:
        [event] = client.events("snapshot.backup", 10)
        instance.fault("DELETE", "expire")
        client.delete_event(event.id)
    assert instance.entries() == []


def test_token_is_renewed_before_it_ends(instance: Instance) -> None:
    now = [1000.0]
    settings = instance.settings("OIDC")
    with WorkflowClient(settings, clock=lambda: now[0], sleep=no_sleep) as client:
        client.events("snapshot.backup", 1)
        before = sum("/token" in call for call in instance.calls())
        now[0] += TOKEN_SECONDS - 29
        client.events("snapshot.backup", 1)
        assert sum("/token" in call for call in instance.calls()) == before + 1


def test_missing_document_is_none_and_no_error(instance: Instance) -> None:
    with client_of(instance) as client, tempfile.TemporaryFile() as sink:
        assert client.fetch(document_id(9), sink) is None
        assert client.items(document_id(9), frozenset({"$uniqueid"})) is None


@pytest.mark.parametrize("action", ["cut", "drop", "500"])
def test_broken_answer_is_asked_for_again(instance: Instance, action: str) -> None:
    snapshot = instance.save(document_id(), files={"a": b"x" * 10_000}, created=CREATED)
    instance.fault("GET .*documents", action, times=2)
    with client_of(instance) as client, tempfile.TemporaryFile() as sink:
        found = client.fetch(snapshot, sink)
        assert found is not None
        assert found.first("$uniqueid") == snapshot
        sink.seek(0)
        assert sink.read().endswith(b"</document></data>")


def test_server_that_keeps_failing_is_unreachable(instance: Instance) -> None:
    instance.fault("GET .*eventlog", "503", times=3)
    with client_of(instance) as client, pytest.raises(UnreachableError, match="503"):
        client.events("snapshot.backup", 1)


@pytest.mark.parametrize("status", ["409", "500"])
def test_lost_race_for_a_lock_is_not_ours(instance: Instance, status: str) -> None:
    instance.save(document_id(), created=CREATED)
    instance.fault("POST .*lock", status)
    with client_of(instance) as client:
        [event] = client.events("snapshot.backup", 1)
        assert client.lock(event.id) is False


def test_lock_is_never_sent_twice(instance: Instance) -> None:
    instance.save(document_id(), created=CREATED)
    instance.fault("POST .*lock", "lose")
    with client_of(instance) as client:
        [event] = client.events("snapshot.backup", 1)
        with pytest.raises(UnreachableError):
            client.lock(event.id)
    assert instance.topics() == ["snapshot.backup.lock"]


def test_release_is_not_in_the_client() -> None:
    assert not [name for name in dir(WorkflowClient) if "release" in name]
