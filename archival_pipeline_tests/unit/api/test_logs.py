"""Log lines: JSON, with the request's id, without secrets."""

from __future__ import annotations

import json
import logging

import pytest

from archival_pipeline.api.logs import REQUEST_ID, RedactingFormatter, _with_request

SECRETS = (
    "Authorization: Bearer eyJhbGciOiJSUzI1NiJ9.abc.def",
    "postgresql://engine:hunter2@db:5432/bpm",
    "password=hunter2 host=db",
    'token: "abcdefghijklmnop"',
)


def line(message: str, **extra: object) -> str:
    record = logging.getLogger("t").makeRecord("t", logging.INFO, __file__, 1, message, (), None, extra=extra)
    return RedactingFormatter(["levelname", "message", "requestId"]).format(_with_request(record))


@pytest.mark.parametrize("secret", SECRETS)
def test_secrets_are_blanked_wherever_they_stand(secret: str) -> None:
    written = line(secret, reason=secret, deep={"list": [secret]})
    assert "***" in written
    assert not [part for part in ("hunter2", "eyJhbGciOiJSUzI1NiJ9", "abcdefghijklmnop") if part in written]


def test_traceback_is_blanked_too() -> None:
    try:
        raise ValueError(SECRETS[1])  # noqa: TRY301 - a traceback is wanted
    except ValueError as error:
        record = logging.getLogger("t").makeRecord(
            "t", logging.ERROR, __file__, 1, "x", (), (ValueError, error, error.__traceback__)
        )
    written = RedactingFormatter(["message"]).format(_with_request(record))
    assert "Traceback" in written
    assert "hunter2" not in written


def test_line_carries_the_request() -> None:
    before = REQUEST_ID.set("my-request")
    try:
        assert json.loads(line("hello"))["requestId"] == "my-request"
    finally:
        REQUEST_ID.reset(before)
