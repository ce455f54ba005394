"""Tests of variable snapshots against real servers."""
