"""Tests of the archival pipeline: ``unit`` needs no server, ``integration`` PostgreSQL, ``e2e`` Dagster as well."""
