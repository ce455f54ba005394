"""Reads what changed in the engine's history and sends it as events."""
