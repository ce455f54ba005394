"""Brings a database to the version of this release, or prints the script for a DBA who does it by hand.

One chain of revisions per database, all in one alembic environment (``alembic/env.py``). Each revision runs SQL
files, so what is reviewed is what is executed. The version stands in ``archival_schema_version`` of the configured
schema; that of the execution history in a table of its own, because it may share a schema with the backup. There is no
way back down: it would have to drop the audit trail. Not here: the archive tables, which are made from the engine's
live schema.
"""

from __future__ import annotations

import io
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import psycopg
import sqlalchemy
from alembic import command, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from archival_pipeline import errors
from archival_pipeline.database.connections import Limits, connect
from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline.settings import DatabaseSettings

Which = Literal["primary", "backup", "history", "snapshots"]

VERSION_TABLE = "archival_schema_version"
HISTORY_VERSION_TABLE = "history_schema_version"
_SCRIPTS = Path(__file__).parent / "alembic"
# Long enough to wait for another start that is migrating the same schema.
_LIMITS = Limits(lock_timeout=120_000)
# Alembic keeps the migration at work in module globals: one at a time in a process, whatever the database.
_ALEMBIC = threading.Lock()


def upgrade(settings: DatabaseSettings, which: Which) -> None:
    """Bring a database to the newest version, in one transaction; nothing happens if it is there already.

    Two starts at once are safe: the second waits for the first and then finds nothing to do. A schema of
    our own is created if it is missing; the engine's schema never is.

    Raises:
        ConfigurationError: the engine's schema does not exist.
        DatabaseError: the server cannot be reached or refused a statement.
    """
    with _session(settings, f"migrating the {which} database") as connection:
        connection.execute(sqlalchemy.text(_LOCK), {"key": f"{_version_table(which)}:{settings.schema_name}"})
        _ensure_schema(connection, settings.schema_name, which)
        config = _config(which)
        config.attributes["connection"] = connection
        with _ALEMBIC:
            command.upgrade(config, "head")
        connection.commit()


def current(settings: DatabaseSettings, which: Which) -> str | None:
    """The version of a database; ``None`` if it was never migrated. Reads only."""
    with _session(settings, f"reading the version of the {which} database") as connection:
        context = MigrationContext.configure(connection, opts={"version_table": _version_table(which)})
        return context.get_current_revision()


def newest(which: Which) -> str:
    """The version this release needs."""
    head = ScriptDirectory.from_config(_config(which)).get_current_head()
    if head is None:
        message = f"the package holds no migration of the {which} database"
        raise RuntimeError(message)
    return head


def is_current(settings: DatabaseSettings, which: Which) -> bool:
    """Whether a database has exactly the version this release needs. Reads only."""
    return current(settings, which) == newest(which)


def as_sql(which: Which, schema: str) -> str:
    """The complete script from an unmigrated database to the newest version; needs no database, holds no secret.

    Args:
        which: the database it is for.
        schema: its configured schema.
    """
    config = _config(which)
    config.output_buffer = buffer = io.StringIO()
    with _ALEMBIC:
        command.upgrade(config, "head", sql=True)
    name = sql.Identifier(schema)
    create = sql.SQL("CREATE SCHEMA IF NOT EXISTS {};\n\n" if which != "primary" else "").format(name)
    search_path = sql.SQL("SET search_path = {}, pg_temp;\n\n").format(name)
    return create.as_string(None) + search_path.as_string(None) + buffer.getvalue()


def apply_files(*names: str) -> None:
    """Run or print SQL files; for the revisions.

    Args:
        names: as :func:`archival_pipeline.database.sqlfiles.load_sql` takes them, in order.
    """
    context = op.get_context()
    for name in names:
        if context.as_sql:
            text = load_sql(name).rstrip()
            # A file with a single statement may do without its end; a script cannot.
            context.impl.static_output(text if text.endswith(";") else f"{text};")
        else:
            # Straight to the driver and without parameters: colons and percent signs of the file stay what they are.
            op.get_bind().exec_driver_sql(load_sql(name), execution_options={"no_parameters": True})


# Held until the transaction ends. The key is made from the schema, so other schemas of the database do not wait.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"


def _ensure_schema(connection: sqlalchemy.Connection, schema: str, which: Which) -> None:
    found = connection.execute(
        sqlalchemy.text("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = :schema)"), {"schema": schema}
    )
    if found.scalar_one():
        return
    if which == "primary":
        raise errors.ConfigurationError(
            f"The primary database has no schema named {schema!r}.",
            resolve="Set BPM_DB_SCHEMA_NAME to the schema that holds the engine's tables.",
        )
    connection.execute(sqlalchemy.schema.CreateSchema(schema))


def _version_table(which: Which) -> str:
    return HISTORY_VERSION_TABLE if which == "history" else VERSION_TABLE


def _config(which: Which) -> Config:
    config = Config()
    config.attributes["version_table"] = _version_table(which)
    # ConfigParser reads % as the start of an interpolation; a path may hold one.
    for option, value in {
        "script_location": str(_SCRIPTS),
        "version_locations": str(_SCRIPTS / which),
        "path_separator": "newline",
    }.items():
        config.set_main_option(option, value.replace("%", "%%"))
    return config


@contextmanager
def _session(settings: DatabaseSettings, doing: str) -> Iterator[sqlalchemy.Connection]:
    """A SQLAlchemy session over our own way to connect, so that TLS, time limits and pinned settings apply."""

    def creator() -> psycopg.Connection[Any]:
        return connect(settings, purpose="migrate", limits=_LIMITS)

    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=creator, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.Error):
            raise errors.from_database(error.orig, doing) from error.orig
        raise
    finally:
        engine.dispose()
