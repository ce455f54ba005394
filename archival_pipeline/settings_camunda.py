"""The connection to a Camunda 7 engine's database: environment to typed, validated settings, read on demand.

Not here: what is cleaned up and when (``settings_cleanup.py``).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, Field, SecretStr, field_validator

from archival_pipeline.settings import DatabaseSettings, Name, Port, _Environment, _known_zone, _read, read_part

_MARK = "CAMUNDA_DB_"
# The engine writes the prefix unquoted into its statements; a schema in it has a variable of its own here.
_PREFIX = "^[A-Za-z0-9_]*$"
_LONGEST = 63


class CamundaSettings(DatabaseSettings):
    """The engine's database, its table prefix, and the zone of the times in it, which carry none."""

    role_name: str = "Camunda"
    host: str = Field(validation_alias=AliasChoices("CAMUNDA_DB_HOST"))
    port: Port = Field(5432, validation_alias=AliasChoices("CAMUNDA_DB_PORT"))
    username: str = Field(validation_alias=AliasChoices("CAMUNDA_DB_USERNAME"))
    password: SecretStr = Field(validation_alias=AliasChoices("CAMUNDA_DB_PASSWORD"))
    database: Name = Field(validation_alias=AliasChoices("CAMUNDA_DB_NAME"))
    schema_name: Name = Field("public", validation_alias=AliasChoices("CAMUNDA_DB_SCHEMA_NAME"))
    ssl: bool = Field(False, validation_alias=AliasChoices("CAMUNDA_DB_SSL"))
    ca_cert_path: Path | None = Field(None, validation_alias=AliasChoices("CAMUNDA_DB_CA_CERT_PATH"))
    ca_cert: SecretStr | None = Field(None, validation_alias=AliasChoices("CAMUNDA_DB_CA_CERT"))
    table_prefix: Annotated[str, Field(pattern=_PREFIX, max_length=30)] = Field(
        "", validation_alias=AliasChoices("CAMUNDA_DB_TABLE_PREFIX")
    )
    time_zone: str = Field("UTC", validation_alias=AliasChoices("CAMUNDA_TIME_ZONE"))
    snapshots_schema_name: Name | None = Field(None, validation_alias=AliasChoices("CAMUNDA_DB_SNAPSHOTS_SCHEMA_NAME"))

    @field_validator("table_prefix")
    @classmethod
    def _folded(cls, prefix: str) -> str:
        return prefix.lower()

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        return _known_zone(name)

    @property
    def snapshots_schema(self) -> str:
        """The schema of our own for stored variable snapshots; each engine of a database has another one."""
        return self.snapshots_schema_name or f"{self.schema_name[: _LONGEST - len(self._snapshots)]}{self._snapshots}"

    @property
    def _snapshots(self) -> str:
        return f"_{self.table_prefix}snapshots"

    def table(self, name: str) -> str:
        """The name of an engine's table in this database, such as ``cam_act_hi_procinst``."""
        return f"{self.table_prefix}{name.lower()}"


class _Zone(_Environment):
    time_zone: str = Field("UTC", validation_alias=AliasChoices("CAMUNDA_TIME_ZONE"))

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        return _known_zone(name)


def load_camunda_zone() -> str:
    """Read the engine's time zone alone: what a schedule needs to be defined.

    Raises:
        ConfigurationError: it is no time zone.
    """
    zone: _Zone = _read({"zone": _Zone})["zone"]
    return zone.time_zone


def load_camunda() -> CamundaSettings | None:
    """Read the connection to the Camunda database.

    Returns:
        The validated settings, or None where no variable that begins with ``CAMUNDA_DB_`` is set.

    Raises:
        ConfigurationError: one message that names every missing or wrong variable.
    """
    if not any(name.startswith(_MARK) and value for name, value in os.environ.items()):
        return None
    return read_part(CamundaSettings)
