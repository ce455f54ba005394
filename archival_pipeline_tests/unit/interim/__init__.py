"""Tests of interim data without any server."""
