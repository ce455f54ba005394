"""Environment to settings of the HTTP services: where they listen, who may call, how much one caller may take.

What each variable means to an operator is in ``docs/configuration.md``. Not here: the databases (``settings.py``).
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator

from archival_pipeline.settings import Port, _Environment, _read

_PATH = re.compile(r"[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*")
_URL = re.compile(r"https?://[^\s/]+(/\S*)?")


def _http_url(url: str) -> str:
    if not _URL.fullmatch(url):
        message = "is not an address such as https://host/path"
        raise ValueError(message)
    return url.rstrip("/")


class ServiceSettings(_Environment):
    """Where the REST service listens and where it finds Dagster."""

    base_path: str = Field("archivalservice", validation_alias=AliasChoices("BASE_PATH"))
    port: Port = Field(3000, validation_alias=AliasChoices("PORT"))
    host: str | None = Field(None, validation_alias=AliasChoices("API_HOST"))
    metrics_port: Port | None = Field(None, validation_alias=AliasChoices("API_METRICS_PORT"))
    dagster_url: str = Field("http://127.0.0.1:3001", validation_alias=AliasChoices("DAGSTER_WEBSERVER_URL"))

    @field_validator("base_path")
    @classmethod
    def _segments(cls, path: str) -> str:
        path = path.strip("/")
        if not _PATH.fullmatch(path):
            message = "is not a path of letters, digits and . _ ~ - such as archivalservice"
            raise ValueError(message)
        return path

    @field_validator("dagster_url")
    @classmethod
    def _address(cls, url: str) -> str:
        return _http_url(url)


class LimitSettings(_Environment):
    """How much one caller, and all of them together, may take."""

    body_bytes: Annotated[int, Field(ge=1_024, le=268_435_456)] = Field(
        4_194_304, validation_alias=AliasChoices("API_MAX_BODY_BYTES")
    )
    page_size: Annotated[int, Field(ge=1, le=10_000)] = Field(1_000, validation_alias=AliasChoices("API_MAX_PAGE_SIZE"))
    request_seconds: Annotated[float, Field(gt=0, le=3_600)] = Field(
        30.0, validation_alias=AliasChoices("API_REQUEST_SECONDS")
    )
    delete_seconds: Annotated[float, Field(gt=0, le=86_400)] = Field(
        300.0, validation_alias=AliasChoices("API_DELETE_SECONDS")
    )
    sessions: Annotated[int, Field(ge=1, le=100)] = Field(4, validation_alias=AliasChoices("API_DATABASE_SESSIONS"))
    connections: Annotated[int, Field(ge=1, le=100_000)] = Field(
        1_000, validation_alias=AliasChoices("API_MAX_CONNECTIONS")
    )


class SecuritySettings(_Environment):
    """Who may call: bearer tokens, which the identity server vouches for."""

    enabled: bool = Field(default=True, validation_alias=AliasChoices("IDS_ENABLE"))
    url: str | None = Field(None, validation_alias=AliasChoices("IDS_URL"))
    introspection_path: str = Field("/oauth2/introspect", validation_alias=AliasChoices("IDS_INTROSPECTION_PATH"))
    client_id: str | None = Field(None, validation_alias=AliasChoices("IDS_CLIENT_ID"))
    client_secret: SecretStr | None = Field(None, validation_alias=AliasChoices("IDS_CLIENT_SECRET"))
    # Named by the original service for its calls to other services. This one makes none.
    auth_service_url: str | None = Field(None, validation_alias=AliasChoices("ALPHA_AUTH_SERVICE_URL"))
    audience: str | None = Field(None, validation_alias=AliasChoices("IDS_AUDIENCE"))
    read_role: str | None = Field(None, validation_alias=AliasChoices("IDS_READ_ROLE"))
    operate_role: str | None = Field(None, validation_alias=AliasChoices("IDS_OPERATE_ROLE"))
    cache_seconds: Annotated[float, Field(ge=0, le=300)] = Field(
        30.0, validation_alias=AliasChoices("IDS_CACHE_SECONDS")
    )
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = Field(
        5.0, validation_alias=AliasChoices("IDS_TIMEOUT_SECONDS")
    )

    @field_validator("url")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        return url if url is None else _http_url(url)

    @model_validator(mode="after")
    def _complete(self) -> SecuritySettings:
        needed = {"IDS_URL": self.url, "IDS_CLIENT_ID": self.client_id, "IDS_CLIENT_SECRET": self.client_secret}
        missing = [name for name, value in needed.items() if value is None]
        if self.enabled and missing:
            message = f"{', '.join(missing)} missing; set IDS_ENABLE=false only where nobody else can reach the service"
            raise ValueError(message)
        return self

    @property
    def introspection_url(self) -> str:
        """Where tokens are asked about."""
        return f"{self.url}{self.introspection_path}"


class ApiSettings:
    """All settings of an HTTP service but the databases.

    Attributes:
        service: where it listens.
        limits: how much a caller may take.
        security: who may call.
    """

    def __init__(self, service: ServiceSettings, limits: LimitSettings, security: SecuritySettings) -> None:
        self.service = service
        self.limits = limits
        self.security = security


_PARTS: dict[str, type[_Environment]] = {
    "service": ServiceSettings,
    "limits": LimitSettings,
    "security": SecuritySettings,
}


def load_api() -> ApiSettings:
    """Read and check the environment of an HTTP service.

    Raises:
        ConfigurationError: one message that names every missing or wrong variable.
    """
    return ApiSettings(**_read(_PARTS))
