"""Environment to typed, validated settings. Read on demand, never at import.

What each variable means to an operator is in ``docs/configuration.md``.

Not here: run configuration of a job, which arrives with the run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date, time
from pathlib import Path
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from archival_pipeline.errors import ConfigurationError

INVALID_DB_CONFIG = "INVALID_DB_CONFIG"


Port = Annotated[int, Field(ge=1, le=65535)]
Name = Annotated[str, Field(min_length=1, max_length=63)]


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        message = "not a time zone of the IANA database, such as Europe/Kyiv"
        raise ValueError(message) from error
    return name


class _Environment(BaseSettings):
    model_config = SettingsConfigDict(
        extra="ignore",
        frozen=True,
        case_sensitive=True,
        hide_input_in_errors=True,
        # Compose files and charts write NAME= for «none».
        env_ignore_empty=True,
    )


Part = TypeVar("Part", bound=_Environment)


class DatabaseSettings(_Environment):
    """Where one database is and how to reach it. ``role_name`` says which one in messages."""

    role_name: str
    host: str
    port: Port = 5432
    username: str
    password: SecretStr
    database: Name
    schema_name: Name = "public"
    ssl: bool = False
    ca_cert_path: Path | None = None
    ca_cert: SecretStr | None = None

    @property
    def address(self) -> tuple[str, int, str]:
        """Host, port and database: two settings with the same address are the same physical database."""
        return (self.host.strip().lower(), self.port, self.database)

    @field_validator("ca_cert_path")
    @classmethod
    def _readable(cls, path: Path | None) -> Path | None:
        if path is not None and not path.is_file():
            message = f"no readable file at {path}"
            raise ValueError(message)
        return path


class PrimarySettings(DatabaseSettings):
    """The engine's database."""

    role_name: str = "primary"
    host: str = Field(validation_alias=AliasChoices("DB_HOST"))
    port: Port = Field(5432, validation_alias=AliasChoices("DB_PORT"))
    username: str = Field(validation_alias=AliasChoices("DB_USERNAME"))
    password: SecretStr = Field(validation_alias=AliasChoices("DB_PASSWORD"))
    database: Name = Field(validation_alias=AliasChoices("BPM_DB_NAME"))
    schema_name: Name = Field("public", validation_alias=AliasChoices("BPM_DB_SCHEMA_NAME"))
    ssl: bool = Field(False, validation_alias=AliasChoices("DB_SSL"))
    ca_cert_path: Path | None = Field(None, validation_alias=AliasChoices("DB_CA_CERT_PATH"))
    ca_cert: SecretStr | None = Field(None, validation_alias=AliasChoices("DB_CA_CERT"))


class BackupSettings(DatabaseSettings):
    """The archive database; it also holds the audit and the ledger."""

    role_name: str = "backup"
    host: str = Field(validation_alias=AliasChoices("BPM_BACKUP_DB_HOST"))
    port: Port = Field(5432, validation_alias=AliasChoices("BPM_BACKUP_DB_PORT"))
    username: str = Field(validation_alias=AliasChoices("BPM_BACKUP_DB_USERNAME"))
    password: SecretStr = Field(validation_alias=AliasChoices("BPM_BACKUP_DB_PASSWORD"))
    database: Name = Field(validation_alias=AliasChoices("BPM_BACKUP_DB_NAME"))
    schema_name: Name = Field("public", validation_alias=AliasChoices("BPM_BACKUP_DB_SCHEMA_NAME"))
    ssl: bool = Field(False, validation_alias=AliasChoices("BPM_BACKUP_DB_SSL"))
    ca_cert_path: Path | None = Field(None, validation_alias=AliasChoices("BPM_BACKUP_DB_CA_CERT_PATH"))
    ca_cert: SecretStr | None = Field(None, validation_alias=AliasChoices("BPM_BACKUP_DB_CA_CERT"))


class EngineSettings(_Environment):
    """What the engine's rows do not say about themselves."""

    time_zone: str = Field("UTC", validation_alias=AliasChoices("BPM_TIME_ZONE"))
    clob_mode: Annotated[str, Field(pattern="^(auto|pointer|text)$")] = Field(
        "auto", validation_alias=AliasChoices("BPM_CLOB_MODE")
    )

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        return _known_zone(name)


class NightlySettings(_Environment):
    """The nightly backup: off unless it is switched on."""

    enabled: bool = Field(default=False, validation_alias=AliasChoices("NIGHTLY_BACKUP_ENABLED"))
    opens: time = Field(time(20, 0), validation_alias=AliasChoices("NIGHTLY_BACKUP_WINDOW_START"))
    closes: time = Field(time(22, 0), validation_alias=AliasChoices("NIGHTLY_BACKUP_WINDOW_END"))
    time_zone: str = Field("UTC", validation_alias=AliasChoices("NIGHTLY_BACKUP_TIME_ZONE"))
    before_no_of_days: Annotated[int, Field(ge=0, le=36_500)] = Field(
        90, validation_alias=AliasChoices("NIGHTLY_BACKUP_BEFORE_NO_OF_DAYS")
    )
    process_name: str | None = Field(None, validation_alias=AliasChoices("NIGHTLY_BACKUP_PROCESS_NAME"))
    pause_ms: Annotated[int, Field(ge=0, le=600_000)] = Field(
        0, validation_alias=AliasChoices("NIGHTLY_BACKUP_PAUSE_MS")
    )
    partitions_start: date = Field(date(2020, 1, 1), validation_alias=AliasChoices("BACKUP_PARTITIONS_START"))

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        return _known_zone(name)

    @model_validator(mode="after")
    def _not_empty(self) -> NightlySettings:
        if self.opens == self.closes:
            message = "NIGHTLY_BACKUP_WINDOW_START and NIGHTLY_BACKUP_WINDOW_END are the same: no window"
            raise ValueError(message)
        return self


