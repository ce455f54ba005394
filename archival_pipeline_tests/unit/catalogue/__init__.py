"""The catalogue and everything decided from it without a server."""
