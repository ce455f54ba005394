# ruff: noqa: INP001 -- alembic runs this file by its path; as a package it could be imported, and would then act
"""The table of legal holds, and their place in the audit."""

from archival_pipeline.database.migrations import apply_files

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Install the table."""
    apply_files("backup/archival_hold")
