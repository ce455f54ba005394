-- What waits, per store.
SELECT
    store,
    sum(item_count)::bigint AS processes,
    extract(EPOCH FROM now() - min(queued_at))::bigint AS oldest_seconds,
    max(attempts) AS attempts,
    (array_agg(last_error ORDER BY attempts DESC) FILTER (WHERE last_error IS NOT NULL))[1] AS last_error,
    count(*) FILTER (WHERE next_attempt_at <= now()) AS due
FROM interim_work
WHERE finished_at IS NULL
GROUP BY store
ORDER BY store
