# ruff: noqa: INP001 -- alembic runs this file by its path; as a package it could be imported, and would then act
"""The functions that select process instances."""

from archival_pipeline.database.migrations import apply_files

revision = "0001"
down_revision = None

FILES = (
    "common/process_piids_fn_v1",
    "common/process_where_fn_v1",
    "common/process_count_fn_v1",
    "common/process_find_fn_v1",
    "common/process_children_fn_v1",
)


def upgrade() -> None:
    """Install the functions."""
    apply_files(*FILES)
