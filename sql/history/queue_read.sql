-- Index: the primary key.
SELECT
    position,
    key,
    value,
    headers,
    (extract(EPOCH FROM created_at) * 1000)::bigint AS "timestamp"
FROM history_queue
WHERE topic = %(topic)s AND position > %(after)s
ORDER BY position
LIMIT %(limit)s
