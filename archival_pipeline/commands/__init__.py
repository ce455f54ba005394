"""The commands of the command line: arguments in, one call of the service, an answer out.

::

    output      answers and errors as text or JSON, exit codes
    selecting   the options that filters and move options become
    upkeep      migrate, check, pair
    asking      count, find, children, generate-sql
    moving      backup
    audits      audits list, latest, show, summary

Not here: what the operations do (``archival/``). Nothing here imports Dagster.
"""
