"""Archival and retention for workflow-engine databases."""
