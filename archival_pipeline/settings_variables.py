"""Environment to settings of variable snapshots: the engine's REST API, and what is stored.

What each variable means to an operator is in ``docs/configuration.md``. Not here: the engine's database
(``settings_camunda.py``).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, Field, SecretStr, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic_settings import NoDecode

from archival_pipeline.settings import BackupSettings, _Environment, read_part

EVERY_ACTIVITY = "*"
_WANTED = TypeAdapter(dict[Annotated[str, Field(min_length=1)], list[Annotated[str, Field(min_length=1)]]])
_URL = re.compile(r"https?://[^\s/@?#]+(/[^\s?#]*)?")


class CamundaRestSettings(_Environment):
    """Where the engine's REST API is and who we are there: user and password, or a bearer token, or nobody."""

    url: str = Field(validation_alias=AliasChoices("CAMUNDA_REST_URL"))
    username: str | None = Field(None, validation_alias=AliasChoices("CAMUNDA_REST_USERNAME"))
    password: SecretStr | None = Field(None, validation_alias=AliasChoices("CAMUNDA_REST_PASSWORD"))
    token: SecretStr | None = Field(None, validation_alias=AliasChoices("CAMUNDA_REST_TOKEN"))
    ca_cert_path: Path | None = Field(None, validation_alias=AliasChoices("CAMUNDA_REST_CA_CERT_PATH"))
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = Field(
        30.0, validation_alias=AliasChoices("CAMUNDA_REST_TIMEOUT_SECONDS")
    )

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        if not _URL.fullmatch(url):
            message = "is not an address such as https://engine/engine-rest, without a user in it"
            raise ValueError(message)
        return url.rstrip("/")

    @field_validator("ca_cert_path")
    @classmethod
    def _readable(cls, path: Path | None) -> Path | None:
        if path is not None and not path.is_file():
            message = f"no readable file at {path}"
            raise ValueError(message)
        return path

    @model_validator(mode="after")
    def _one_way_to_log_in(self) -> CamundaRestSettings:
        if (self.username is None) != (self.password is None):
            message = "CAMUNDA_REST_USERNAME and CAMUNDA_REST_PASSWORD belong together"
            raise ValueError(message)
        if self.username is not None and self.token is not None:
            message = "CAMUNDA_REST_TOKEN and CAMUNDA_REST_USERNAME exclude each other"
            raise ValueError(message)
        return self


class StoredSnapshotSettings(_Environment):
    """Of which activities snapshots are stored: ids in the model, by process definition key. None at first."""

    activities: Annotated[dict[str, list[str]], NoDecode] = Field(
        {}, validation_alias=AliasChoices("VARIABLES_STORED_SNAPSHOTS")
    )

    @field_validator("activities", mode="before")
    @classmethod
    def _wanted(cls, given: Any) -> dict[str, list[str]]:
        try:
            return _WANTED.validate_json(given) if isinstance(given, str) else _WANTED.validate_python(given)
        except ValidationError as error:
            message = (
                "must be JSON that maps process definition keys to ids of activities, such as "
                f'{{"invoice": ["approve"], "claim": ["{EVERY_ACTIVITY}"]}}'
            )
            raise ValueError(message) from error


def load_stored_snapshots() -> StoredSnapshotSettings:
    """Read of which activities snapshots are stored.

    Raises:
        ConfigurationError: the variable is not what it should be.
    """
    return read_part(StoredSnapshotSettings)


def load_camunda_rest() -> CamundaRestSettings | None:
    """Read how to reach the engine's REST API; None where CAMUNDA_REST_URL is not set.

    Raises:
        ConfigurationError: one message that names every wrong variable.
    """
    if not os.environ.get("CAMUNDA_REST_URL"):
        return None
    return read_part(CamundaRestSettings)


def load_backup() -> BackupSettings:
    """Read where the audit of restores is written, without asking for the primary.

    Raises:
        ConfigurationError: one message that names every missing or wrong variable.
    """
    return read_part(BackupSettings)
