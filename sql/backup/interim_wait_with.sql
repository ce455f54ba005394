-- The store is down: everything that waits for it waits at least as long as this piece.
UPDATE interim_work AS other
SET next_attempt_at = this.next_attempt_at
FROM interim_work AS this
WHERE
    this.work_id = %(work_id)s
    AND other.store = this.store
    AND other.finished_at IS NULL
    AND other.next_attempt_at < this.next_attempt_at
