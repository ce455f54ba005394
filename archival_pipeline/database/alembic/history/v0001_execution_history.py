# ruff: noqa: INP001 -- alembic runs this file by its path; as a package it could be imported, and would then act
"""The denormalised history, the table that carries events without Kafka, and what publisher and subscriber remember."""

from archival_pipeline.database.migrations import apply_files

revision = "0001"
down_revision = None

FILES = (
    "history/bpm_history_process",
    "history/bpm_history_task",
    "history/history_erasures",
    "history/history_queue",
    "history/history_publisher",
)


def upgrade() -> None:
    """Make the tables."""
    apply_files(*FILES)
