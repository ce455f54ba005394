-- Index: history_queue__created_at__i.
DELETE FROM history_queue
WHERE (topic, position) IN (
    SELECT
        topic,
        position
    FROM history_queue
    WHERE created_at < %(limit)s
    ORDER BY created_at
    LIMIT %(rows)s
)
