# ruff: noqa: INP001 -- alembic runs this file by its path; as a package it could be imported, and would then act
"""The alembic environment of all databases; alembic runs this file, nothing imports it.

``archival_pipeline.database.migrations`` hands the session over in ``config.attributes``; without one the statements
are printed. Logging is left alone: the process that migrates has set it up.
"""

from alembic import context

connection = context.config.attributes.get("connection")
target = {"dialect_name": "postgresql"} if context.is_offline_mode() else {"connection": connection}
context.configure(**target, version_table=context.config.attributes["version_table"])
with context.begin_transaction():
    context.run_migrations()
