"""Settings of the Imixs snapshot backup: the workflow instance, the backup space, how files are kept.

The names are those of the original service where it has one. Without an endpoint and a backup space the feature is
off; nothing else of the product depends on it. Not here: the options of a single run, which arrive with the run.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator

from archival_pipeline.errors import ConfigurationError
from archival_pipeline.settings import BackupSettings, DatabaseSettings, Port, _Environment, _known_zone, _read

NOT_CONFIGURED = "IMIXS_NOT_CONFIGURED"
AuthMethod = Literal["BASIC", "FORM", "COOKIE", "JWT", "OIDC"]
Compression = Literal["none", "gzip", "zstd"]


class WorkflowSettings(_Environment):
    """The workflow instance whose snapshots are backed up."""

    endpoint: str = Field(validation_alias=AliasChoices("WORKFLOW_SERVICE_ENDPOINT"))
    user: str = Field("", validation_alias=AliasChoices("WORKFLOW_SERVICE_USER"))
    password: SecretStr = Field(SecretStr(""), validation_alias=AliasChoices("WORKFLOW_SERVICE_PASSWORD"))
    method: AuthMethod = Field("BASIC", validation_alias=AliasChoices("WORKFLOW_SERVICE_AUTHMETHOD"))
    connect_seconds: Annotated[float, Field(gt=0, le=600)] = Field(
        10, validation_alias=AliasChoices("WORKFLOW_SERVICE_CONNECT_SECONDS")
    )
    read_seconds: Annotated[float, Field(gt=0, le=3600)] = Field(
        300, validation_alias=AliasChoices("WORKFLOW_SERVICE_READ_SECONDS")
    )
    ca_cert_path: Path | None = Field(None, validation_alias=AliasChoices("WORKFLOW_SERVICE_CA_CERT_PATH"))
    oidc_endpoint: str | None = Field(None, validation_alias=AliasChoices("OIDC_AUTH_ENDPOINT"))
    oidc_client_id: str | None = Field(None, validation_alias=AliasChoices("OIDC_AUTH_CLIENT_ID", "OIDC_CLIENT_ID"))
    oidc_client_secret: SecretStr | None = Field(
        None, validation_alias=AliasChoices("OIDC_AUTH_CLIENT_SECRET", "OIDC_CLIENT_SECRET")
    )

    @field_validator("endpoint")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query:
            message = "must be an http or https address without user, password or query"
            raise ValueError(message)
        return url.rstrip("/") + "/"

    @model_validator(mode="after")
    def _oidc_is_whole(self) -> WorkflowSettings:
        if self.method == "OIDC" and not (self.oidc_endpoint and self.oidc_client_id):
            message = "WORKFLOW_SERVICE_AUTHMETHOD=OIDC needs OIDC_AUTH_ENDPOINT and OIDC_AUTH_CLIENT_ID"
            raise ValueError(message)
        return self


class SpaceSettings(_Environment):
    """Where the files go: an FTP server as the original names it, or any place that a storage URL names."""

    ftp_host: str | None = Field(None, validation_alias=AliasChoices("BACKUP_FTP_HOST"))
    ftp_path: str | None = Field(None, validation_alias=AliasChoices("BACKUP_FTP_PATH"))
    ftp_port: Port = Field(21, validation_alias=AliasChoices("BACKUP_FTP_PORT"))
    ftp_user: str = Field("", validation_alias=AliasChoices("BACKUP_FTP_USER"))
    ftp_password: SecretStr = Field(SecretStr(""), validation_alias=AliasChoices("BACKUP_FTP_PASSWORD"))
    ftp_ca_cert_path: Path | None = Field(None, validation_alias=AliasChoices("BACKUP_FTP_CA_CERT_PATH"))
    ftp_verify: bool = Field(default=True, validation_alias=AliasChoices("BACKUP_FTP_VERIFY_CERTIFICATE"))
    # Its name ends in no secret mark, so that a wrong scheme can be shown; credentials in it are refused.
    url: str | None = Field(None, validation_alias=AliasChoices("BACKUP_STORAGE_URL"))
    user: str | None = Field(None, validation_alias=AliasChoices("BACKUP_STORAGE_USER"))
    password: SecretStr | None = Field(None, validation_alias=AliasChoices("BACKUP_STORAGE_PASSWORD"))
    key_path: Path | None = Field(None, validation_alias=AliasChoices("BACKUP_STORAGE_KEY_PATH"))
    known_hosts_path: Path | None = Field(None, validation_alias=AliasChoices("BACKUP_STORAGE_KNOWN_HOSTS_PATH"))
    s3_endpoint: str | None = Field(None, validation_alias=AliasChoices("BACKUP_STORAGE_S3_ENDPOINT"))
    timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = Field(
        60, validation_alias=AliasChoices("BACKUP_STORAGE_TIMEOUT_SECONDS")
    )

    @field_validator("url")
    @classmethod
    def _known_scheme(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in {"file", "sftp", "s3"}:
            message = "must begin with file://, sftp:// or s3://; an FTP server is named by BACKUP_FTP_HOST"
            raise ValueError(message)
        if parts.username or parts.password:
            message = "must not hold a user or password; set BACKUP_STORAGE_USER and BACKUP_STORAGE_PASSWORD"
            raise ValueError(message)
        if parts.scheme == "file" and (parts.netloc or parts.path in {"", "/"}):
            message = "must be file:/// and the absolute path of a folder"
            raise ValueError(message)
        return url

    @model_validator(mode="after")
    def _one_space(self) -> SpaceSettings:
        if (self.url is None) == (self.ftp_host is None):
            message = "set either BACKUP_FTP_HOST or BACKUP_STORAGE_URL"
            raise ValueError(message)
        if self.ftp_host is not None and not (self.ftp_path or "").strip("/"):
            message = "BACKUP_FTP_HOST needs BACKUP_FTP_PATH, an existing folder"
            raise ValueError(message)
        return self


class KeepingSettings(_Environment):
    """How the files are kept, and how much is done at a time."""

    mirror_id: str | None = Field(None, validation_alias=AliasChoices("BACKUP_MIRROR_ID"))
    time_zone: str = Field("UTC", validation_alias=AliasChoices("BACKUP_TIME_ZONE"))
    compression: Compression = Field("none", validation_alias=AliasChoices("BACKUP_COMPRESSION"))
    recipients: str | None = Field(None, validation_alias=AliasChoices("BACKUP_ENCRYPTION_RECIPIENTS"))
    identity_path: Path | None = Field(None, validation_alias=AliasChoices("BACKUP_ENCRYPTION_IDENTITY_PATH"))
    history: Annotated[int, Field(ge=1, le=1000)] = Field(1, validation_alias=AliasChoices("BACKUP_HISTORY"))
    history_days: Annotated[int, Field(ge=1, le=36_500)] | None = Field(
        None, validation_alias=AliasChoices("BACKUP_HISTORY_DAYS")
    )
    lanes: Annotated[int, Field(ge=1, le=32)] = Field(4, validation_alias=AliasChoices("BACKUP_LANES"))
    spool_path: Path | None = Field(None, validation_alias=AliasChoices("BACKUP_SPOOL_PATH"))
    manifest_minutes: Annotated[int, Field(ge=0, le=1440)] = Field(
        10, validation_alias=AliasChoices("BACKUP_MANIFEST_MINUTES")
    )
    from_archive: bool = Field(default=False, validation_alias=AliasChoices("BACKUP_FROM_ARCHIVE"))
    remove_snapshots: bool = Field(default=False, validation_alias=AliasChoices("BACKUP_REMOVE_SNAPSHOTS"))

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        return _known_zone(name)

    @model_validator(mode="after")
    def _removal_needs_an_archive(self) -> KeepingSettings:
        if self.remove_snapshots and not self.from_archive:
            message = (
                "BACKUP_REMOVE_SNAPSHOTS needs BACKUP_FROM_ARCHIVE=true: without an archive service the snapshot in "
                "the database is the only place from which users open their attachments"
            )
            raise ValueError(message)
        return self

    @property
    def topic(self) -> str:
        """The event log's topic that this backup works on."""
        return f"snapshot.backup.{self.mirror_id}" if self.mirror_id else "snapshot.backup"


