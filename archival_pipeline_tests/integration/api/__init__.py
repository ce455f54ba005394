"""Integration tests of the HTTP services: real servers on loopback ports."""
