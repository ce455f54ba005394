"""Puts the history interface together, and starts it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import uvicorn

from archival_pipeline.api import logs
from archival_pipeline.api.app import About, create_app
from archival_pipeline.api.history import problems, routes
from archival_pipeline.api.history.metrics import LagCollector
from archival_pipeline.api.history.state import HistoryState
from archival_pipeline.api.history.tokens import TokenVerifier
from archival_pipeline.api.metrics import exposition
from archival_pipeline.api.workers import Workers
from archival_pipeline.database.connections import Limits
from archival_pipeline.database.pools import SessionPools
from archival_pipeline.history import service
from archival_pipeline.settings_history import load_history_api, load_history_database, load_history_limits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fastapi import FastAPI, Response

    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline.settings_api import LimitSettings
    from archival_pipeline.settings_history import HistoryApiSettings

_STOP_SECONDS = 20
_LIMITS = Limits(lock_timeout=1_000, statement_timeout=10_000)
_TOKEN_WORKERS = 4


class _OwnTokens:
    """The service's callers carry tokens that the routes verify; nothing has to be closed."""

    async def check(self, token: str | None) -> Any:
        raise NotImplementedError

    def require(self, caller: Any, access: Any) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        return None


def history_app(
    database: DatabaseSettings,
    settings: HistoryApiSettings,
    limits: LimitSettings,
    lag: Callable[[], Mapping[str, int]] = lambda: service.lag(service.load()),
) -> FastAPI:
    """The app of the history interface; nothing is connected yet.

    Args:
        database: of the history.
        settings: whose tokens are believed, and how answers look.
        limits: how much one caller may take.
        lag: says how many records of each topic wait.
    """
    about = About(
        title="Business processes history service",
        description="What the user started, and what the user did. A user sees only rows of their own.",
        version="1.0",
        base="",
    )
    pools = SessionPools(limits.sessions, _LIMITS)
    app = create_app(about, limits, _OwnTokens(), close=pools.close)
    problems.install(app)
    workers = Workers({"history": limits.sessions, "tokens": _TOKEN_WORKERS}, within=pools.use)
    app.state.history = HistoryState(settings, workers, database, pools, TokenVerifier(settings))
    app.state.metrics.registry.register(LagCollector(lag))
    app.include_router(routes.router)

    def metrics() -> Response:
        return exposition(app.state.metrics.registry)

    app.add_api_route("/metrics", metrics, include_in_schema=False)
    app.add_api_route("/v3/api-docs", app.openapi, include_in_schema=False)
    return app


def run() -> None:
    """Serve until told to stop.

    Raises:
        ConfigurationError: a setting is missing or wrong.
    """
    settings = load_history_api()
    limits = load_history_limits()
    app = history_app(load_history_database(), settings, limits)
    logs.configure()
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=limits.connections,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
