"""The benchmark: ours against the raw pipe and the INSERT script, on the same data, in one run.

::

    __main__    the command line, the order of the lines, the exit code
    scene       two servers, templates of the data, a fresh pair of databases for each line
    raw         the yardstick: whole tables through binary COPY, then one DELETE per table
    inserts     the INSERT script, batch by batch
    jobs        our jobs under Dagster, each in a process of its own
    execute     that process: runs one job, says what it took
    results     measurements, medians, ratios
    report      the table and the JSON
    readers     `make bench-rest`: the same backup with and without readers of the REST interface
    polling     the readers, in a process of their own

Nothing here asserts on time. What it does insist on is that no row is lost: see ``scene.Pair.problems``.
"""
