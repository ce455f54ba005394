"""What surrounds every request: its id, its limits, one log line, its metrics, and the last resort for errors.

Reused by every service; ``app.py`` puts it around the routes. Life of a request: an id is taken from ``X-Request-Id``
or made; a body that is too large is refused before it is read; the clock runs until the last byte is sent, so that
neither a slow sender nor a slow reader stays for ever; an error that nobody foresaw is logged with its traceback and
answered without it.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException

from archival_pipeline.api import errors
from archival_pipeline.api.logs import REQUEST_ID
from archival_pipeline.api.metrics import route_of
from archival_pipeline.errors import ArchivalError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from archival_pipeline.api.metrics import HttpMetrics

REQUEST_ID_HEADER = "X-Request-Id"
_log = logging.getLogger("archival_pipeline.api.access")
_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}


class Envelope:
    """ASGI middleware around one app."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        body_bytes: int,
        seconds: float,
        slow_paths: Mapping[str, float],
        metrics: HttpMetrics,
    ) -> None:
        """Wrap an app.

        Args:
            app: the next layer.
            body_bytes: largest body.
            seconds: longest request.
            slow_paths: paths with another limit, in seconds.
            metrics: counts the requests.
        """
        self._app = app
        self._body_bytes = body_bytes
        self._seconds = seconds
        self._slow_paths = slow_paths
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _id_of(scope)
        before = REQUEST_ID.set(request_id)
        sent = _Sent(send, request_id)
        started = time.perf_counter()
        try:
            with self._metrics.in_flight.track_inprogress():
                await self._serve(scope, receive, sent)
        finally:
            seconds = time.perf_counter() - started
            self._metrics.record(scope, sent.status, seconds)
            _log.info(
                "request",
                extra={
                    "method": scope["method"],
                    "route": route_of(scope),
                    "status": sent.status,
                    "seconds": round(seconds, 4),
                    "caller": scope.get("state", {}).get("caller", "-"),
                },
            )
            REQUEST_ID.reset(before)

    async def _serve(self, scope: Scope, receive: Receive, sent: _Sent) -> None:
        try:
            async with asyncio.timeout(self._slow_paths.get(scope["path"], self._seconds)):
                _refuse_announced(scope, self._body_bytes)
                await self._app(scope, _capped(receive, self._body_bytes), sent)
        except HTTPException as refused:
            told = ArchivalError(f"{refused.detail}.", resolve="Send a smaller body.", code="BODY_TOO_LARGE")
            await _answer(scope, receive, sent, told, HTTPStatus(refused.status_code))
        except TimeoutError:
            told = ArchivalError(
                "The request took longer than the service allows.",
                resolve="Try again; ask for less, or raise API_REQUEST_SECONDS.",
                code="REQUEST_TIMEOUT",
            )
            await _answer(scope, receive, sent, told, HTTPStatus.SERVICE_UNAVAILABLE)
        except Exception:  # noqa: BLE001 - nothing is hidden: it is logged with its traceback
            # The last resort: the log gets everything, the caller an id to ask about.
            _log.exception("unforeseen error")
            told = ArchivalError(
                "The service made an error.",
                resolve="Look for the request id in the log of the service.",
                code="INTERNAL_ERROR",
            )
            await _answer(scope, receive, sent, told, HTTPStatus.INTERNAL_SERVER_ERROR)


async def _answer(scope: Scope, receive: Receive, sent: _Sent, error: ArchivalError, status: HTTPStatus) -> None:
    """Tell the error, if nothing has been sent yet; otherwise the connection is cut, which tells it, too."""
    if sent.status == 0:
        response = errors.answer_with(error, status)
        await response(scope, receive, sent)


class _Sent:
    """Passes the answer on, with the headers that every answer has, and remembers its status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers[REQUEST_ID_HEADER] = self._request_id
            for name, value in _SAFE_HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)


def _id_of(scope: Scope) -> str:
    given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
    return given if _GIVEN_ID.fullmatch(given) else str(uuid.uuid4())


def _refuse_announced(scope: Scope, most: int) -> None:
    """Refuse a body by the length it announces, before any of it is read."""
    length = Headers(scope=scope).get("content-length", "0")
    if length.isdecimal() and int(length) > most:
        raise _too_large()


def _too_large() -> HTTPException:
    return HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is larger than the service takes")


def _capped(receive: Receive, most: int) -> Receive:
    """Count what arrives: a body without a length, or with a wrong one, is cut off as well."""
    got = 0

    async def counted() -> Message:
        nonlocal got
        message = await receive()
        got += len(message.get("body", b""))
        if got > most:
            raise _too_large()
        return message

    return counted
