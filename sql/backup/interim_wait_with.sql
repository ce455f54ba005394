-- The store is down: everything that waits for it waits at least as long as this piece. What another cleanup holds is
-- left to it: two that waited for each other would never end.
UPDATE interim_work AS other
SET next_attempt_at = this.next_attempt_at
FROM interim_work AS this
WHERE
    this.work_id = %(work_id)s
    AND other.work_id IN (
        SELECT waiting.work_id
        FROM interim_work AS waiting
        WHERE
            waiting.store = this.store
            AND waiting.finished_at IS NULL
            AND waiting.next_attempt_at < this.next_attempt_at
        ORDER BY waiting.work_id
        FOR UPDATE SKIP LOCKED
    )
