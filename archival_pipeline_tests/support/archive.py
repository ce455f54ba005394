"""Makes a pair of databases ready to archive: engine schema, sample data, migrations. Plain functions, no fixtures.

Not here: databases themselves (``databases.py``), how sample data is made (``archival_pipeline.local.sample_data``).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from archival_pipeline.archival import service
from archival_pipeline.database.connections import connect
from archival_pipeline.local import jbpm_schema
from archival_pipeline.local.jbpm_schema import Variant
from archival_pipeline.local.sample_data import Profile, generate
from archival_pipeline.settings import DagsterSettings, EngineSettings, Settings

if TYPE_CHECKING:
    from archival_pipeline.local.sample_data import Summary
    from archival_pipeline.settings import DatabaseSettings

NOW = datetime(2026, 11, 1, tzinfo=UTC)
"""When the sample engine was looked at: every end date lies before it."""

SMALL = Profile(seed=1, trees=40, now=NOW)
"""A forest that is quickly made: 40 ordinary trees and one of each trap."""


def settings_of(primary: DatabaseSettings, backup: DatabaseSettings) -> Settings:
    """The settings of a service that works on these two databases."""
    return Settings(
        primary,
        backup,
        # Not read from the environment of whoever runs the tests.
        EngineSettings.model_construct(time_zone="UTC", clob_mode="auto"),
        DagsterSettings.model_construct(pg_url=None),
    )


def prepare(
    primary: DatabaseSettings,
    backup: DatabaseSettings,
    variant: Variant = Variant.STANDARD_OID,
    profile: Profile = SMALL,
) -> Summary:
    """Turn two empty databases into an engine with sample data and a backup that fits it."""
    summary = fill(primary, variant, profile)
    service.migrate(settings_of(primary, backup))
    return summary


def fill(primary: DatabaseSettings, variant: Variant = Variant.STANDARD_OID, profile: Profile = SMALL) -> Summary:
    """Make the engine schema in an empty database and fill it; fit to build a template with."""
    with connect(primary, purpose="sample data") as session:
        jbpm_schema.create(session, variant)
        summary = generate(session, profile, variant)
        session.commit()
    return summary


def environment_of(primary: DatabaseSettings, backup: DatabaseSettings) -> dict[str, str]:
    """The variables under which a process of its own finds these two databases; Dagster's storage is not among them."""
    sides = {"DB_": ("BPM_DB_", primary), "BPM_BACKUP_DB_": ("BPM_BACKUP_DB_", backup)}
    values: dict[str, str] = {}
    for prefix, (name_prefix, where) in sides.items():
        values |= {
            f"{prefix}HOST": where.host,
            f"{prefix}PORT": str(where.port),
            f"{prefix}USERNAME": where.username,
            f"{prefix}PASSWORD": where.password.get_secret_value(),
            f"{name_prefix}NAME": where.database,
            f"{name_prefix}SCHEMA_NAME": where.schema_name,
        }
    return values


def dagster_url(where: DatabaseSettings) -> str:
    """The value of ``DAGSTER_PG_URL`` for a database that holds Dagster's storage."""
    password = quote(where.password.get_secret_value(), safe="")
    return f"postgresql+psycopg2://{where.username}:{password}@{where.host}:{where.port}/{where.database}"
