-- Held until the commit: writers of one topic take turns, so that positions become visible in their order.
SELECT pg_advisory_xact_lock(hashtextextended('history_queue:' || current_schema() || ':' || %(topic)s, 0))
