"""The history cleanup by time-to-live.

::

    weekly       the windows of a week, and whether one is open
    database     the live tables that the statements name, and the clock of the engine
    selecting    which root instances are due, page by page
    removal      one transaction: whole hierarchies out of every table
    running      a run: batches in lanes until nothing is due or the window ends
    compatible   the engine's own row rule
    upkeep       missing removal times, orphans, rows that never expire
    report       what a run would remove, per process definition

Not here: the event stream and the store that users query. Nothing here imports Dagster or reads the clock.
"""
