"""Alerts go out over real HTTP and SMTP, and tell nothing that is secret when they cannot."""

from __future__ import annotations

import json
import re
import socket
import threading
from contextlib import contextmanager
from email import message_from_bytes
from email.policy import default
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from archival_pipeline.alerts import message
from archival_pipeline.alerts.sending import send
from archival_pipeline.errors import AlertError, ConfigurationError
from archival_pipeline.settings_operations import load_alerts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage

# The server on loopback takes passwords without TLS, on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")

ALERT = message.run_failed(
    "process_backup",
    "0f8b",
    problem="The disk of the backup is full.",
    code="53100",
    resolve="Make room on the backup.",
    ui_url="http://127.0.0.1:3000/",
)


@contextmanager
def web_server(status: int = 200) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that keeps what is posted to it."""
    received: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append({"headers": dict(self.headers), "body": json.loads(body)})
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Stay quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hooks/s3cret", received
        finally:
            server.shutdown()
            thread.join()


class Mailbox:
    """Keeps letters."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.recipients: list[str] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - its framework's name
        self.letters.append(message_from_bytes(envelope.content, policy=default))
        self.recipients += envelope.rcpt_tos
        return "250 OK"


def _let_in(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    return AuthResult(success=data.login == b"alerts" and data.password == b"p4ss")


@contextmanager
def mail_server() -> Iterator[tuple[int, Mailbox]]:
    mailbox = Mailbox()
    with socket.socket() as free:
        # Asked for beforehand: the library knocks at the port that it was told.
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(
        mailbox, hostname="127.0.0.1", port=port, authenticator=_let_in, auth_required=True, auth_require_tls=False
    )
    controller.start()
    try:
        yield port, mailbox
    finally:
        controller.stop()


def with_mail(monkeypatch: pytest.MonkeyPatch, port: int, **more: str) -> None:
    values = {
        "ALERT_SMTP_HOST": "127.0.0.1",
        "ALERT_SMTP_PORT": str(port),
        "ALERT_SMTP_SECURITY": "none",
        "ALERT_SMTP_USERNAME": "alerts",
        "ALERT_SMTP_PASSWORD": "p4ss",
        "ALERT_MAIL_FROM": "archival@example.internal",
        "ALERT_MAIL_TO": "one@example.internal, two@example.internal",
    }
    for name, value in (values | more).items():
        monkeypatch.setenv(name, value)


def test_webhook_gets_what_happened_and_what_to_do(clean_environment: pytest.MonkeyPatch) -> None:
    with web_server() as (url, received):
        clean_environment.setenv("ALERT_WEBHOOK_URL", url)
        clean_environment.setenv("ALERT_WEBHOOK_TOKEN", "t0ken")
        assert send(ALERT, load_alerts()) == ["webhook"]
    [request] = received
    assert request["headers"]["Authorization"] == "Bearer t0ken"
    body = request["body"]
    assert body["kind"] == "run_failed"
    assert body["link"] == "http://127.0.0.1:3000/runs/0f8b"
    assert body["nextStep"].startswith("Make room on the backup. Nothing is lost")
    for part in ("53100", "The disk of the backup is full.", "Launch the same job again", body["link"]):
        assert part in body["text"]


def test_mail_goes_to_everybody_with_the_same_words(clean_environment: pytest.MonkeyPatch) -> None:
    with mail_server() as (port, mailbox):
        with_mail(clean_environment, port)
        assert send(ALERT, load_alerts()) == ["mail"]
    [letter] = mailbox.letters
    assert mailbox.recipients == ["one@example.internal", "two@example.internal"]
    assert letter["Subject"] == "[archival] process_backup failed with 53100"
    assert "What to do: Make room on the backup." in letter.get_content()


def test_dead_mail_server_does_not_silence_the_webhook(clean_environment: pytest.MonkeyPatch) -> None:
    with mail_server() as (port, _):
        pass
    with web_server() as (url, received):
        clean_environment.setenv("ALERT_WEBHOOK_URL", url)
        with_mail(clean_environment, port)
        with pytest.raises(AlertError, match="mail: ConnectionRefusedError"):
            send(ALERT, load_alerts())
    assert len(received) == 1


def test_refusals_are_told_without_addresses_and_passwords(clean_environment: pytest.MonkeyPatch) -> None:
    with web_server(status=403) as (url, _), mail_server() as (port, mailbox):
        clean_environment.setenv("ALERT_WEBHOOK_URL", url)
        with_mail(clean_environment, port, ALERT_SMTP_PASSWORD="wr0ng")
        with pytest.raises(AlertError) as caught:
            send(ALERT, load_alerts())
    # The server hangs up after so many wrong tries; either is a refusal.
    refused = r"webhook: answered 403; mail: SMTP(AuthenticationError|ServerDisconnected)\."
    assert re.search(refused, str(caught.value))
    assert not any(secret in str(caught.value) for secret in ("s3cret", "wr0ng"))
    assert mailbox.letters == []


def test_server_without_tls_gets_no_password_unless_that_is_asked_for(clean_environment: pytest.MonkeyPatch) -> None:
    with mail_server() as (port, mailbox):
        with_mail(clean_environment, port, ALERT_SMTP_SECURITY="starttls")
        with pytest.raises(AlertError, match="mail: SMTPNotSupportedError"):
            send(ALERT, load_alerts())
    assert mailbox.letters == []


def test_title_of_two_lines_makes_one_subject(clean_environment: pytest.MonkeyPatch) -> None:
    told = message.run_failed("a\nBcc: all@example.internal", "1", problem="", code=None, resolve=None, ui_url=None)
    with mail_server() as (port, mailbox):
        with_mail(clean_environment, port)
        send(told, load_alerts())
    [letter] = mailbox.letters
    assert letter["Bcc"] is None
    assert letter["Subject"] == "[archival] a Bcc: all@example.internal failed"


def test_nothing_set_sends_nothing(clean_environment: pytest.MonkeyPatch) -> None:
    del clean_environment
    settings = load_alerts()
    assert not settings.is_on
    assert send(ALERT, settings) == []


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"ALERT_WEBHOOK_URL": "chat.internal/s3cret"}, "ALERT_WEBHOOK_URL: must start with https://"),
        ({"ALERT_SMTP_HOST": "mail.internal"}, "ALERT_SMTP_HOST needs ALERT_MAIL_FROM and ALERT_MAIL_TO"),
        ({"ALERT_BACKLOG_INSTANCES": "many"}, "ALERT_BACKLOG_INSTANCES='many'"),
    ],
)
def test_wrong_setting_is_named_and_no_secret_shown(
    clean_environment: pytest.MonkeyPatch, variables: dict[str, str], told: str
) -> None:
    for name, value in variables.items():
        clean_environment.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        load_alerts()
    assert told in str(caught.value)
    assert "s3cret" not in str(caught.value)
