-- Held until the commit; an erasure waits for it.
SELECT pg_advisory_xact_lock_shared(hashtextextended('history_erasure:' || current_schema(), 0))
