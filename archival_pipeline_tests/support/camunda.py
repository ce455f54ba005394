"""Databases with the schema of a Camunda engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archival_pipeline.database.connections import connect
from archival_pipeline.local import camunda_schema
from archival_pipeline.settings_camunda import CamundaSettings

if TYPE_CHECKING:
    from archival_pipeline.settings import DatabaseSettings

TEMPLATE = "camunda"


def build(settings: DatabaseSettings) -> None:
    """Fill an empty database with the engine's empty tables: the builder of the template ``camunda``."""
    with connect(settings, purpose="test", autocommit=True) as session:
        camunda_schema.create(session)


def camunda_settings(settings: DatabaseSettings, *, time_zone: str = "UTC", table_prefix: str = "") -> CamundaSettings:
    """A database of a test as the product sees a Camunda engine's."""
    return CamundaSettings.model_validate(
        {
            "CAMUNDA_DB_HOST": settings.host,
            "CAMUNDA_DB_PORT": settings.port,
            "CAMUNDA_DB_USERNAME": settings.username,
            "CAMUNDA_DB_PASSWORD": settings.password,
            "CAMUNDA_DB_NAME": settings.database,
            "CAMUNDA_DB_SCHEMA_NAME": settings.schema_name,
            "CAMUNDA_TIME_ZONE": time_zone,
            "CAMUNDA_DB_TABLE_PREFIX": table_prefix,
        }
    )


def variables(settings: CamundaSettings) -> dict[str, str]:
    """The environment of a process that works on the engine's database."""
    return {
        "CAMUNDA_DB_HOST": settings.host,
        "CAMUNDA_DB_PORT": str(settings.port),
        "CAMUNDA_DB_USERNAME": settings.username,
        "CAMUNDA_DB_PASSWORD": settings.password.get_secret_value(),
        "CAMUNDA_DB_NAME": settings.database,
        "CAMUNDA_DB_SCHEMA_NAME": settings.schema_name,
        "CAMUNDA_TIME_ZONE": settings.time_zone,
    }
