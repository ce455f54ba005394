"""History that is archived before it is removed, and brought back on request.

::

    opening      the two sides of one engine's archive, and whether they fit
    units        what is moved as a whole: a hierarchy, or rows that belong to none
    keys         the ids through which the rows of units are found on one side
    ledger       one row per unit with its state, in the backup database
    copying      engine to backup, in one transaction there
    removal      out of the engine, if what is removed equals what the backup gives back
    comparison   one unit row by row, where the digests differ
    recovery     takes up what a dead run left open
    lane         all of this for one page of roots: what a run of the cleanup calls
    restoring    the way back
    expiring     removes from the backup for good what has outlived its time there

The life of a row: it stands in the engine; a copy stands in the backup and the ledger says ``copied``; the engine's row
goes in a transaction whose number the ledger knows (``deleting``); the ledger says ``deleted``, and the backup has the
row alone. A restore is the same with the sides changed. Not here: what is due (``selecting.py``), how a run is paced
(``running.py``).
"""
