"""Who is let in: tokens that hold, for what they say, and nobody else."""

from __future__ import annotations

import base64
import json
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from archival_pipeline.api.history.problems import HistoryApiError
from archival_pipeline.api.history.tokens import TokenVerifier
from archival_pipeline_tests.integration.history.api.conftest import ISSUER, Tokens, api_settings, public_pem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from archival_pipeline_tests.integration.history.api.conftest import Caller


PATH = "/api/runtime/process-instances"


def _part(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def _hmac_with_public_key(tokens: Tokens) -> str:
    import hashlib
    import hmac

    head = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(tokens.claims())}"
    mac = hmac.new(public_pem(tokens.key), head.encode(), hashlib.sha256).digest()
    return f"{head}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def _other_key(_: Tokens) -> str:
    return Tokens(rsa.generate_private_key(public_exponent=65_537, key_size=2_048)).make()


def _changed(tokens: Tokens) -> str:
    head, _, signature = tokens.make().split(".")
    return f"{head}.{_part(tokens.claims(preferred_username='taras'))}.{signature}"


REFUSED: dict[str, tuple[Callable[[Tokens], str | None], int, str]] = {
    "none": (lambda _: None, 401, "AUTHENTICATION_FAILED"),
    "empty": (lambda _: "", 401, "AUTHENTICATION_FAILED"),
    "garbage": (lambda _: "garbage", 401, "JWT_INVALID"),
    "three dots": (lambda _: "a.b.c", 401, "JWT_INVALID"),
    "with Bearer": (lambda t: f"Bearer {t.make()}", 401, "JWT_INVALID"),
    "too long": (lambda t: t.make(x="y" * 20_000), 401, "JWT_INVALID"),
    "expired": (lambda t: t.make(exp=int(time.time()) - 60), 401, "JWT_INVALID"),
    "not yet": (lambda t: t.make(nbf=int(time.time()) + 300), 401, "JWT_INVALID"),
    "without expiry": (lambda t: t.make(exp=None), 401, "JWT_INVALID"),
    "without issuer": (lambda t: t.make(iss=None), 401, "JWT_INVALID"),
    "other issuer": (lambda t: t.make(iss="https://elsewhere.example"), 401, "JWT_INVALID"),
    "issuer no text": (lambda t: f"{_part({'alg': 'RS256'})}.{_part(t.claims() | {'iss': [1]})}.x", 401, "JWT_INVALID"),
    "other key": (_other_key, 401, "JWT_INVALID"),
    "changed": (_changed, 401, "JWT_INVALID"),
    "unsigned": (lambda t: f"{_part({'alg': 'none'})}.{_part(t.claims())}.", 401, "JWT_INVALID"),
    "public key as secret": (_hmac_with_public_key, 401, "JWT_INVALID"),
    "other algorithm": (lambda t: t.make(algorithm="RS512"), 401, "JWT_INVALID"),
    "no user": (lambda t: t.make(preferred_username=None), 401, "JWT_INVALID"),
    "empty user": (lambda t: t.make(preferred_username=""), 401, "JWT_INVALID"),
    "user no text": (lambda t: t.make(preferred_username=7), 401, "JWT_INVALID"),
    "user not storable": (lambda t: t.make(preferred_username="a\0b"), 401, "JWT_INVALID"),
    "no role": (lambda t: t.make(realm_access={"roles": ["offline_access"]}), 403, "FORBIDDEN_OPERATION"),
    "no roles": (lambda t: t.make(realm_access=None), 403, "FORBIDDEN_OPERATION"),
    "roles no list": (lambda t: t.make(realm_access={"roles": "officer"}), 403, "FORBIDDEN_OPERATION"),
    "role elsewhere": (lambda t: t.make(realm_access=None, roles=["officer"]), 403, "FORBIDDEN_OPERATION"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_who_is_not_let_in(idle: Caller, tokens: Tokens, case: str) -> None:
    make, status, code = REFUSED[case]
    token = make(tokens)
    response = idle.get(PATH, headers={} if token is None else {"X-Access-Token": token})
    assert (response.status_code, response.json()["code"]) == (status, code)


@pytest.mark.parametrize("role", ["officer", "unregistered-officer", "citizen", "trembita-invoker"])
def test_every_role_of_the_platform_is_let_in_without_the_other_claim(idle: Caller, tokens: Tokens, role: str) -> None:
    token = tokens.make(realm_access={"roles": [role]})
    assert idle.get(PATH, headers={"X-Access-Token": token}).status_code == 200


def test_a_clock_that_is_a_little_late_is_forgiven(idle: Caller, tokens: Tokens) -> None:
    token = tokens.make(exp=int(time.time()) - 10)
    assert idle.get(PATH, headers={"X-Access-Token": token}).status_code == 200


class Realm:
    """A key set behind HTTP that can be changed, counted and taken away."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = []
        self.asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                body = json.dumps({"keys": outer.keys}).encode()
                self.send_response(HTTPStatus.OK)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self.server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Address of the key set."""
        return f"http://127.0.0.1:{self.server.server_port}/certs"

    def add(self, tokens: Tokens, kid: str) -> None:
        """One more key."""
        self.keys.append({**RSAAlgorithm.to_jwk(tokens.key.public_key(), as_dict=True), "kid": kid, "use": "sig"})

    def close(self) -> None:
        """Take it away."""
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@pytest.fixture
def realm() -> Iterator[Realm]:
    """A realm without keys."""
    made = Realm()
    yield made
    made.close()


def test_keys_of_a_realm_are_fetched_once_and_again_when_they_change(realm: Realm, tokens: Tokens) -> None:
    verifier = TokenVerifier(api_settings(HISTORY_API_JWKS_URLS=realm.url), look_again_seconds=0)
    realm.add(tokens, "one")
    for _ in range(3):
        assert verifier.verify(tokens.make(kid="one")).name == "olena"
    assert realm.asked == 1

    newer = Tokens(rsa.generate_private_key(public_exponent=65_537, key_size=2_048))
    realm.add(newer, "two")
    assert verifier.verify(newer.make(kid="two")).name == "olena"
    assert realm.asked == 2


def test_tokens_with_made_up_keys_do_not_make_us_ask_each_time(realm: Realm, tokens: Tokens) -> None:
    verifier = TokenVerifier(api_settings(HISTORY_API_JWKS_URLS=realm.url))
    realm.add(tokens, "one")
    for number in range(20):
        with pytest.raises(HistoryApiError) as caught:
            verifier.verify(tokens.make(kid=f"made up {number}"))
        assert caught.value.code == "JWT_INVALID"
    # One look for the keys, and one more when the first unknown key came.
    assert realm.asked <= 2
    assert verifier.verify(tokens.make(kid="one")).name == "olena"


def test_each_realm_is_verified_with_its_own_keys(tokens: Tokens) -> None:
    first, second = Realm(), Realm()
    try:
        others = Tokens(rsa.generate_private_key(public_exponent=65_537, key_size=2_048))
        first.add(tokens, "k")
        second.add(others, "k")
        settings = api_settings(
            HISTORY_API_JWT_ISSUERS=f"{ISSUER}, https://ids.example/realms/officer",
            HISTORY_API_JWKS_URLS=f"{first.url},{second.url}",
        )
        verifier = TokenVerifier(settings)
        assert verifier.verify(others.make(kid="k", iss="https://ids.example/realms/officer")).name == "olena"
        with pytest.raises(HistoryApiError):
            verifier.verify(others.make(kid="k"))
    finally:
        first.close()
        second.close()


def test_a_realm_that_does_not_answer_is_not_the_callers_fault(tokens: Tokens) -> None:
    gone = Realm()
    url = gone.url
    gone.close()
    verifier = TokenVerifier(api_settings(HISTORY_API_JWKS_URLS=url))
    with pytest.raises(HistoryApiError) as caught:
        verifier.verify(tokens.make(kid="one"))
    assert caught.value.status == HTTPStatus.SERVICE_UNAVAILABLE


def test_an_audience_is_asked_for_where_one_is_set(tokens: Tokens, realm: Realm) -> None:
    realm.add(tokens, "one")
    verifier = TokenVerifier(api_settings(HISTORY_API_JWKS_URLS=realm.url, HISTORY_API_JWT_AUDIENCE="history"))
    assert verifier.verify(tokens.make(kid="one", aud="history")).name == "olena"
    for audience in ("other", None):
        with pytest.raises(HistoryApiError):
            verifier.verify(tokens.make(kid="one", aud=audience))
    assert jwt.decode(tokens.make(), options={"verify_signature": False})["iss"] == ISSUER
