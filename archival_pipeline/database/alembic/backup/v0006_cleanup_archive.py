# ruff: noqa: INP001 -- alembic runs this file by its path; as a package it could be imported, and would then act
"""The ledger of history that is archived before it is removed."""

from archival_pipeline.database.migrations import apply_files

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Install the tables."""
    apply_files("backup/cleanup_archive_tables")
