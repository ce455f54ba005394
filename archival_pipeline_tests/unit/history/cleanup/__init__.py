"""Tests of the history cleanup."""
