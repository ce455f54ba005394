"""Tests of interim data against real servers."""
