"""HTTP routes on variable snapshots.

::

    routes      what ran, snapshots, differences, bytes of values
    stored      stored snapshots
    restoring   plan, apply, and what was sent
    bodies      requests and answers
    working     threads and errors of all of them

Not here: what the operations do (``variables/``).
"""
