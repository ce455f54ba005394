"""The archival service: filters, selection, trees, script, transfer, removal, ledger and audit.

Knows neither Dagster nor HTTP; time, sleep and connections are passed in.
"""
