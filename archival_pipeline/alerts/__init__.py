"""Alerts: what an operator is told when something needs a hand, and the ways it is sent. Knows nothing of Dagster."""
