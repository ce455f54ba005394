"""Bearer tokens: the identity server is asked about each (OAuth 2 introspection), and the answer kept for a short time.

Reused by every service whose callers carry tokens of the identity server: :class:`Introspection` checks, and
:func:`requires` is what a route depends on. Closed, not open: whatever keeps the answer from being «active» (server
down, slow, or saying something else) keeps the caller out. A token is never logged; what is kept is its digest.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import httpx
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc7009 import prepare_revoke_token_request
from cachetools import TTLCache
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from archival_pipeline.api.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from archival_pipeline.settings_api import SecuritySettings

_CACHED_TOKENS = 10_000
_LONGEST_TOKEN = 8_192
_ROLE_CLAIMS = ("scope", "roles", "role", "groups")


class Access(StrEnum):
    """What a route does; each may ask for a role of its own."""

    READ = "read"
    OPERATE = "operate"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls.

    Attributes:
        name: of the user or the program, for logs and run tags.
        roles: scopes, roles and groups of the token.
        until: when the token ends, in seconds since 1970; None if it does not say.
    """

    name: str
    roles: frozenset[str] = field(default_factory=frozenset)
    until: float | None = None


class TokenChecker(Protocol):
    """Knows who carries a token."""

    async def check(self, token: str | None) -> Caller:
        """Return the caller, or raise an :class:`ApiError`."""
        ...

    def require(self, caller: Caller, access: Access) -> None:
        """Raise an :class:`ApiError` unless the caller may do this."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class Nobody:
    """Lets everybody in, where security is switched off for local use."""

    async def check(self, token: str | None) -> Caller:  # noqa: ARG002 - the signature of a checker
        """Everybody is nobody."""
        return Caller("anonymous")

    def require(self, caller: Caller, access: Access) -> None:
        """Everybody may do everything."""

    async def close(self) -> None:
        """Nothing is open."""


class Introspection:
    """Asks the identity server (RFC 7662)."""

    def __init__(self, settings: SecuritySettings, clock: Callable[[], float] = time.time) -> None:
        """Prepare; nothing is asked yet.

        Args:
            settings: where the server is, and which role does what.
            clock: seconds since 1970.
        """
        self._settings = settings
        self._clock = clock
        self._roles = {Access.READ: settings.read_role, Access.OPERATE: settings.operate_role}
        secret = settings.client_secret
        self._ourselves = ClientAuth(settings.client_id, secret.get_secret_value() if secret else None)
        # Tokens go to the address that is configured and nowhere else: no proxy of the environment, no redirect.
        self._client = httpx.AsyncClient(timeout=settings.timeout_seconds, trust_env=False)
        self._known: TTLCache[bytes, Caller | None] = TTLCache(_CACHED_TOKENS, settings.cache_seconds, timer=clock)
        self._asking: dict[bytes, asyncio.Task[Caller | None]] = {}

    async def check(self, token: str | None) -> Caller:
        """Return who carries the token.

        Raises:
            ApiError: 401 if there is none or it is not active, 503 if nobody could say.
        """
        if not token or len(token) > _LONGEST_TOKEN or not token.isascii():
            raise _unauthorized("There is no usable bearer token.", "invalid_request")
        key = hashlib.sha256(token.encode()).digest()
        caller = self._known[key] if key in self._known else await self._ask_once(key, token)
        if caller is None or (caller.until is not None and caller.until <= self._clock()):
            raise _unauthorized("The bearer token is not active.", "invalid_token")
        return caller

    def require(self, caller: Caller, access: Access) -> None:
        """Check the role, where one is configured for this kind of access.

        Raises:
            ApiError: 403.
        """
        role = self._roles[access]
        if role is not None and role not in caller.roles:
            raise ApiError(
                HTTPStatus.FORBIDDEN,
                "FORBIDDEN",
                f"The token lacks the role {role}.",
                resolve=f"Ask the owner of the identity server for {role}.",
                headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{role}"'},
            )

    async def close(self) -> None:
        """Close the connections to the identity server."""
        await self._client.aclose()

    async def _ask_once(self, key: bytes, token: str) -> Caller | None:
        """Ask once for all who wait for the same token; a failure is kept by nobody."""
        task = self._asking.get(key)
        if task is None:
            task = asyncio.create_task(self._ask(token))
            self._asking[key] = task
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        # A caller that gives up must not take the answer from the others.
        caller = await asyncio.shield(task)
        self._known[key] = caller
        return caller

    async def _ask(self, token: str) -> Caller | None:
        try:
            url, headers, body = self._signed(token)
            answer = await self._client.post(url, headers=headers, content=body)
            claims = answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise _nobody_knows() from error
        if not isinstance(claims, dict) or not isinstance(claims.get("active"), bool):
            raise _nobody_knows()
        return self._caller(claims) if self._is_ours(claims) else None

    def _signed(self, token: str) -> tuple[str, dict[str, str], str]:
        """The request, with our own name and secret; a token is asked about in the form in which it is revoked."""
        body, headers = prepare_revoke_token_request(token, "access_token", headers={"Accept": "application/json"})
        url, headers, body = self._ourselves.prepare("POST", self._settings.introspection_url, headers, body)  # type: ignore[no-untyped-call]
        return str(url), dict(headers), str(body)

    def _is_ours(self, claims: Mapping[str, Any]) -> bool:
        """Active, and meant for this service where an audience is configured."""
        if claims["active"] is not True:
            return False
        begins = claims.get("nbf")
        if isinstance(begins, (int, float)) and begins > self._clock():
            return False
        audience = self._settings.audience
        return audience is None or audience in _words(claims.get("aud"))

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        name = next((claims[key] for key in ("username", "sub", "client_id") if claims.get(key)), "unknown")
        until = claims.get("exp")
        roles = frozenset(word for claim in _ROLE_CLAIMS for word in _words(claims.get(claim)))
        return Caller(str(name)[:200], roles, float(until) if isinstance(until, (int, float)) else None)


def _words(value: object) -> list[str]:
    """A claim is a list, or words in one text."""
    if isinstance(value, str):
        return value.split()
    return [str(item) for item in value] if isinstance(value, list) else []


def _unauthorized(summary: str, error: str) -> ApiError:
    return ApiError(
        HTTPStatus.UNAUTHORIZED,
        "UNAUTHORIZED",
        summary,
        resolve="Send Authorization: Bearer with a token that the identity server has issued and that has not ended.",
        headers={"WWW-Authenticate": f'Bearer error="{error}"'},
    )


def _nobody_knows() -> ApiError:
    return ApiError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "IDENTITY_SERVER_UNAVAILABLE",
        "The identity server did not say whether the token is active, so nobody is let in.",
        resolve="Check that IDS_URL is up and that IDS_CLIENT_ID may introspect; then try again.",
        headers={"Retry-After": "5"},
    )


_BEARER = HTTPBearer(
    auto_error=False,
    scheme_name="bearer",
    description="An access token of the identity server (`Authorization: Bearer <token>`).",
)


Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]


def requires(access: Access) -> Callable[..., Coroutine[Any, Any, Caller]]:
    """A dependency that lets in who carries a good token with the role for this access, and returns the caller.

    The app's ``state.tokens`` is the checker.
    """

    async def check(request: Request, credentials: Credentials) -> Caller:
        tokens: TokenChecker = request.app.state.tokens
        caller = await tokens.check(credentials.credentials if credentials else None)
        request.state.caller = caller.name
        tokens.require(caller, access)
        return caller

    return check
