-- Held by the session: one reader of a group at a time.
SELECT
    pg_try_advisory_lock(
        hashtextextended('history_reader:' || current_schema() || ':' || %(reader_group)s, 0)
    ) AS taken
