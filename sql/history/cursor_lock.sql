-- Held by the session: one publisher per engine.
SELECT pg_try_advisory_lock(hashtextextended('history_cursor:' || current_schema() || ':' || %(source)s, 0)) AS taken
