"""Settings of what watches over the rest: alerts, the age at which Dagster's runs are pruned, checks of the archive.

Nothing set means: no alert goes out, runs are kept for 90 days. Not here: the settings of what is watched
(``settings.py`` and its siblings).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator

from archival_pipeline.settings import Port, _Environment, read_part


class AlertSettings(_Environment):
    """Where alerts go: to a webhook, by mail, to both, or nowhere."""

    webhook_url: SecretStr | None = Field(None, validation_alias=AliasChoices("ALERT_WEBHOOK_URL"))
    webhook_token: SecretStr | None = Field(None, validation_alias=AliasChoices("ALERT_WEBHOOK_TOKEN"))
    smtp_host: str | None = Field(None, validation_alias=AliasChoices("ALERT_SMTP_HOST"))
    smtp_port: Port = Field(587, validation_alias=AliasChoices("ALERT_SMTP_PORT"))
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", validation_alias=AliasChoices("ALERT_SMTP_SECURITY")
    )
    smtp_username: str | None = Field(None, validation_alias=AliasChoices("ALERT_SMTP_USERNAME"))
    smtp_password: SecretStr | None = Field(None, validation_alias=AliasChoices("ALERT_SMTP_PASSWORD"))
    mail_from: str | None = Field(None, validation_alias=AliasChoices("ALERT_MAIL_FROM"))
    mail_to: str | None = Field(None, validation_alias=AliasChoices("ALERT_MAIL_TO"))
    ui_url: str | None = Field(None, validation_alias=AliasChoices("ALERT_UI_URL"))
    backlog_instances: Annotated[int, Field(ge=1)] | None = Field(
        None, validation_alias=AliasChoices("ALERT_BACKLOG_INSTANCES")
    )
    backlog_days: Annotated[int, Field(ge=0, le=36_500)] = Field(
        90, validation_alias=AliasChoices("ALERT_BACKLOG_DAYS")
    )

    @property
    def is_on(self) -> bool:
        """Whether an alert goes anywhere."""
        return self.webhook_url is not None or self.smtp_host is not None

    @property
    def recipients(self) -> list[str]:
        """The addresses of ``ALERT_MAIL_TO``."""
        return [address.strip() for address in (self.mail_to or "").split(",") if address.strip()]

    @field_validator("webhook_url")
    @classmethod
    def _is_http(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(("http://", "https://")):
            message = "must start with https:// or http://"
            raise ValueError(message)
        return url

    @model_validator(mode="after")
    def _whole(self) -> AlertSettings:
        if self.smtp_host and not (self.mail_from and self.recipients):
            message = "ALERT_SMTP_HOST needs ALERT_MAIL_FROM and ALERT_MAIL_TO beside it"
            raise ValueError(message)
        if self.smtp_username and self.smtp_password is None:
            message = "ALERT_SMTP_USERNAME needs ALERT_SMTP_PASSWORD beside it"
            raise ValueError(message)
        return self


class UpkeepSettings(_Environment):
    """How long Dagster keeps its runs."""

    keep_runs_days: Annotated[int, Field(ge=1, le=36_500)] = Field(
        90, validation_alias=AliasChoices("DAGSTER_KEEP_RUNS_DAYS")
    )
    prune_runs: bool = Field(default=True, validation_alias=AliasChoices("DAGSTER_PRUNE_RUNS"))


def load_alerts() -> AlertSettings:
    """Read where alerts go.

    Raises:
        ConfigurationError: one message that names every wrong variable.
    """
    return read_part(AlertSettings)


def load_upkeep() -> UpkeepSettings:
    """Read how long runs are kept.

    Raises:
        ConfigurationError: one message that names every wrong variable.
    """
    return read_part(UpkeepSettings)
