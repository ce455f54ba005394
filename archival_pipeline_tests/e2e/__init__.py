"""Tests of whole runs, through Dagster and the command line."""
