"""Tests of the execution history: events, store, publisher, subscriber, transports."""
