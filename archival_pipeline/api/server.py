"""Runs an app on a port until it is told to stop.

Reused by every service: :func:`serve`. Requests at work are finished first; the platform's patience is the limit.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import uvicorn

from archival_pipeline.api import logs

if TYPE_CHECKING:
    from fastapi import FastAPI

    from archival_pipeline.settings_api import ApiSettings

_STOP_SECONDS = 20
_log = logging.getLogger(__name__)


def serve(app: FastAPI, settings: ApiSettings) -> None:
    """Listen until SIGINT or SIGTERM.

    Args:
        app: to serve.
        settings: where to listen, and how many connections there may be.
    """
    logs.configure()
    _say_who_may_call(settings)
    uvicorn.run(
        app,
        host=host_of(settings),
        port=settings.service.port,
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=settings.limits.connections,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )


def host_of(settings: ApiSettings) -> str:
    """Where to listen: everywhere, but on this machine alone where nobody is asked for a token."""
    everywhere = "0.0.0.0"  # noqa: S104 - a service in a container is reached from outside it
    return settings.service.host or (everywhere if settings.security.enabled else "127.0.0.1")


def _say_who_may_call(settings: ApiSettings) -> None:
    security = settings.security
    if not security.enabled:
        _log.warning(
            "IDS_ENABLE=false: NOBODY IS ASKED FOR A TOKEN. Whoever reaches %s:%d may move and delete. "
            "For local use only.",
            host_of(settings),
            settings.service.port,
        )
        return
    for variable, role in (("IDS_READ_ROLE", security.read_role), ("IDS_OPERATE_ROLE", security.operate_role)):
        if role is None:
            _log.warning("%s is not set: every active token is enough for this kind of access.", variable)
