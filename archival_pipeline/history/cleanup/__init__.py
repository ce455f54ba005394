"""The history cleanup by time-to-live.

::

    weekly       the windows of a week, and whether one is open
    database     the live tables that the statements name, and the clock of the engine
    selecting    which root instances are due, page by page
    removal      one transaction: whole hierarchies out of every table
    rootless     expired rows that no root instance owns
    beside       cases, decisions and metrics that go by their age
    lanes        the workers of a run; archive/ archives what they remove
    running      a run: batches in lanes until nothing is due or the window ends
    compatible   the engine's own row rule
    backfill     removal times for history that has none
    orphans      rows without parent, byte arrays without owner, history that never expires
    report       what a run would remove, per process definition

Not here: the event stream and the store that users query. Nothing here imports Dagster or reads the clock.
"""
