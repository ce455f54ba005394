"""Backup of Imixs snapshots to external storage, and the way back.

::

    client       the workflow instance over REST; ``sessions`` logs in
    documents    reads the XML of a document as it passes by, and finds out whether it is whole
    coding       compression and encryption of a file
    layout       where a snapshot stands in the backup space
    storage/     the places that files can be kept in
    record       what is held and what is locked, in the backup database
    placing      writes one file: temporary name, read back, rename
    backup       the event log; ``full`` walks over all documents
    verify       reads everything back; ``manifests`` has the digests beside the files
    restore      brings files back into an instance

Not here: Dagster's side (``defs/imixs.py``), the command line (``commands/imixs.py``).
"""
