"""Tests of sessions and other PostgreSQL plumbing."""
