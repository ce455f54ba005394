# ruff: noqa: INP001 -- alembic runs this file by its path; as a package it could be imported, and would then act
"""The books of interim data."""

from archival_pipeline.database.migrations import apply_files

revision = "0003"
down_revision = "0002"

FILES = ("backup/interim_tables",)


def upgrade() -> None:
    """Install the tables."""
    apply_files(*FILES)
