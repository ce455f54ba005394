# ruff: noqa: INP001 -- alembic runs this file by its path; as a package it could be imported, and would then act
"""The record of the Imixs backup; it refers to no other table."""

from archival_pipeline.database.migrations import apply_files

revision = "0002"
down_revision = "0001"

FILES = ("backup/imixs_tables",)


def upgrade() -> None:
    """Install the tables."""
    apply_files(*FILES)
