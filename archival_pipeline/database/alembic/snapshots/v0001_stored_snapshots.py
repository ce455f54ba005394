# ruff: noqa: INP001 -- alembic runs this file by its path; as a package it could be imported, and would then act
"""Stored variable snapshots, in a schema of our own beside the engine's tables."""

from archival_pipeline.database.migrations import apply_files

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    apply_files("snapshots/stored")
