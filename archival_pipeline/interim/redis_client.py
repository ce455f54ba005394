"""Opens Redis: a single server, or the master that Sentinels name; both with their own credentials and TLS.

The engine's services get by with ``+@read +@write -@dangerous``, and so do we: no PING, MULTI, EVAL, KEYS or INFO.
Not here: what is asked of Redis (``redis_store.py``).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    RedisError,
    ResponseError,
)
from redis.retry import Retry
from redis.sentinel import Sentinel

from archival_pipeline.interim.outages import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline.settings_interim import RedisSettings

REDIS = "redis"
_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 30.0
# Answers of a server that is starting, failing over or without its replicas: the same call passes later.
_PASSING = ("LOADING", "MASTERDOWN", "NOREPLICAS", "READONLY", "TRYAGAIN", "BUSY", "CLUSTERDOWN", "MISCONF")
_REFUSED = (AuthenticationError, AuthorizationError, NoPermissionError)


def open_redis(settings: RedisSettings) -> redis.Redis:
    """A client that connects when it is first used. Keys come as text; odd bytes survive the way there and back.

    Args:
        settings: where Redis is; it must be configured.
    """
    arguments: dict[str, Any] = {
        **_common(settings),
        **_login(settings.username, settings.password.get_secret_value() if settings.password else None),
        "db": settings.database,
        "decode_responses": True,
        "encoding_errors": "surrogateescape",
    }
    if not settings.sentinel_nodes:
        return redis.Redis(host=settings.host or "", port=settings.port, **arguments)
    password = settings.sentinel_password.get_secret_value() if settings.sentinel_password else None
    watchers = {**_common(settings), **_login(settings.sentinel_username, password)}
    sentinel = Sentinel(settings.nodes, sentinel_kwargs=watchers, **arguments)  # type: ignore[no-untyped-call]
    master: redis.Redis = sentinel.master_for(settings.sentinel_master or "")  # type: ignore[no-untyped-call]
    return master


def _common(settings: RedisSettings) -> dict[str, Any]:
    given: dict[str, Any] = {
        "socket_timeout": _ANSWER_SECONDS,
        "socket_connect_timeout": _CONNECT_SECONDS,
        # Tries are counted in one place, ours (outages.py).
        "retry": Retry(NoBackoff(), 0),
        # The older protocol needs no greeting; servers from 5 on speak it.
        "protocol": 2,
    }
    if settings.ssl:
        given["ssl"] = True
        if settings.ca_cert is not None:
            given["ssl_ca_data"] = settings.ca_cert.get_secret_value().replace("\\n", "\n")
        elif settings.ca_cert_path is not None:
            given["ssl_ca_certs"] = str(settings.ca_cert_path)
    return given


def _login(username: str | None, password: str | None) -> dict[str, str]:
    return {name: value for name, value in (("username", username), ("password", password)) if value}


@contextmanager
def reached() -> Iterator[None]:
    """Turn what the driver raises into our error; its text never holds a password.

    Raises:
        StoreError: Redis cannot be reached, is failing over, or refuses us.
    """
    try:
        yield
    except RedisError as error:
        raise as_store_error(error) from error


def as_store_error(error: RedisError) -> StoreError:
    """Ours for theirs: everything but a refusal may pass by itself."""
    passing = not isinstance(error, _REFUSED) and (not isinstance(error, ResponseError) or is_outage(error))
    said = str(error).strip().rstrip(".") or type(error).__name__
    return StoreError(REDIS, said.split("\n", 1)[0], transient=passing)


def is_outage(error: Exception) -> bool:
    """Whether an answer is about the server, not about the key that was asked for."""
    if isinstance(error, _REFUSED):
        return True
    if isinstance(error, ResponseError):
        # The driver takes the code off some answers and makes it the class.
        return type(error) is not ResponseError or str(error).startswith(_PASSING)
    return True
