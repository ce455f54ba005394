"""Environment to typed settings of the interim data: where Redis and the files are, what the nightly sweep may do.

The names are those of the engine's own services (``storage.backend.redis.sentinel.nodes`` and so on) as a shell writes
them. Nothing of it is needed to load the location: without a store the room is off and says so.

Not here: the databases (``settings.py``).
"""

from __future__ import annotations

import re
from datetime import time
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator

from archival_pipeline.settings import BackupSettings, Name, Port, _Environment, _known_zone, _read, read_part

_NODE = re.compile(r"(?P<host>[^\s:,\[\]]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})")
_REDIS = "STORAGE_BACKEND_REDIS_"
_FILES = "LOWCODE_FILE_STORAGE_BACKEND_CEPH_"
Keyspace = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\s:*?\[\]\\]+$")]


class RedisSettings(_Environment):
    """One Redis, or the Sentinels that know where it is; both with their own credentials."""

    host: str | None = Field(None, validation_alias=AliasChoices(f"{_REDIS}HOST"))
    port: Port = Field(6379, validation_alias=AliasChoices(f"{_REDIS}PORT"))
    username: str | None = Field(None, validation_alias=AliasChoices(f"{_REDIS}USERNAME"))
    password: SecretStr | None = Field(None, validation_alias=AliasChoices(f"{_REDIS}PASSWORD"))
    database: Annotated[int, Field(ge=0, le=1023)] = Field(0, validation_alias=AliasChoices(f"{_REDIS}DATABASE"))
    ssl: bool = Field(False, validation_alias=AliasChoices(f"{_REDIS}SSL"))
    ca_cert_path: Path | None = Field(None, validation_alias=AliasChoices(f"{_REDIS}CA_CERT_PATH"))
    ca_cert: SecretStr | None = Field(None, validation_alias=AliasChoices(f"{_REDIS}CA_CERT"))
    sentinel_master: str | None = Field(None, validation_alias=AliasChoices(f"{_REDIS}SENTINEL_MASTER"))
    sentinel_nodes: str | None = Field(None, validation_alias=AliasChoices(f"{_REDIS}SENTINEL_NODES"))
    sentinel_username: str | None = Field(None, validation_alias=AliasChoices(f"{_REDIS}SENTINEL_USERNAME"))
    sentinel_password: SecretStr | None = Field(None, validation_alias=AliasChoices(f"{_REDIS}SENTINEL_PASSWORD"))
    forms: Keyspace = Field("bpm-form-submissions", validation_alias=AliasChoices("STORAGE_FORM_DATA_KEYSPACE"))
    payloads: Keyspace = Field(
        "bpm-message-payloads", validation_alias=AliasChoices("STORAGE_MESSAGE_PAYLOAD_KEYSPACE")
    )

    @property
    def configured(self) -> bool:
        """Whether there is a Redis at all."""
        return bool(self.host or self.sentinel_nodes)

    @property
    def nodes(self) -> list[tuple[str, int]]:
        """Host and port of each Sentinel."""
        found = (_NODE.fullmatch(node.strip()) for node in (self.sentinel_nodes or "").split(",") if node.strip())
        return [(node["host"].strip("[]"), int(node["port"])) for node in found if node]

    @field_validator("sentinel_nodes")
    @classmethod
    def _host_and_port(cls, nodes: str | None) -> str | None:
        if nodes is not None and not all(_NODE.fullmatch(node.strip()) for node in nodes.split(",")):
            message = "must be host:port, or several of them with commas between"
            raise ValueError(message)
        return nodes

    @field_validator("ca_cert_path")
    @classmethod
    def _readable(cls, path: Path | None) -> Path | None:
        if path is not None and not path.is_file():
            message = f"no readable file at {path}"
            raise ValueError(message)
        return path

    @model_validator(mode="after")
    def _one_way_in(self) -> RedisSettings:
        if self.host and self.sentinel_nodes:
            message = f"{_REDIS}HOST and {_REDIS}SENTINEL_NODES are both set: say one of them"
            raise ValueError(message)
        if bool(self.sentinel_nodes) != bool(self.sentinel_master):
            message = f"{_REDIS}SENTINEL_NODES and {_REDIS}SENTINEL_MASTER belong together: one of them is missing"
            raise ValueError(message)
        if self.forms == self.payloads:
            message = "STORAGE_FORM_DATA_KEYSPACE and STORAGE_MESSAGE_PAYLOAD_KEYSPACE are the same"
            raise ValueError(message)
        return self


