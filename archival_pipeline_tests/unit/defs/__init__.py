"""Tests of the Dagster room that need no database."""
