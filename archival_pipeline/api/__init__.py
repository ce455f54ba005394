"""Everything HTTP.

What every service of this product shares is in this folder: the app factory (``app.py``), bearer tokens (``auth.py``),
error bodies (``errors.py``), the envelope of a request (``envelope.py``: ids, limits, access log), threads for blocking
work (``workers.py``), pages (``pages.py``), metrics, JSON logs, Swagger UI. What belongs to one service is in a folder
of its own, ``archival/`` for the archival service; those folders do not import each other.

Not here: what the routes do. They call the same functions as the command line.
"""
