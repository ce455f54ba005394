"""Log lines of the HTTP services: one JSON object a line, with the request's id, without secrets.

Reused by every service: :func:`configure` once a process, :data:`REQUEST_ID` for the request at work.
"""

from __future__ import annotations

import logging
import logging.config
from contextvars import ContextVar
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from archival_pipeline.errors import redact

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="-")
"""Id of the request that this task or thread works for."""


class RedactingFormatter(JsonFormatter):
    """Writes a record as JSON; whatever looks like a secret, in message, extras or traceback, is blanked."""

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Blank secrets in the finished record; the HTTP server's second, coloured message says nothing new."""
        return {name: _blank(value) for name, value in log_data.items() if name != "color_message"}


def _blank(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {name: _blank(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_blank(item) for item in value]
    return value


def _with_request(record: logging.LogRecord) -> logging.LogRecord:
    record.requestId = REQUEST_ID.get()
    return record


def configure(level: str = "INFO") -> None:
    """Send every log line of this process to standard output as JSON.

    The HTTP server's own access log is off: the envelope writes one line a request, with id and caller.
    """
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "json": {
                    "()": RedactingFormatter,
                    "fmt": ["asctime", "levelname", "name", "message", "requestId"],
                    "rename_fields": {"asctime": "at", "levelname": "level", "name": "logger"},
                    "datefmt": "%Y-%m-%dT%H:%M:%S%z",
                }
            },
            "filters": {"request": {"()": lambda: _with_request}},
            "handlers": {
                "stdout": {
                    "class": "logging.StreamHandler",
                    "stream": "ext://sys.stdout",
                    "formatter": "json",
                    "filters": ["request"],
                }
            },
            "root": {"level": level, "handlers": ["stdout"]},
            "loggers": {
                "uvicorn": {"level": level, "handlers": [], "propagate": True},
                "uvicorn.access": {"level": "CRITICAL", "propagate": False},
                # A line for each call to Dagster and the identity server would drown the others.
                "httpx": {"level": "WARNING"},
                "gql": {"level": "WARNING"},
            },
        }
    )
