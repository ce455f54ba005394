-- After a failover: what was removed shortly before may be there again, because copies of Redis lag behind.
UPDATE interim_work
SET
    finished_at = NULL,
    next_attempt_at = now()
WHERE store = 'redis' AND finished_at >= now() - interval '1 hour'
