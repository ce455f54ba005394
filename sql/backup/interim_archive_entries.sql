-- What was kept of processes: every part of Redis, oldest first, and the newest copy of each file.
SELECT
    a.entry_id,
    a.process_id,
    a.store,
    a.name,
    a.sha256
FROM interim_archive AS a
WHERE
    a.process_id = ANY(%(process_ids)s)
    AND (
        a.store = 'redis'
        OR NOT EXISTS (
            SELECT FROM interim_archive AS newer
            WHERE
                newer.process_id = a.process_id
                AND newer.store = a.store
                AND newer.name = a.name
                AND newer.kept_order > a.kept_order
        )
    )
ORDER BY a.process_id, a.kept_order
