"""Tests of the execution history and of what forgets history."""
