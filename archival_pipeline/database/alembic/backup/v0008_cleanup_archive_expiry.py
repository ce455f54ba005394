# ruff: noqa: INP001 -- alembic runs this file by its path; as a package it could be imported, and would then act
"""Archived history can come to an end."""

from archival_pipeline.database.migrations import apply_files

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Let the ledger say so."""
    apply_files("backup/cleanup_archive_expiry")
