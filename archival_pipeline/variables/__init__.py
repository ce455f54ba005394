"""Variable snapshots: the variables of a Camunda process instance as they stood when an activity ran.

What the engine's history (level full) says is read with a fixed number of queries (``reading``) and turned into a
snapshot without further questions (``cut``, ``owners``, ``snapshot``). A snapshot can be listed, compared, kept as a
reference (``stored``), and turned into a plan that puts the values back through the engine's REST API (``plan``,
``applying``). What history does not record is flagged, never guessed.

Not here: HTTP routes, commands and Dagster jobs; the cleanup of history.
"""
