"""Unit tests of the HTTP services."""
