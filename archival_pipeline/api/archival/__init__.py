"""The REST interface of the archival service: its routes, its bodies, and how it launches runs.

A request arrives (``selecting.py``, ``moving.py``, ``audits.py``, ``health.py``), its body is read (``bodies.py``), and
one function of ``archival_pipeline.archival`` answers it; what moves or deletes becomes a Dagster run (``launcher.py``
over ``dagster.py``). ``app.py`` puts the service together. Not here: what every HTTP service shares (the folder above).
"""
