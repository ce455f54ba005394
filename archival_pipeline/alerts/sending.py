"""Sends an alert by webhook and by mail, each on its own: a dead mail server does not silence the webhook."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from typing import TYPE_CHECKING

import httpx

from archival_pipeline.errors import AlertError

if TYPE_CHECKING:
    from pydantic import SecretStr

    from archival_pipeline.alerts.message import Alert
    from archival_pipeline.settings_operations import AlertSettings

_SECONDS = 15.0


def send(alert: Alert, settings: AlertSettings) -> list[str]:
    """Send an alert along every way that is configured.

    Returns:
        The ways it went.

    Raises:
        AlertError: at least one way failed; the others were tried.
    """
    sent: list[str] = []
    problems: list[str] = []
    for name, way, wanted in (
        ("webhook", _post, settings.webhook_url is not None),
        ("mail", _mail, settings.smtp_host is not None),
    ):
        if not wanted:
            continue
        try:
            way(alert, settings)
        # What was said may hold the address, and the address of a webhook is a secret: only its kind is told.
        except httpx.HTTPStatusError as error:
            problems.append(f"{name}: answered {error.response.status_code}")
        except (httpx.HTTPError, smtplib.SMTPException, OSError) as error:
            problems.append(f"{name}: {type(error).__name__}")
        else:
            sent.append(name)
    if problems:
        raise AlertError(alert.title, problems)
    return sent


def _post(alert: Alert, settings: AlertSettings) -> None:
    headers = {}
    if settings.webhook_token is not None:
        headers["Authorization"] = f"Bearer {settings.webhook_token.get_secret_value()}"
    answer = httpx.post(_secret(settings.webhook_url), json=alert.as_document(), headers=headers, timeout=_SECONDS)
    answer.raise_for_status()


def _mail(alert: Alert, settings: AlertSettings) -> None:
    letter = EmailMessage()
    letter["Subject"] = f"[archival] {' '.join(alert.title.split())}"
    letter["From"] = settings.mail_from
    letter["To"] = ", ".join(settings.recipients)
    letter.set_content(alert.as_text())
    with _server(settings) as server:
        if settings.smtp_username:
            server.login(settings.smtp_username, _secret(settings.smtp_password))
        server.send_message(letter)


def _server(settings: AlertSettings) -> smtplib.SMTP:
    host, port = settings.smtp_host or "", settings.smtp_port
    if settings.smtp_security == "tls":
        return smtplib.SMTP_SSL(host, port, timeout=_SECONDS, context=ssl.create_default_context())
    server = smtplib.SMTP(host, port, timeout=_SECONDS)
    if settings.smtp_security == "starttls":
        try:
            server.starttls(context=ssl.create_default_context())
        except BaseException:
            server.close()
            raise
    return server


def _secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value is not None else ""
