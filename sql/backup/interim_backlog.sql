-- What waits, per store. What is on hold waits by intent, and is counted by itself.
SELECT
    store,
    coalesce(sum(item_count) FILTER (WHERE last_error IS DISTINCT FROM %(on_hold)s), 0)::bigint AS processes,
    coalesce(
        extract(EPOCH FROM now() - min(queued_at) FILTER (WHERE last_error IS DISTINCT FROM %(on_hold)s)), 0
    )::bigint AS oldest_seconds,
    coalesce(max(attempts) FILTER (WHERE last_error IS DISTINCT FROM %(on_hold)s), 0) AS attempts,
    (array_agg(last_error ORDER BY attempts DESC) FILTER (WHERE last_error <> %(on_hold)s))[1] AS last_error,
    count(*) FILTER (WHERE next_attempt_at <= now()) AS due,
    coalesce(sum(item_count) FILTER (WHERE last_error = %(on_hold)s), 0)::bigint AS on_hold
FROM interim_work
WHERE finished_at IS NULL
GROUP BY store
ORDER BY store