class DagsterSettings(_Environment):
    """Where Dagster keeps its runs."""

    pg_url: SecretStr | None = Field(None, validation_alias=AliasChoices("DAGSTER_PG_URL"))

    @field_validator("pg_url")
    @classmethod
    def _scheme(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith("postgresql+psycopg2://"):
            message = "must start with postgresql+psycopg2://, because plain postgresql:// selects another driver"
            raise ValueError(message)
        return url


class Settings:
    """All settings of the archival service, validated together.

    Attributes:
        primary: the engine's database.
        backup: the archive database.
        engine: time zone and CLOB mode of the engine.
        dagster: the storage of Dagster.
        nightly: the nightly backup.
    """

    def __init__(
        self,
        primary: DatabaseSettings,
        backup: DatabaseSettings,
        engine: EngineSettings,
        dagster: DagsterSettings,
        nightly: NightlySettings | None = None,
    ) -> None:
        self.primary = primary
        self.backup = backup
        self.engine = engine
        self.dagster = dagster
        self.nightly = nightly or load_nightly()


_PARTS: dict[str, type[_Environment]] = {
    "primary": PrimarySettings,
    "backup": BackupSettings,
    "engine": EngineSettings,
    "dagster": DagsterSettings,
    "nightly": NightlySettings,
}


def load_settings() -> Settings:
    """Read and check the environment.

    Returns:
        The validated settings.

    Raises:
        ConfigurationError: one message that names every missing or wrong variable; code ``INVALID_DB_CONFIG``
            when primary and backup are the same host, port and database.
    """
    settings = Settings(**_read(_PARTS))
    if settings.primary.address == settings.backup.address:
        host, port, database = settings.primary.address
        raise ConfigurationError(
            f"Primary and backup point to the same physical database ({host}:{port}/{database}).",
            resolve="Point BPM_BACKUP_DB_HOST, BPM_BACKUP_DB_PORT or BPM_BACKUP_DB_NAME at another database.",
            code=INVALID_DB_CONFIG,
        )
    return settings


def load_backup() -> BackupSettings | None:
    """Read where the backup database is; None where none is configured, as beside a Camunda engine alone.

    Raises:
        ConfigurationError: one message that names every missing or wrong variable.
    """
    return read_part(BackupSettings) if os.environ.get("BPM_BACKUP_DB_HOST") else None


def load_engine() -> EngineSettings:
    """Read what is said about the engine alone: what partitions need to be defined.

    Raises:
        ConfigurationError: one message that names every wrong variable.
    """
    return read_part(EngineSettings)


def load_nightly() -> NightlySettings:
    """Read the nightly backup's settings alone: what a schedule needs to be defined.

    Raises:
        ConfigurationError: one message that names every wrong variable.
    """
    return read_part(NightlySettings)


def read_part(part: type[Part]) -> Part:
    """Read and check one part of the environment.

    Raises:
        ConfigurationError: one message that names every missing or wrong variable.
    """
    found: Part = _read({"part": part})["part"]
    return found


def _read(wanted: Mapping[str, type[_Environment]]) -> dict[str, Any]:
    problems: list[str] = []
    parts: dict[str, Any] = {}
    for name, part in wanted.items():
        try:
            parts[name] = part()
        except ValidationError as error:
            problems += [_describe(detail, os.environ) for detail in error.errors(include_input=False)]
    if problems:
        raise ConfigurationError(
            f"{len(problems)} setting(s) cannot be used: " + "; ".join(problems) + ".",
            resolve="Set each variable as docs/configuration.md says, then start again.",
        )
    return parts


_SECRET_MARKS = ("PASSWORD", "SECRET", "CA_CERT", "URL", "TOKEN")


def _describe(detail: Mapping[str, Any], environment: Mapping[str, str]) -> str:
    """One problem in words: variable, value where it is no secret, what is wrong."""
    reason = str(detail["msg"]).removeprefix("Value error, ")
    if not detail["loc"]:
        # What is wrong with several variables together names them itself.
        return reason
    variable = str(detail["loc"][0])
    if detail["type"] == "missing":
        return f"{variable} is missing"
    secret = any(mark in variable for mark in _SECRET_MARKS) and not variable.endswith("_PATH")
    shown = "" if secret else f"={environment.get(variable, '')!r}"
    return f"{variable}{shown}: {reason}"
