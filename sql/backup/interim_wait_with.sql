-- The store is down: everything that waits for it waits at least as long as this piece. What another cleanup holds is
-- left to it: two that waited for each other would never end.
WITH this AS (
    SELECT
        store,
        next_attempt_at
    FROM interim_work
    WHERE work_id = %(work_id)s
),

waiting AS (
    SELECT
        w.work_id,
        this.next_attempt_at
    FROM interim_work AS w
    INNER JOIN this ON w.store = this.store AND w.next_attempt_at < this.next_attempt_at
    WHERE w.finished_at IS NULL
    ORDER BY w.work_id
    FOR UPDATE OF w SKIP LOCKED
)

UPDATE interim_work AS other
SET next_attempt_at = waiting.next_attempt_at
FROM waiting
WHERE other.work_id = waiting.work_id
