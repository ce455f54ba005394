"""The history cleanup measured beside the engine's own, rendered statement by statement: ``make bench-cleanup``.

Both start from copies of the same database on the same server. The engine's scheduler would wait between short runs;
here it never does, so the comparison favours it. Speed is printed, not asserted; orphans at a commit are asserted.
"""