class ImixsSettings:
    """All settings of the Imixs backup, validated together.

    Attributes:
        workflow: the workflow instance.
        space: where the files go.
        keeping: how they are kept.
        database: the backup database, which holds the record.
    """

    def __init__(
        self, workflow: WorkflowSettings, space: SpaceSettings, keeping: KeepingSettings, database: DatabaseSettings
    ) -> None:
        self.workflow = workflow
        self.space = space
        self.keeping = keeping
        self.database = database


_PARTS: dict[str, type[_Environment]] = {
    "workflow": WorkflowSettings,
    "space": SpaceSettings,
    "keeping": KeepingSettings,
    "database": BackupSettings,
}


def missing_for_imixs() -> str | None:
    """Why the Imixs backup is off, in words; None if it is switched on, well or badly configured."""
    if not os.environ.get("WORKFLOW_SERVICE_ENDPOINT"):
        return "WORKFLOW_SERVICE_ENDPOINT is not set"
    if not (os.environ.get("BACKUP_FTP_HOST") or os.environ.get("BACKUP_STORAGE_URL")):
        return "neither BACKUP_FTP_HOST nor BACKUP_STORAGE_URL is set"
    return None


def load_imixs() -> ImixsSettings:
    """Read and check the environment.

    Raises:
        ConfigurationError: one message that names every missing or wrong variable; code ``IMIXS_NOT_CONFIGURED``
            when the feature is off.
    """
    missing = missing_for_imixs()
    if missing is not None:
        raise ConfigurationError(
            f"The Imixs backup is off: {missing}.",
            resolve="Set the variables as docs/imixs.md says.",
            code=NOT_CONFIGURED,
        )
    return ImixsSettings(**_read(_PARTS))
