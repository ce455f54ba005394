# ruff: noqa: INP001 -- alembic runs this file by its path; as a package it could be imported, and would then act
"""The functions that select process instances, and the tables that record what the service does."""

from archival_pipeline.database.migrations import apply_files

revision = "0001"
down_revision = None

FILES = (
    "common/process_piids_fn_v1",
    "common/process_where_fn_v1",
    "common/process_count_fn_v1",
    "common/process_find_fn_v1",
    "common/process_children_fn_v1",
    "backup/process_audit_logs",
    "backup/ledger_tables",
    "backup/archival_pairing",
)


def upgrade() -> None:
    """Install functions and tables."""
    apply_files(*FILES)
