"""Tests of the local room that need no server."""
