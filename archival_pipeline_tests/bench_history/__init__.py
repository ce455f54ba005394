"""Measures the execution history: how fast events are taken in, how fast users are answered."""