class FileSettings(_Environment):
    """The bucket with the files of forms."""

    endpoint: str | None = Field(None, validation_alias=AliasChoices(f"{_FILES}HTTP_ENDPOINT"), pattern="^https?://.+")
    access_key: str | None = Field(None, validation_alias=AliasChoices(f"{_FILES}ACCESS_KEY"))
    secret_key: SecretStr | None = Field(None, validation_alias=AliasChoices(f"{_FILES}SECRET_KEY"))
    bucket: Name = Field("lowcode-file-storage", validation_alias=AliasChoices(f"{_FILES}BUCKET"))
    region: str = Field("us-east-1", validation_alias=AliasChoices(f"{_FILES}REGION"))
    ca_cert_path: Path | None = Field(None, validation_alias=AliasChoices(f"{_FILES}CA_CERT_PATH"))

    @property
    def configured(self) -> bool:
        """Whether there is a file store at all."""
        return bool(self.endpoint)

    @model_validator(mode="after")
    def _with_keys(self) -> FileSettings:
        if self.endpoint and not (self.access_key and self.secret_key):
            message = f"{_FILES}HTTP_ENDPOINT needs {_FILES}ACCESS_KEY and {_FILES}SECRET_KEY"
            raise ValueError(message)
        return self


class InterimSettings(_Environment):
    """What is done with interim data, and when."""

    engine: Literal["auto", "camunda", "jbpm"] = Field("auto", validation_alias=AliasChoices("INTERIM_ENGINE"))
    cleanup_enabled: bool = Field(False, validation_alias=AliasChoices("INTERIM_CLEANUP_ENABLED"))
    batch_size: Annotated[int, Field(ge=1, le=5_000)] = Field(
        2_000, validation_alias=AliasChoices("INTERIM_BATCH_SIZE")
    )
    lanes: Annotated[int, Field(ge=1, le=8)] = Field(2, validation_alias=AliasChoices("INTERIM_LANES"))
    overlap_hours: Annotated[int, Field(ge=1, le=720)] = Field(
        24, validation_alias=AliasChoices("INTERIM_OVERLAP_HOURS")
    )
    sweep_enabled: bool = Field(False, validation_alias=AliasChoices("INTERIM_SWEEP_ENABLED"))
    opens: time = Field(time(1, 0), validation_alias=AliasChoices("INTERIM_SWEEP_WINDOW_START"))
    closes: time = Field(time(5, 0), validation_alias=AliasChoices("INTERIM_SWEEP_WINDOW_END"))
    time_zone: str = Field("UTC", validation_alias=AliasChoices("INTERIM_SWEEP_TIME_ZONE"))
    grace_hours: Annotated[int, Field(ge=1, le=87_600)] = Field(
        168, validation_alias=AliasChoices("INTERIM_GRACE_HOURS")
    )
    scan_count: Annotated[int, Field(ge=10, le=10_000)] = Field(
        500, validation_alias=AliasChoices("INTERIM_SCAN_COUNT")
    )
    keys_per_second: Annotated[int, Field(ge=100, le=1_000_000)] = Field(
        20_000, validation_alias=AliasChoices("INTERIM_KEYS_PER_SECOND")
    )

    scrub_tokens: bool = Field(False, validation_alias=AliasChoices("INTERIM_SCRUB_TOKENS"))

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        return _known_zone(name)

    @model_validator(mode="after")
    def _not_empty(self) -> InterimSettings:
        if self.opens == self.closes:
            message = "INTERIM_SWEEP_WINDOW_START and INTERIM_SWEEP_WINDOW_END are the same: no window"
            raise ValueError(message)
        return self


class KeepSettings(_Environment):
    """Whether interim data is kept, encrypted, before it is removed."""

    before_delete: bool = Field(False, validation_alias=AliasChoices("INTERIM_ARCHIVE_BEFORE_DELETE"))
    recipients: str | None = Field(None, validation_alias=AliasChoices("INTERIM_ARCHIVE_RECIPIENTS"))
    identity_path: Path | None = Field(None, validation_alias=AliasChoices("INTERIM_ARCHIVE_IDENTITY_PATH"))
    days: Annotated[int, Field(ge=1, le=36_500)] | None = Field(
        None, validation_alias=AliasChoices("INTERIM_ARCHIVE_DAYS")
    )

    @model_validator(mode="after")
    def _for_somebody(self) -> KeepSettings:
        if self.before_delete and not self.recipients:
            message = "INTERIM_ARCHIVE_BEFORE_DELETE needs INTERIM_ARCHIVE_RECIPIENTS: nothing is kept in clear"
            raise ValueError(message)
        return self


def load_keep() -> KeepSettings:
    """Read whether interim data is kept.

    Raises:
        ConfigurationError: one message that names every wrong variable.
    """
    return read_part(KeepSettings)


def load_stores() -> tuple[RedisSettings, FileSettings]:
    """Read where the two stores are; either may say that it is not configured.

    Raises:
        ConfigurationError: one message that names every wrong variable.
    """
    found = _read({"redis": RedisSettings, "files": FileSettings})
    return found["redis"], found["files"]


def load_interim() -> InterimSettings:
    """Read what is to be done and when: what a schedule and a sensor need to be defined.

    Raises:
        ConfigurationError: one message that names every wrong variable.
    """
    return read_part(InterimSettings)


def load_backup() -> BackupSettings:
    """Read where the backup database is: all that a service without a jBPM engine needs besides its own engine.

    Raises:
        ConfigurationError: one message that names every missing or wrong variable.
    """
    return read_part(BackupSettings)
