"""Settings of the execution history: its database, its stream, its interface.

Each part is read by those who need it, so that a wrong Kafka setting does not keep the interface from starting. Not
here: where the engine's database is (``settings_camunda.py``).
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator

from archival_pipeline.settings import DatabaseSettings, Name, Port, _Environment, read_part
from archival_pipeline.settings_api import LimitSettings


class HistoryLevel(StrEnum):
    """How much is published; each level holds the ones before it."""

    NONE = "NONE"
    ACTIVITY = "ACTIVITY"
    AUDIT = "AUDIT"
    FULL = "FULL"


class HistoryDatabaseSettings(DatabaseSettings):
    """The database of the execution history."""

    role_name: str = "history"
    host: str = Field(validation_alias=AliasChoices("HISTORY_DB_HOST"))
    port: Port = Field(5432, validation_alias=AliasChoices("HISTORY_DB_PORT"))
    username: str = Field(validation_alias=AliasChoices("HISTORY_DB_USERNAME"))
    password: SecretStr = Field(validation_alias=AliasChoices("HISTORY_DB_PASSWORD"))
    database: Name = Field(validation_alias=AliasChoices("HISTORY_DB_NAME"))
    schema_name: Name = Field("public", validation_alias=AliasChoices("HISTORY_DB_SCHEMA_NAME"))
    ssl: bool = Field(False, validation_alias=AliasChoices("HISTORY_DB_SSL"))
    ca_cert_path: Path | None = Field(None, validation_alias=AliasChoices("HISTORY_DB_CA_CERT_PATH"))
    ca_cert: SecretStr | None = Field(None, validation_alias=AliasChoices("HISTORY_DB_CA_CERT"))


class HistoryStreamSettings(_Environment):
    """What is published, over what, and for how long things are kept."""

    transport: Literal["table", "kafka"] = Field("table", validation_alias=AliasChoices("HISTORY_TRANSPORT"))
    level: HistoryLevel = Field(HistoryLevel.AUDIT, validation_alias=AliasChoices("HISTORY_PUBLISH_LEVEL"))
    process_topic: Name = Field("bpm-history-process", validation_alias=AliasChoices("HISTORY_PROCESS_TOPIC"))
    task_topic: Name = Field("bpm-history-task", validation_alias=AliasChoices("HISTORY_TASK_TOPIC"))
    group: Name = Field("process-history-api", validation_alias=AliasChoices("HISTORY_CONSUMER_GROUP"))
    batch_size: Annotated[int, Field(ge=1, le=50_000)] = Field(
        2_000, validation_alias=AliasChoices("HISTORY_BATCH_SIZE")
    )
    queue_days: Annotated[int, Field(ge=1, le=3_650)] = Field(7, validation_alias=AliasChoices("HISTORY_QUEUE_DAYS"))
    retention_days: Annotated[int, Field(ge=1, le=36_500)] | None = Field(
        None, validation_alias=AliasChoices("HISTORY_RETENTION_DAYS")
    )

    @field_validator("level", mode="before")
    @classmethod
    def _any_case(cls, level: object) -> object:
        return level.upper() if isinstance(level, str) else level

    @model_validator(mode="after")
    def _two_topics(self) -> HistoryStreamSettings:
        if self.process_topic == self.task_topic:
            message = "HISTORY_PROCESS_TOPIC and HISTORY_TASK_TOPIC are the same: keys would collide"
            raise ValueError(message)
        return self


class HistoryKafkaSettings(_Environment):
    """How the brokers are reached; read when the transport is Kafka."""

    servers: Annotated[str, Field(min_length=1)] = Field(validation_alias=AliasChoices("HISTORY_KAFKA_SERVERS"))
    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", validation_alias=AliasChoices("HISTORY_KAFKA_SECURITY_PROTOCOL")
    )
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", validation_alias=AliasChoices("HISTORY_KAFKA_SASL_MECHANISM")
    )
    username: str | None = Field(None, validation_alias=AliasChoices("HISTORY_KAFKA_USERNAME"))
    password: SecretStr | None = Field(None, validation_alias=AliasChoices("HISTORY_KAFKA_PASSWORD"))
    ca_cert_path: Path | None = Field(None, validation_alias=AliasChoices("HISTORY_KAFKA_CA_CERT_PATH"))
    partitions: Annotated[int, Field(ge=1, le=1_000)] = Field(
        15, validation_alias=AliasChoices("HISTORY_KAFKA_PARTITIONS")
    )
    replicas: Annotated[int, Field(ge=1, le=15)] = Field(3, validation_alias=AliasChoices("HISTORY_KAFKA_REPLICAS"))

    @model_validator(mode="after")
    def _credentials(self) -> HistoryKafkaSettings:
        if self.protocol.startswith("SASL") and (self.username is None or self.password is None):
            message = "HISTORY_KAFKA_USERNAME and HISTORY_KAFKA_PASSWORD are needed with a SASL protocol"
            raise ValueError(message)
        return self


class HistoryApiSettings(_Environment):
    """Whose tokens the interface believes, and how it answers.

    Several realms: as many addresses of key sets as issuers, in the same order.
    """

    issuers: str | None = Field(None, validation_alias=AliasChoices("HISTORY_API_JWT_ISSUERS"))
    jwks_urls: str | None = Field(None, validation_alias=AliasChoices("HISTORY_API_JWKS_URLS"))
    key_path: Path | None = Field(None, validation_alias=AliasChoices("HISTORY_API_JWT_KEY_PATH"))
    algorithm: Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"] = Field(
        "RS256", validation_alias=AliasChoices("HISTORY_API_JWT_ALGORITHM")
    )
    audience: str | None = Field(None, validation_alias=AliasChoices("HISTORY_API_JWT_AUDIENCE"))
    language: Literal["uk", "en"] = Field("uk", validation_alias=AliasChoices("HISTORY_API_LANGUAGE"))
    largest_page: Annotated[int, Field(ge=1, le=100_000)] = Field(
        1_000, validation_alias=AliasChoices("HISTORY_API_LARGEST_PAGE")
    )
    host: str = Field("127.0.0.1", validation_alias=AliasChoices("HISTORY_API_HOST"))
    port: Port = Field(8080, validation_alias=AliasChoices("HISTORY_API_PORT"))

    @property
    def issuer_names(self) -> tuple[str, ...]:
        """The issuers, in order."""
        return _listed(self.issuers)

    @property
    def key_addresses(self) -> tuple[str, ...]:
        """The addresses of the key sets, in the order of the issuers."""
        return _listed(self.jwks_urls)

    @model_validator(mode="after")
    def _verifiable(self) -> HistoryApiSettings:
        if not self.issuer_names:
            message = "HISTORY_API_JWT_ISSUERS is missing: a token is believed only from a named issuer"
            raise ValueError(message)
        if (self.key_path is None) == (not self.key_addresses):
            message = "set either HISTORY_API_JWKS_URLS or HISTORY_API_JWT_KEY_PATH: tokens are always verified"
            raise ValueError(message)
        if self.key_addresses and len(self.key_addresses) != len(self.issuer_names):
            message = "HISTORY_API_JWKS_URLS and HISTORY_API_JWT_ISSUERS must name as many realms as each other"
            raise ValueError(message)
        return self

    @field_validator("key_path")
    @classmethod
    def _readable(cls, path: Path | None) -> Path | None:
        if path is not None and not path.is_file():
            message = f"no readable file at {path}"
            raise ValueError(message)
        return path


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(item.strip() for item in (text or "").split(",") if item.strip())


def is_history_configured() -> bool:
    """Whether any variable of the history database is set: without one this feature is off."""
    return any(name.startswith("HISTORY_DB_") and value for name, value in os.environ.items())


def load_history_database() -> HistoryDatabaseSettings:
    """Read where the history database is.

    Raises:
        ConfigurationError: one message that names every missing or wrong variable.
    """
    return read_part(HistoryDatabaseSettings)


def load_history_stream() -> HistoryStreamSettings:
    """Read what is published and kept; every field has a default.

    Raises:
        ConfigurationError: one message that names every wrong variable.
    """
    return read_part(HistoryStreamSettings)


def load_history_kafka() -> HistoryKafkaSettings:
    """Read how the brokers are reached.

    Raises:
        ConfigurationError: one message that names every missing or wrong variable.
    """
    return read_part(HistoryKafkaSettings)


def load_history_api() -> HistoryApiSettings:
    """Read whose tokens the interface believes.

    Raises:
        ConfigurationError: one message that names every missing or wrong variable.
    """
    return read_part(HistoryApiSettings)


def load_history_limits() -> LimitSettings:
    """Read how much one caller of the interface may take.

    Raises:
        ConfigurationError: one message that names every wrong variable.
    """
    return read_part(LimitSettings)
