"""HTTP routes that read variable snapshots.

Not here: planning and applying, which are commands and a Dagster job.
"""
