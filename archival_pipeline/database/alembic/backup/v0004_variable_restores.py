# ruff: noqa: INP001 -- alembic runs this file by its path; as a package it could be imported, and would then act
"""The table that records what was sent to an engine to put variables back."""

from archival_pipeline.database.migrations import apply_files

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Install the table."""
    apply_files("backup/variable_restores")
