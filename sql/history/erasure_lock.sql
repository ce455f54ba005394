-- Held until the commit; no writer is at work meanwhile.
SELECT pg_advisory_xact_lock(hashtextextended('history_erasure:' || current_schema(), 0))
