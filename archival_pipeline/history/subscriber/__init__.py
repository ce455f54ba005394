"""Reads the stream of events and keeps the history up to date with it."""
