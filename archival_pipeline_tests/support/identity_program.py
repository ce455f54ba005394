"""The OAuth 2 server that tests start: tokens for clients, introspection, revocation; authlib speaks the protocol.

``python -m archival_pipeline_tests.support.identity_program PORT``. Clients and tokens are in memory.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin, grants
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from flask import Flask
from werkzeug.serving import make_server

from archival_pipeline_tests.support.identity_server import CLIENTS, SERVICE


@dataclass(slots=True)
class Token:
    """What was issued to a client."""

    value: str
    client_id: str
    scope: str
    until: float
    revoked: bool = False

    def check_client(self, client: Any) -> bool:
        return bool(client.get_client_id() == self.client_id)

    def is_expired(self) -> bool:
        return self.until <= time.time()

    def is_revoked(self) -> bool:
        return self.revoked


@dataclass(slots=True)
class Books:
    """All tokens, and how often somebody asked about one."""

    tokens: dict[str, Token] = field(default_factory=dict)
    asked: int = 0


BOOKS = Books()


class Client(ClientMixin):
    """One of the known clients."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.secret, self.scope, self.seconds = CLIENTS[name]

    def get_client_id(self) -> str:
        return self.name

    def get_allowed_scope(self, scope: Any) -> str:
        return " ".join(word for word in str(scope).split() if word in self.scope.split())

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == self.secret

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:  # noqa: ARG002 - authlib's signature
        return method == "client_secret_basic"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "client_credentials"


class Introspection(IntrospectionEndpoint):
    """RFC 7662, for the service alone."""

    def query_token(self, token_string: str, token_type_hint: str) -> Token | None:  # noqa: ARG002 - authlib's
        return BOOKS.tokens.get(token_string)

    def check_permission(self, token: Token, client: Any, request: Any) -> bool:  # noqa: ARG002 - authlib's signature
        return bool(client.name == SERVICE)

    def introspect_token(self, token: Token) -> dict[str, Any]:
        return {
            "active": True,
            "client_id": token.client_id,
            "sub": token.client_id,
            "scope": token.scope,
            "exp": int(token.until),
        }


class Revocation(RevocationEndpoint):
    """RFC 7009."""

    def query_token(self, token_string: str, token_type_hint: str) -> Token | None:  # noqa: ARG002 - authlib's
        return BOOKS.tokens.get(token_string)

    def revoke_token(self, token: Token, request: Any) -> None:  # noqa: ARG002 - authlib's signature
        token.revoked = True


def save(token: dict[str, Any], request: Any) -> None:
    """Remember an issued token."""
    value, client = token["access_token"], request.client
    BOOKS.tokens[value] = Token(value, client.name, token.get("scope", ""), time.time() + client.seconds)


def make_app() -> Flask:
    """The server's app."""
    app = Flask(__name__)
    server = AuthorizationServer(
        app, query_client=lambda name: Client(name) if name in CLIENTS else None, save_token=save
    )
    server.register_grant(grants.ClientCredentialsGrant)
    server.register_endpoint(Introspection)
    server.register_endpoint(Revocation)

    def token() -> Any:
        return server.create_token_response()

    app.add_url_rule("/oauth2/token", "token", token, methods=["POST"])
    for path, endpoint in (("introspect", Introspection), ("revoke", Revocation)):

        def answer(name: str = endpoint.ENDPOINT_NAME) -> Any:
            BOOKS.asked += name == Introspection.ENDPOINT_NAME
            return server.create_endpoint_response(name)  # type: ignore[no-untyped-call]

        app.add_url_rule(f"/oauth2/{path}", path, answer, methods=["POST"])
    app.add_url_rule("/asked", "asked", lambda: str(BOOKS.asked))
    return app


if __name__ == "__main__":
    make_server("127.0.0.1", int(sys.argv[1]), make_app(), threaded=True).serve_forever()
