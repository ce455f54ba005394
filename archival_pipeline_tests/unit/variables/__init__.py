"""Tests of the snapshot algorithm and of plans, without a server."""
