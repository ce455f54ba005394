# ruff: noqa: INP001 -- alembic runs this file by its path; as a package it could be imported, and would then act
"""The tables that keep interim data before it is removed."""

from archival_pipeline.database.migrations import apply_files

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Install the tables."""
    apply_files("backup/interim_archive_tables")
