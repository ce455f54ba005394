"""Tests of the interface to the execution history."""
