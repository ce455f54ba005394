"""The JWT in ``X-Access-Token``: signature, issuer, expiry and audience are verified here, whatever stands in front.

The algorithm is pinned, so that neither «none» nor a public key used as a secret passes. Each realm is verified with
its own keys. Not here: what a user may see; a user sees his own rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import jwt
from jwt import PyJWKClient, PyJWKClientConnectionError

from archival_pipeline.api.history.problems import HistoryApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archival_pipeline.settings_history import HistoryApiSettings

HEADER = "X-Access-Token"
SYSTEM_ROLES = frozenset({"officer", "unregistered-officer", "citizen", "trembita-invoker"})
_LEEWAY_SECONDS = 30
_ASK_SECONDS = 5
_KEEP_SECONDS = 300
_LOOK_AGAIN_SECONDS = 10.0
_LONGEST = 16_384


@dataclass(frozen=True, slots=True)
class User:
    """Who asks.

    Attributes:
        name: as the engine knows the user.
        is_officer: which titles are shown.
    """

    name: str
    is_officer: bool


class TokenVerifier:
    """Turns a token into a user, or refuses it."""

    def __init__(self, settings: HistoryApiSettings, *, look_again_seconds: float = _LOOK_AGAIN_SECONDS) -> None:
        """Build a verifier; no key is fetched yet.

        Args:
            settings: issuers and where their keys are.
            look_again_seconds: a token that names an unknown key makes us fetch the keys again, at most this often.
        """
        self._settings = settings
        self._key = settings.key_path.read_text(encoding="utf-8") if settings.key_path else None
        urls = settings.key_addresses or (None,) * len(settings.issuer_names)
        self._realms = {
            issuer: PyJWKClient(url, lifespan=_KEEP_SECONDS, timeout=_ASK_SECONDS, cooldown_duration=look_again_seconds)
            if url
            else None
            for issuer, url in zip(settings.issuer_names, urls, strict=True)
        }

    def verify(self, token: str | None) -> User:
        """Verify a token. Blocks while keys are fetched.

        Raises:
            HistoryApiError: 401 without a token or with one that does not hold, 403 without a role of the platform,
                503 when the keys cannot be had.
        """
        if not token:
            raise HistoryApiError(HTTPStatus.UNAUTHORIZED, "AUTHENTICATION_FAILED")
        claims = self._claims(token)
        name = claims.get("preferred_username")
        if not isinstance(name, str) or not _storable(name):
            raise _invalid()
        if not SYSTEM_ROLES & _roles(claims.get("realm_access")):
            raise HistoryApiError(HTTPStatus.FORBIDDEN, "FORBIDDEN_OPERATION")
        roles = claims.get("roles")
        return User(name, is_officer=isinstance(roles, list) and "officer" in roles)

    def _claims(self, token: str) -> Mapping[str, Any]:
        if len(token) > _LONGEST:
            raise _invalid()
        try:
            issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
            if not isinstance(issuer, str) or issuer not in self._realms:
                raise _invalid()
            claims: Mapping[str, Any] = jwt.decode(
                token,
                self._key_for(issuer, token),
                algorithms=[self._settings.algorithm],
                issuer=issuer,
                audience=self._settings.audience,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iss"], "verify_aud": self._settings.audience is not None},
            )
        except PyJWKClientConnectionError as error:
            raise HistoryApiError(HTTPStatus.SERVICE_UNAVAILABLE, "AUTHENTICATION_UNAVAILABLE") from error
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise _invalid() from error
        return claims

    def _key_for(self, issuer: str, token: str) -> Any:
        keys = self._realms[issuer]
        return self._key if keys is None else keys.get_signing_key_from_jwt(token).key


def _roles(access: Any) -> frozenset[str]:
    roles = access.get("roles") if isinstance(access, dict) else None
    return frozenset(role for role in roles if isinstance(role, str)) if isinstance(roles, list) else frozenset()


def _storable(name: str) -> bool:
    return bool(name) and "\0" not in name and not any("\ud800" <= sign <= "\udfff" for sign in name)


def _invalid() -> HistoryApiError:
    return HistoryApiError(HTTPStatus.UNAUTHORIZED, "JWT_INVALID")
