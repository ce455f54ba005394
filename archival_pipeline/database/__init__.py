"""PostgreSQL plumbing: connections, COPY streaming, large objects, locks, SQL files, migrations.

Nothing here knows what a process instance is.
"""
