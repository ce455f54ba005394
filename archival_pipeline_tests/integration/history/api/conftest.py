"""The interface on a history with rows, and tokens that it believes."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

import anyio
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from archival_pipeline.api.history.app import history_app
from archival_pipeline.settings_api import LimitSettings
from archival_pipeline.settings_history import HistoryApiSettings
from archival_pipeline_tests.support.history import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from fastapi import FastAPI

    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline_tests.support.databases import TestDatabases

ISSUER = "https://ids.example/realms/citizen"


class Tokens:
    """Signs tokens with one key."""

    def __init__(self, key: RSAPrivateKey) -> None:
        self.key = key

    def claims(self, **changed: Any) -> dict[str, Any]:
        """What a token of the platform says; None takes a claim out."""
        usual = {
            "iss": ISSUER,
            "exp": int(time.time()) + 300,
            "preferred_username": "olena",
            "realm_access": {"roles": ["citizen"]},
        }
        return {name: value for name, value in {**usual, **changed}.items() if value is not None}

    def make(self, *, algorithm: str = "RS256", kid: str | None = None, **changed: Any) -> str:
        """A token."""
        headers = {"kid": kid} if kid else None
        return jwt.encode(self.claims(**changed), self.key, algorithm=algorithm, headers=headers)


@pytest.fixture(scope="session")
def signing_key() -> RSAPrivateKey:
    """A key; making one takes a moment."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


@pytest.fixture
def tokens(signing_key: RSAPrivateKey) -> Tokens:
    """Tokens that the interface believes."""
    return Tokens(signing_key)


def public_pem(key: RSAPrivateKey) -> bytes:
    """The half of a key that the interface gets."""
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def api_settings(**values: Any) -> HistoryApiSettings:
    """Settings by variable."""
    return HistoryApiSettings.model_validate({"HISTORY_API_JWT_ISSUERS": ISSUER, **values})


class Caller:
    """Sends requests to an app in this process."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def get(self, path: str, **options: Any) -> httpx.Response:
        """GET."""
        return self.request("GET", path, **options)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Any method."""

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://history") as client:
                return await client.request(method, path, **options)

        return anyio.run(send)


class NewApp(Protocol):
    """Makes an app on a fresh history."""

    def __call__(self) -> tuple[FastAPI, DatabaseSettings]:
        """Return the app and its empty history; both go with the module."""
        ...


@pytest.fixture(scope="module")
def new_app(
    backup_databases: TestDatabases, signing_key: RSAPrivateKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NewApp]:
    """Apps with a key given by a file."""
    path = tmp_path_factory.mktemp("keys") / "key.pem"
    path.write_bytes(public_pem(signing_key))
    settings = api_settings(HISTORY_API_JWT_KEY_PATH=str(path))
    with ExitStack() as opened:

        def make() -> tuple[FastAPI, DatabaseSettings]:
            database = backup_databases.fresh(backup_databases.template("execution history", migrate))
            opened.callback(backup_databases.drop, database)
            app = history_app(database, settings, LimitSettings.model_validate({}))
            opened.callback(app.state.history.pools.close)
            return app, database

        yield make


@pytest.fixture(scope="module")
def idle(new_app: NewApp) -> Caller:
    """An interface to an empty history; tests only read."""
    return Caller(new_app()[0])


@pytest.fixture
def fresh(new_app: NewApp) -> tuple[FastAPI, DatabaseSettings]:
    """An app of the test's own."""
    return new_app()


@pytest.fixture
def history_database(fresh: tuple[FastAPI, DatabaseSettings]) -> DatabaseSettings:
    """The history behind ``client``, empty at first."""
    return fresh[1]


@pytest.fixture
def client(fresh: tuple[FastAPI, DatabaseSettings]) -> Caller:
    """An interface of the test's own."""
    return Caller(fresh[0])
