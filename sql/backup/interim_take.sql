-- Take the oldest work of a store that is due; two cleanups at once take different work. The row stays locked until the
-- transaction ends, and is free again when its holder dies.
SELECT
    work_id,
    items
FROM interim_work
WHERE store = %(store)s AND finished_at IS NULL AND next_attempt_at <= now()
ORDER BY next_attempt_at, work_id
LIMIT 1
FOR UPDATE SKIP LOCKED
